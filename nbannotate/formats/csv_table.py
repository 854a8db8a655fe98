"""CSV: one row a label with its image beside it, for spreadsheets and for going back and forth.

Texts are quoted and missing values are not, so that an empty text, a class called ``NA`` and a
missing value stay three things. An image without labels is a row with an empty ``kind``. The
scheme goes into ``NAME.schema.json`` beside the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, IMAGE_DTYPES, KINDS, LABEL_DTYPES, infer_schema
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import write_atomic
from nbannotate.formats.shared.json_files import blamed, parsed
from nbannotate.formats.shared.tables import (
    OnError,
    Problems,
    iso_times,
    json_column,
)

_JSON = ("geometry", "attributes")
_NUMBERS = [name for name, dtype in LABEL_DTYPES.items() if dtype in ("float64", "Int64")]
_PREFIX = "image_"
_CORNERS = ["xmin", "ymin", "xmax", "ymax"]
_BOX_LIKE = {"xmin", "xmax", "x_min", "x_max", "x1", "x2", "left", "right", "width", "bbox", "box"}


@collector_off()
def write(dataset: Dataset, path: str | Path, *, escape_formulas: bool = False) -> WriteReport:
    """Write one CSV file, and the scheme beside it as ``NAME.schema.json``.

    Parameters
    ----------
    dataset
        What to write: all labels and images. Rows go by image.
    path
        The file.
    escape_formulas
        Whether texts that a spreadsheet would run, such as ``=1+1``, get a ``'`` in front. They
        are read back with it.
    """
    path = Path(path)
    images = dataset.images.add_prefix(_PREFIX)
    labels = dataset.labels.reset_index()
    order = np.argsort(dataset.images.index.get_indexer(pd.Index(labels["image"])), kind="stable")
    labels = labels.iloc[order]
    labels.insert(4, "class_id", _class_ids(labels, dataset.schema))
    for column in _JSON:
        labels[column] = pd.Series(json_column(labels[column], path), labels.index, dtype="string")
    table = (
        images.rename_axis("image").reset_index().merge(labels, on="image", how="left", sort=False)
    )
    table = table[["image", *labels.columns.drop("image"), *images.columns]]
    columns = {name: _texts(table[name], escape_formulas) for name in table.columns}
    sink = pa.BufferOutputStream()
    try:
        arrow = pa.table(columns)
        pa_csv.write_csv(arrow, sink, pa_csv.WriteOptions(quoting_style="needed"))
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise FormatError(path, "", f"{error}; CSV takes texts, numbers and times only") from error
    scheme = json.dumps(dataset.schema.to_dict(), ensure_ascii=False, indent=1)
    write_atomic(schema_file(path), scheme.encode())
    write_atomic(path, sink.getvalue().to_pybytes())
    return WriteReport(path, len(dataset.images), len(dataset.labels))


def schema_file(path: Path) -> Path:
    """Where the scheme of a CSV file is."""
    return path.with_name(f"{path.stem}.schema.json")


def _class_ids(labels: pd.DataFrame, schema: Schema) -> pd.Series[Any]:
    names = labels["label"].astype(object)
    tags = labels["kind"].eq("tag")
    classes = names.map({c.name: c.id for c in schema.classes})
    return classes.where(~tags, names.map({c.name: c.id for c in schema.tag_choices})).astype(
        "Int64"
    )


def _texts(column: pd.Series[Any], escape: bool) -> pa.Array:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return pa.array(iso_times(column), pa.string())
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("string")
    array = pa.array(column, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if escape and (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = pa.compute.replace_substring_regex(array, r"^([=+\-@\t\r])", r"'\1")
    return array


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read CSV: our own, or any with columns image, label and x, y, width, height.

    Boxes may be given as xmin, ymin, xmax, ymax too. All texts stay as they are: ``001`` and
    ``NA`` are names. Commas, semicolons and tabs separate.

    Parameters
    ----------
    path
        The file.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the row, counted from 1 below the header, and the mend.
    """
    path = Path(path)
    problems = Problems(path, on_error)
    with blamed(path):
        return problems.finish(_dataset(path, problems))


