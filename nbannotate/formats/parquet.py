"""Parquet: labels and images with their exact types, the scheme in the files' metadata.

Geometry and attributes are JSON texts, so that DuckDB, Spark and Polars read them.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import write_atomic
from nbannotate.formats.shared.json_files import blamed, parsed
from nbannotate.formats.shared.tables import OnError, Problems, json_column

LABELS, IMAGES = "labels.parquet", "images.parquet"
_SCHEMA, _IMAGES = b"nbannotate.schema", b"nbannotate.images"
_JSON = ("geometry", "attributes")


@collector_off()
def write(dataset: Dataset, path: str | Path) -> WriteReport:
    """Write Parquet.

    Parameters
    ----------
    dataset
        What to write: all labels and images, the user's own columns too.
    path
        A ``.parquet`` file, which holds the labels, and the images in its metadata; or a folder,
        which gets ``labels.parquet`` and ``images.parquet``.
    """
    path = Path(path)
    scheme = json.dumps(dataset.schema.to_dict()).encode()
    labels = _table(dataset.labels, path)
    images = _table(dataset.images, path)
    if path.suffix.lower() == ".parquet":
        # Metadata of Parquet is text, so the images' bytes go as base64.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(
            sink, images.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
        ) as stream:
            stream.write_table(images)
        packed = base64.b64encode(sink.getvalue().to_pybytes())
        _dump(labels, {_SCHEMA: scheme, _IMAGES: packed}, path)
    else:
        # The labels come last: without them there is no export.
        _dump(images, {_SCHEMA: scheme}, path / IMAGES)
        _dump(labels, {_SCHEMA: scheme}, path / LABELS)
    return WriteReport(path, len(dataset.images), len(dataset.labels))


def _table(frame: pd.DataFrame, path: Path) -> pa.Table:
    plain = frame.assign(
        **{
            column: pd.Series(json_column(frame[column], path), frame.index, dtype="string")
            for column in _JSON
            if column in frame
        }
    )
    plain.attrs = {}
    try:
        return pa.Table.from_pandas(plain)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise FormatError(
            path, "", f"{error}; Parquet needs one type in a column: mend or drop it"
        ) from error


def _dump(table: pa.Table, more: dict[bytes, bytes], path: Path) -> None:
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **more})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read Parquet.

    Parameters
    ----------
    path
        A folder or file that our writer made; or any Parquet file with a column ``image`` and
        columns of the labels table.
    on_error
        ``"raise"`` at the first row whose geometry or attributes are no JSON, or ``"skip"`` such
        and list them in ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        If the file is no Parquet, or lacks what a labels table needs.
    """
    path = Path(path)
    file = path / LABELS if path.is_dir() else path
    problems = Problems(file, on_error)
    with blamed(file):
        return problems.finish(_dataset(path, file, problems))


def _dataset(path: Path, file: Path, problems: Problems) -> Dataset:
    table = _load(file)
    metadata = table.schema.metadata or {}
    images: pd.DataFrame | None = None
    if path.is_dir() and (path / IMAGES).is_file():
        images = _load(path / IMAGES).to_pandas()
    elif _IMAGES in metadata:
        with pa.ipc.open_stream(base64.b64decode(metadata[_IMAGES])) as stream:
            images = stream.read_all().to_pandas()
    schema = None
    if _SCHEMA in metadata:
        schema = Schema.from_dict(parsed(metadata[_SCHEMA]))
    return Dataset(_frame(table, problems), images, schema)


def _load(file: Path) -> pa.Table:
    try:
        return pq.read_table(file, partitioning=None)
    except FileNotFoundError as error:
        raise FormatError(file, "", "there is no such file; check the path") from error
    except (pa.ArrowException, OSError) as error:
        raise FormatError(file, "", f"is not Parquet: {error}; write it anew") from error


def _frame(table: pa.Table, problems: Problems) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    good = np.ones(len(frame), dtype=np.bool_)
    for column in (name for name in _JSON if name in frame):
        values = frame[column].tolist()
        for row, value in enumerate(values):
            if isinstance(value, str):
                try:
                    values[row] = parsed(value)
                except ValueError as error:
                    where = f"row {row}, column {column!r}"
                    problems.add(where, f"{value!r:.80} {error}; mend it")
                    good[row] = False
        frame[column] = pd.Series(values, index=frame.index, dtype=object)
    return frame[good] if problems.found else frame


def sniff(path: Path) -> bool:
    """Whether the folder holds labels.parquet, or the file is Parquet with a column image."""
    if path.is_dir():
        return (path / LABELS).is_file()
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    try:
        return "image" in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False


FORMAT = Format(
    name="parquet",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="nothing is lost",
)
