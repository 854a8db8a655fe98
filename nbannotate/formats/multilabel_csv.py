"""CSV for multi-label classification: one row an image, one column of 0 and 1 a tag.

The first column, ``filename``, has the images. The scheme goes into ``NAME.schema.json`` beside the
file. Tables of others may have the tags in one column instead, with spaces or ``|`` between them.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.csv_table import schema_file
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import image_paths, write_atomic
from nbannotate.formats.shared.json_files import blamed, parsed
from nbannotate.formats.shared.reading import read_text
from nbannotate.formats.shared.tables import OnError, Only, Problems, on_images, reviewed

_FILES = ("filename", "file_name", "image_name", "image_path", "file")
_TAGS = ("tags", "labels", "classes")
_YES, _NO = {"1", "1.0", "true", "True", "TRUE"}, {"0", "0.0", "false", "False", "FALSE", ""}


@collector_off()
def write(dataset: Dataset, path: str | Path, *, only: Only = "reviewed") -> WriteReport:
    """Write the tags of images.

    Parameters
    ----------
    dataset
        What to write: tags. An image that is done and has none is a row of 0.
    path
        A ``.csv`` file.
    only
        ``"reviewed"``: images that are done or have tags; ``"all"``: those to do as well.

    Raises
    ------
    FormatError
        If the file is called otherwise, or tags bear all names of the column of images.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv" or path.is_dir():
        raise FormatError(path, "", "this is one file; give a name that ends in .csv")
    names = [choice.name for choice in dataset.schema.tag_choices]
    file = next((name for name in _FILES if name not in names), None)
    if file is None:
        raise FormatError(path, "header", f"tags are called {', '.join(_FILES)}; rename one")
    chosen = dataset.images[reviewed(dataset, ("tag",), only)]
    labels = on_images(dataset, chosen)
    lost = losses(dataset, chosen, labels, "a table of tags", kinds=("tag",))
    tags = labels[labels["kind"].eq("tag")]
    values = np.zeros((len(chosen), len(names)), dtype=np.int8)
    place = {name: column for column, name in enumerate(names)}
    columns = [place[name] for name in tags["label"].astype(object)]
    values[chosen.index.get_indexer(pd.Index(tags["image"])), columns] = 1
    table = pd.DataFrame(values, columns=pd.Index(names, dtype=object))
    table.insert(0, file, chosen.index.to_numpy(dtype=object))
    # A carriage return alone ends a line for readers, and is not quoted for it by the writer.
    texts = [*names, *chosen.index]
    odd = any("\r" in text for text in texts)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL
    try:
        content = table.to_csv(index=False, lineterminator="\n", quoting=quoting).encode()
    except UnicodeEncodeError as error:
        raise FormatError(path, "", f"a name is not Unicode text ({error}); rename it") from error
    write_atomic(schema_file(path), json.dumps(dataset.schema.to_dict()).encode())
    write_atomic(path, content)
    return WriteReport(path, len(chosen), len(tags), lost)


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read a table of images and their tags.

    Parameters
    ----------
    path
        The file: a column ``filename`` first, then one of 0 and 1 for each tag; or only a column
        ``tags``, with spaces or ``|`` between them.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad rows and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the row, counted from 1 below the header, the column and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "there is no such file; check the path")
    problems = Problems(path, on_error)
    with blamed(path):
        table = _load(path)
        keys = table.iloc[:, 0].tolist()
        named = np.array([bool(key) for key in keys], dtype=np.bool_)
        good = named & ~pd.Series(keys, dtype=object).duplicated().to_numpy(dtype=bool)
        for row in np.flatnonzero(~good).tolist():
            problems.add(f"row {row + 1}", f"image {keys[row]!r} is empty or stands twice; mend it")
        names, has, good = _tags(table, good, problems)
        at, column = np.nonzero(has & good[:, None])
        labels = pd.DataFrame({"image": [keys[row] for row in at.tolist()],
                               "label": [names[n] for n in column.tolist()]})  # fmt: skip
        labels["kind"], labels["source"] = "tag", "import:multilabel_csv"
        kept = [key for key, fine in zip(keys, good.tolist(), strict=True) if fine]
        found = pd.DataFrame({"status": "done"}, index=pd.Index(kept, dtype="string"))
        found["path"] = image_paths(kept, path, images)
        return problems.finish(Dataset(labels, found, _schema(path, names)))


def _load(path: Path) -> pd.DataFrame:
    try:
        text = read_text(path)
        # A class called NA or 001 keeps its name.
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, header=None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FormatError(path, "", f"is no table ({error}); mend it") from error
    head = table.iloc[0].tolist()
    if head[0] not in _FILES or len(set(head)) < len(head):
        raise FormatError(
            path, "header", f"{head[:3]} are no {_FILES[0]!r} and then tags, each once; mend it"
        )
    table = table.iloc[1:].fillna("").reset_index(drop=True)
    table.columns = pd.Index(head, dtype=object)
    return table


def _tags(
    table: pd.DataFrame, good: NDArray[np.bool_], problems: Problems
) -> tuple[list[str], NDArray[np.bool_], NDArray[np.bool_]]:
    """The tags; which image has which, shape (images, tags); and which rows are good."""
    head = [str(name) for name in table.columns]
    if len(head) == 2 and head[1] in _TAGS and not _is_answered(table.iloc[:, 1]):
        mark = "|" if table.iloc[:, 1].str.contains("|", regex=False).any() else None
        lists = [[tag.strip() for tag in text.split(mark)] for text in table.iloc[:, 1]]
        names = sorted({tag for tags in lists for tag in tags if tag})
        sets = [set(tags) for tags in lists]
        has = np.array([[name in tags for name in names] for tags in sets], dtype=np.bool_)
        return names, has.reshape(len(table), len(names)), good
    values = table.iloc[:, 1:]
    has = np.asarray(values.isin(_YES).to_numpy(), dtype=np.bool_)
    bad = ~has & ~np.asarray(values.isin(_NO).to_numpy(), dtype=np.bool_)
    for row, column in zip(*np.nonzero(bad), strict=True):
        if good[row]:
            problems.add(
                f"row {row + 1}, column {head[column + 1]!r}",
                f"{values.iat[row, column]!r} is neither 0 nor 1; mend it",
            )
            good[row] = False
    return head[1:], has, good


def _is_answered(column: pd.Series[Any]) -> bool:
    """Whether it is the column of a tag, not of lists of tags: there are only ones and zeros."""
    return bool(column.isin({*_YES, *_NO}).all() and column.ne("").any())


def _schema(path: Path, names: list[str]) -> Schema:
    plain = Schema(tags={"tag": {"choices": names, "multiple": True}} if names else {})
    try:
        saved = Schema.from_dict(parsed(schema_file(path).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, SchemaError):
        return plain
    known = {choice.name for choice in saved.tag_choices}
    return saved if known.issuperset(names) else plain


def sniff(path: Path) -> bool:
    """Whether the file is CSV whose first column has files, and the others 0 and 1, or tags."""
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20).decode("utf-8-sig", "replace")
        table = pd.read_csv(io.StringIO(head), dtype=str, keep_default_na=False, nrows=3)
    except (ValueError, OSError):
        return False
    names = [str(name) for name in table.columns]
    if names[0] not in _FILES or len(names) < 2:
        return False
    if len(names) == 2 and names[1] in _TAGS:
        return True
    return bool(len(table)) and bool(table.iloc[:, 1:].isin(_YES | _NO).all(axis=None))


FORMAT = Format(
    name="multilabel_csv",
    kinds=("tag",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="anything but tags; scores, who and when",
)
