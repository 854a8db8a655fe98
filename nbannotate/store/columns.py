"""A big table read column by column: no dict a row, no text parsed that says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from nbannotate.core.edits import Row

_CHUNK = 50_000  # rows
_PANDAS = {pa.large_string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype()}

_Objects = np.ndarray[Any, np.dtype[np.object_]]

_decode = msgspec.json.Decoder().decode


Where = sa.ColumnElement[bool] | None


def read_batches(
    connection: sa.Connection, table: sa.Table, where: Where = None
) -> Iterator[pa.RecordBatch]:
    """Rows of a table, some at a time; JSON is text, times are whole numbers."""
    # Text from every database, though some drivers would parse JSON: most of it is empty.
    query = sa.select(
        *(sa.cast(c, sa.Text).label(c.name) if _is_json(c) else c for c in table.columns)
    )
    if where is not None:
        query = query.where(where)
    schema = arrow_schema(table)
    with connection.execute(query, execution_options={"yield_per": _CHUNK}) as result:
        for rows in result.partitions():
            columns = zip(zip(*rows, strict=True), schema.types, strict=True)
            arrays = [pa.array(cells, kind) for cells, kind in columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def read_columns(connection: sa.Connection, table: sa.Table, where: Where = None) -> pd.DataFrame:
    """Rows of a table, each column of the dtype that it has in people's tables.

    Texts are ``string``, whole numbers ``Int64`` and JSON is objects.
    """
    parts: dict[str, list[Any]] = {column.name: [] for column in table.columns}
    for batch in read_batches(connection, table, where):
        for column in table.columns:
            cells = batch.column(column.name)
            parts[column.name].append(_parsed(cells) if _is_json(column) else cells)
    return pd.DataFrame({c.name: _series(parts.pop(c.name), c) for c in table.columns})


def frame_of(rows: Iterable[Row], table: sa.Table) -> pd.DataFrame:
    """The same of rows that are there already."""
    rows = list(rows)
    columns = {}
    for column in table.columns:
        cells = [row[column.name] for row in rows]
        part = _objects(cells) if _is_json(column) else pa.array(cells, _arrow_type(column))
        columns[column.name] = _series([part], column)
    return pd.DataFrame(columns)


def arrow_schema(table: sa.Table) -> pa.Schema:
    """Names and Arrow types of the columns of a table."""
    return pa.schema([(column.name, _arrow_type(column)) for column in table.columns])


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, sa.Boolean):
        return pa.bool_()
    if isinstance(column.type, sa.Float):
        return pa.float64()
    return pa.int64() if isinstance(column.type, sa.Integer) else pa.large_string()


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def _series(parts: list[Any], column: sa.Column[Any]) -> pd.Series[Any]:
    if _is_json(column):
        return pd.Series(np.concatenate([_objects([]), *parts]))
    kind = _arrow_type(column)
    array = pa.chunked_array(parts or [pa.array([], kind)], kind)  # pandas wants one chunk at least
    found: pd.Series[Any] = array.to_pandas(types_mapper=_PANDAS.get)
    return found


def _parsed(texts: pa.Array) -> _Objects:
    # Each row has a dict of its own, which its owner may change.
    return _objects(
        [
            None if text is None else {} if text == "{}" else _decode(text)
            for text in texts.to_pylist()
        ]
    )


def _objects(cells: Sequence[Any]) -> _Objects:
    # Filled, not made from the cells: lists of one length would become further dimensions.
    made: _Objects = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made
