"""A store written as partitioned Parquet, for Dask, DuckDB, Spark and pandas.

``labels/kind=box/part-0.parquet`` and so on, ``images/``, ``history/`` and ``schema.json``. The
columns are those of the tables that people see; geometry, attributes, before and after are JSON
texts, and the history has classes by their id in ``schema.json``.
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import sqlalchemy as sa

from nbannotate.core.schema import Schema
from nbannotate.errors import StoreError
from nbannotate.store import tables, verdicts
from nbannotate.store.columns import arrow_schema, read_batches

_ROWS = 250_000  # a file, so that a cluster has parts to share out
_KIND = pa.schema([("kind", pa.string())])
_TIME = pa.timestamp("us", tz="UTC")
_TIMES = {"at", "created", "updated"}


def write_snapshot(connection: sa.Connection, schema: Schema, folder: Path) -> None:
    """Write all tables; the folder is whole, or not there.

    Raises
    ------
    StoreError
        If the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise StoreError(f"{folder}: is there already; remove it or give another path")
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        unfinished.mkdir()
        for table in (tables.labels, tables.images, tables.history):
            _write(connection, table, schema, unfinished / table.name)
        text = json.dumps(schema.to_dict(), ensure_ascii=False, indent=1)
        (unfinished / "schema.json").write_text(text, "utf-8")
        unfinished.rename(folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error}); its folder must exist, with room in it"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # not there any more if all went well


def _write(connection: sa.Connection, table: sa.Table, schema: Schema, folder: Path) -> None:
    where = verdicts.IS_LABEL if table is tables.labels else None
    batches = (_as_seen(batch, schema) for batch in read_batches(connection, table, where))
    if table is tables.images:
        found = verdicts.new_statuses(connection)
        batches = (_with_statuses(batch, found) for batch in batches)
    empty = _as_seen(pa.RecordBatch.from_pylist([], arrow_schema(table)), schema)
    partitioned = table is tables.labels
    folder.mkdir()
    pds.write_dataset(
        batches,
        folder,
        schema=empty.schema,
        format="parquet",
        partitioning=pds.partitioning(_KIND, flavor="hive") if partitioned else None,
        basename_template="part-{i}.parquet",
        max_rows_per_file=_ROWS,
        max_rows_per_group=_ROWS,
    )
    if not any(folder.iterdir()):  # readers need a file to know the columns from
        place = folder / "kind=box" if partitioned else folder
        place.mkdir(exist_ok=True)
        rows = empty.drop_columns(["kind"]) if partitioned else empty
        pq.write_table(pa.Table.from_batches([rows]), place / "part-0.parquet")


def _as_seen(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name == "class_id":
            known = (*schema.classes, *schema.tag_choices)
            names = pa.array([c.name for c in known], pa.string())
            ids = pa.array([c.id for c in known], pa.int64())
            columns["label"] = names.take(pc.index_in(column, ids))
        elif name in _TIMES:
            columns[name] = column.cast(_TIME)
        elif pa.types.is_large_string(column.type):
            columns[name] = column.cast(pa.string())  # Spark knows no large ones
        else:
            columns[name] = column
    return pa.RecordBatch.from_pydict(columns)


def _with_statuses(batch: pa.RecordBatch, found: dict[str, str]) -> pa.RecordBatch:
    pairs = zip(batch.column("image").to_pylist(), batch.column("status").to_pylist(), strict=True)
    statuses = pa.array([found.get(image, status) for image, status in pairs], pa.string())
    return batch.set_column(batch.schema.get_field_index("status"), "status", statuses)