def _dataset(path: Path, problems: Problems) -> Dataset:
    table = _load(path)
    if "image" not in table:
        raise FormatError(
            path, "header", f"has no column image; it has {', '.join(table.columns)}. Rename one"
        )
    table = _with_boxes(table, path)
    if "kind" not in table:
        # A row with a name or a place is a label, one with neither is an image only.
        shaped = table["x"].notna() if "x" in table else pd.Series(False, index=table.index)
        named = table["label"].notna() if "label" in table else shaped
        kind = pd.Series(np.where(shaped, "box", "tag"), table.index, dtype="string")
        table["kind"] = kind.where(shaped | named)
    columns = [c for c in table.columns if not c.startswith(_PREFIX) and c != "class_id"]
    of_image = [c for c in table.columns if c.startswith(_PREFIX)]
    wrong = _check(table, problems)
    rows = table.loc[~wrong]
    images = rows.drop_duplicates("image").set_index("image")[of_image]
    images.columns = [name.removeprefix(_PREFIX) for name in of_image]
    if not of_image:
        images["status"] = "done"
    labels = rows.loc[rows["kind"].notna(), columns]
    ids = rows.loc[labels.index, "class_id"] if "class_id" in rows else None
    labels = _typed(labels)
    schema = _schema(path, labels, ids)
    return Dataset(labels, _typed_images(images), schema)


