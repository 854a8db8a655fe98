"""A big table read column by column: no dict a row, no text parsed that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from nbannotate.core.edits import Row

_CHUNK = 50_000  # rows
_PANDAS = {pa.large_string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype()}

_decode = msgspec.json.Decoder().decode


def read_columns(connection: sa.Connection, table: sa.Table) -> pd.DataFrame:
    """All rows of a table, each column of the dtype that it has in people's tables.

    Texts are ``string``, whole numbers ``Int64`` and JSON is objects.
    """
    names = [column.name for column in table.columns]
    query = sa.select(*map(_as_read, table.columns))
    parts: dict[str, list[Any]] = {name: [] for name in names}
    builders = [_builder(column) for column in table.columns]
    with connection.execute(query, execution_options={"yield_per": _CHUNK}) as result:
        for rows in result.partitions():
            values = zip(*rows, strict=True)
            for name, build, column in zip(names, builders, values, strict=True):
                parts[name].append(build(column))
    return pd.DataFrame(
        {column.name: _joined(column, parts.pop(column.name)) for column in table.columns}
    )


def frame_of(rows: Iterable[Row], table: sa.Table) -> pd.DataFrame:
    """The same of rows that are there already."""
    values: Sequence[Row] = list(rows)
    columns = {}
    for column in table.columns:
        cells = [row[column.name] for row in values]
        part = cells if _is_json(column) else _builder(column)(cells)
        columns[column.name] = _joined(column, [part])
    return pd.DataFrame(columns)


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def _as_read(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    # As text from every database, though some drivers would parse it: most of it is empty.
    return sa.cast(column, sa.Text).label(column.name) if _is_json(column) else column


def _builder(column: sa.Column[Any]) -> Callable[[Sequence[Any]], Any]:
    if _is_json(column):
        return _parse
    kind = _arrow_type(column)
    return lambda values: pa.array(values, kind)


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, sa.Boolean):
        return pa.bool_()
    if isinstance(column.type, sa.Float):
        return pa.float64()
    return pa.int64() if isinstance(column.type, sa.Integer) else pa.large_string()


def _parse(texts: Sequence[str | None]) -> list[Any]:
    # Each row has a dict of its own, which its owner may change.
    return [None if text is None else {} if text == "{}" else _decode(text) for text in texts]


def _joined(column: sa.Column[Any], parts: list[Any]) -> pd.Series[Any]:
    if _is_json(column):
        cells = np.empty(sum(map(len, parts)), dtype=object)
        start = 0
        for part in parts:
            cells[start : start + len(part)] = part
            start += len(part)
        return pd.Series(cells)
    kind = _arrow_type(column)
    array = pa.chunked_array(parts or [pa.array([], kind)], kind)  # pandas wants one chunk at least
    found: pd.Series[Any] = array.to_pandas(types_mapper=_PANDAS.get)
    return found