def _load(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FormatError(path, "", "there is no such file; check the path")
    with path.open("rb") as file:
        start = file.readline().removeprefix(b"\xef\xbb\xbf")
    if not start.strip():
        raise FormatError(path, "header", "is empty; name the columns in the first line")
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(path, "header", f"is not UTF-8 ({error}); save the file so") from error
    separator = max(",;\t", key=lambda mark: start.count(mark.encode()))
    parse = pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    try:
        with pa_csv.open_csv(path, parse_options=parse) as reader:
            names = reader.schema.names
    except pa.ArrowException:
        names = []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatError(path, "header", f"column {twice[0]!r} stands twice; rename or drop one")
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        table = pa_csv.read_csv(path, parse_options=parse, convert_options=convert)
    except pa.ArrowException as error:
        raise FormatError(path, "", f"{error}; mend the row or the encoding (UTF-8)") from error
    return pd.DataFrame(
        {
            name: pd.Series(table.column(name).to_pylist(), dtype="string")
            for name in table.column_names
        }
    )


def _with_boxes(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with x, y, width, height made of xmin, ymin, xmax, ymax where it has those."""
    if "x" in table:
        return table
    if set(_CORNERS) <= set(table.columns):
        corners = table[_CORNERS].apply(pd.to_numeric, errors="coerce").astype("float64")
        whole = corners.notna().all(axis=1) | table[_CORNERS].isna().all(axis=1)
        if not whole.all():
            row = int(np.flatnonzero(~whole.to_numpy())[0])
            raise FormatError(
                path, f"row {row + 1}", "xmin, ymin, xmax, ymax are not all numbers; mend it"
            )
        values = [corners["xmin"], corners["ymin"]]
        values += [corners["xmax"] - corners["xmin"], corners["ymax"] - corners["ymin"]]
        texts = {
            name: column.map(repr, na_action="ignore").astype("string")
            for name, column in zip(BOX, values, strict=True)
        }
        return table.drop(columns=_CORNERS).assign(**texts)
    odd = [name for name in table.columns if name.lower() in _BOX_LIKE]
    if odd and "kind" not in table:
        # Without this the rows would pass for tags of whole images.
        raise FormatError(
            path,
            "header",
            f"has no x, y, width, height but {', '.join(odd)}; convert them to x, y, width, "
            "height in pixels, or name them xmin, ymin, xmax, ymax",
        )
    return table


def _check(table: pd.DataFrame, problems: Problems) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are bad, each handed to `problems`."""
    labelled = table["kind"].notna()
    boxes = labelled & table["kind"].eq("box").fillna(False)
    checks = [("image", table["image"].isna() | table["image"].eq(""), "is empty")]
    checks.append(("kind", labelled & ~table["kind"].isin(KINDS), f"is none of {', '.join(KINDS)}"))
    for column in (name for name in _NUMBERS if name in table):
        values = pd.to_numeric(table[column], errors="coerce")
        missing = (values.isna() | np.isinf(values.astype("float64"))).astype(bool)
        required = boxes if column in BOX else pd.Series(False, index=table.index)
        bad = labelled & missing & (required | table[column].notna())
        checks.append((column, bad, "is no finite number (with a point for decimals)"))
        if column in ("width", "height"):
            checks.append((column, labelled & values.lt(0).fillna(False), "is negative"))
        if column == "score":
            outside = (values.lt(0) | values.gt(1)).fillna(False)
            checks.append((column, labelled & outside, "is outside 0 … 1"))
    for column in (name for name in _JSON if name in table):
        checks.append((column, labelled & ~table[column].map(_is_json).astype(bool), "is not JSON"))
    wrong = np.zeros(len(table), dtype=bool)
    for column, bad, why in checks:
        for row in np.flatnonzero(bad.to_numpy(dtype=bool) & ~wrong).tolist():
            value = table[column].iloc[row]
            shown = "" if pd.isna(value) else f"{value!r} "
            problems.add(f"row {row + 1}, column {column}", f"{shown}{why}; mend it")
            wrong[row] = True
    return wrong


def _is_json(text: Any) -> bool:
    if pd.isna(text):
        return True
    try:
        return isinstance(parsed(text), (dict, list))
    except ValueError:
        return False


def _typed(labels: pd.DataFrame) -> pd.DataFrame:
    labels = labels.copy()
    for column in (name for name in _JSON if name in labels):
        values = [None if pd.isna(text) else parsed(text) for text in labels[column]]
        labels[column] = pd.Series(values, labels.index, dtype=object)
    for column in (name for name in _NUMBERS if name in labels):
        whole = LABEL_DTYPES[column] == "Int64"
        labels[column] = pd.to_numeric(labels[column]).astype("Int64" if whole else "float64")
    if "label" not in labels:
        labels["label"] = pd.Series(pd.NA, labels.index, dtype="string")
    if "source" not in labels:
        labels["source"] = "import:csv"
    return labels


def _typed_images(images: pd.DataFrame) -> pd.DataFrame:
    images = images.copy()
    for column in (name for name in images if name in IMAGE_DTYPES):
        if IMAGE_DTYPES[column] in ("float64", "Int64"):
            images[column] = pd.to_numeric(images[column])
        elif IMAGE_DTYPES[column] == "boolean":
            images[column] = images[column].str.lower().map({"true": True, "false": False})
    return images


def _schema(path: Path, labels: pd.DataFrame, ids: pd.Series[Any] | None) -> Schema:
    """The scheme beside the file, else one of the names with their ids."""
    try:
        ours = Schema.from_dict(parsed(schema_file(path).read_bytes()))
        # Names that were typed in a spreadsheet since join the scheme.
        return ours.extended(infer_schema(labels))
    except OSError:
        pass
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(schema_file(path), "", f"is damaged: {error}; delete it") from error
    schema = infer_schema(labels)
    if ids is None or ids.isna().all():
        return schema
    numbers = pd.to_numeric(ids, errors="coerce")
    known = {
        (bool(tag), str(name)): int(number)
        for tag, name, number in zip(
            labels["kind"].eq("tag"), labels["label"], numbers, strict=True
        )
        if pd.notna(number) and pd.notna(name)
    }
    return Schema(
        classes=[{"name": c.name, "id": known.get((False, c.name))} for c in schema.classes],
        tags={
            group.name: {
                "choices": [
                    {"name": c.name, "id": known.get((True, c.name))} for c in group.choices
                ],
                "multiple": group.multiple,
            }
            for group in schema.tags
        },
    )


def sniff(path: Path) -> bool:
    """Whether the file ends in .csv or .tsv and its header has a column image."""
    if path.is_dir() or path.suffix.lower() not in (".csv", ".tsv"):
        return False
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", "replace")
    names = {name.strip().strip('"') for mark in ",;\t" for name in header.split(mark)}
    return "image" in names


FORMAT = Format(
    name="csv",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="types of the user's own columns (they come back as texts)",
)
