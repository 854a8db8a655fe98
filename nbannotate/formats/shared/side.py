"""``nbannotate.json`` in an export: the scheme, image keys and names that its format cannot hold.

Its consumers do not look at it. It tells our own exports too, so that only those are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.shared.json_files import put_aside

SIDE_FILE = "nbannotate.json"


def refuse_other_export(path: Path, name: str) -> None:
    """`FormatError` if the folder holds an export of ours in another format."""
    earlier = read_side(path)
    # The first one that wrote such a file, YOLO, did not say so in it.
    other = earlier.get("format", "yolo")
    if earlier and other != name:
        raise FormatError(path, "", f"holds an export as {other!r}; give a new or an empty folder")


def write_side(
    folder: Path,
    name: str,
    schema: Schema,
    *,
    keys: Mapping[str, str],
    names: Mapping[str, str],
    **more: Any,
) -> None:
    """Write the file.

    Parameters
    ----------
    folder
        The export's folder.
    name
        The format's name.
    schema
        The scheme.
    keys
        Image keys by what the export calls the images.
    names
        What the export calls the classes, by their names.
    **more
        What else the reader of the format restores.
    """
    content = {
        "version": 1,
        "format": name,
        "schema": schema.to_dict(),
        "keys": {written: key for written, key in keys.items() if written != key},
        "names": {written: name for name, written in names.items() if written != name},
        **more,
    }
    (folder / SIDE_FILE).write_text(json.dumps(content), encoding="utf-8")


def read_side(folder: Path) -> dict[str, Any]:
    """The file's content; empty if it is not there or not ours."""
    return put_aside(folder / SIDE_FILE)


def write_lists(
    folder: Path,
    stems: Sequence[str],
    splits: Sequence[str] | NDArray[np.object_],
    rows: Iterable[int] | None = None,
) -> None:
    """Write a list of the images of each split: a line an image, as in VOC's ``ImageSets``.

    Parameters
    ----------
    folder
        Where the lists go.
    stems, splits
        Of all images.
    rows
        Those that are listed; None: all.
    """
    folder.mkdir(parents=True)
    listed: dict[str, list[str]] = {name: [] for name in dict.fromkeys(map(str, splits))}
    for row in range(len(stems)) if rows is None else rows:
        listed[str(splits[row])].append(stems[row])
    for name, lines in listed.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")


def texts(side: Mapping[str, Any], entry: str) -> dict[str, str]:
    """An entry that is a dict of texts; what in it is none is left out."""
    found = side.get(entry)
    if not isinstance(found, dict):
        return {}
    return {key: item for key, item in found.items() if isinstance(item, str)}


def side_schema(side: Mapping[str, Any], used: Iterable[str]) -> Schema | None:
    """The scheme in the file if it has all classes that are used; None: another tool was there."""
    try:
        schema = Schema.from_dict(side["schema"])
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    known = {c.name for c in schema.classes}
    return schema if known.issuperset(used) else None


def new_schema(
    names: Sequence[str], path: Path, numbers: Mapping[str, int] | None = None
) -> Schema:
    """A scheme of these classes, with their numbers as ids if they have such."""
    try:
        if numbers is not None:
            return Schema(classes=[{"id": numbers[name], "name": name} for name in names])
        return Schema(classes=names)
    except SchemaError as error:
        raise FormatError(path, "classes", str(error)) from error


def written_names(names: Iterable[str], clean: Callable[[str], str]) -> dict[str, str]:
    """What a format can call each class, no two the same.

    Parameters
    ----------
    names
        The classes' names.
    clean
        Makes of a name what the format can hold; it may be empty.
    """
    given = list(names)
    # A name that is good as it is stays, so the others keep clear of all such.
    taken = {name for name in given if clean(name) == name}
    result = {}
    for name in given:
        written = clean(name) or "_"
        if written != name:
            stem, number = written, 2
            while written in taken:
                written = f"{stem}_{number}"
                number += 1
            taken.add(written)
        result[name] = written
    return result


def one_word(name: str) -> str:
    """The name as one column of a text file whose columns are separated by spaces."""
    return "".join("_" if _breaks(letter) or letter.isspace() else letter for letter in name)


def one_line(name: str) -> str:
    """The name as one line of a text file, without spaces at its ends."""
    lined = "".join(" " if letter.isspace() else letter for letter in name)
    return "".join("_" if _breaks(letter) else letter for letter in lined).strip()


def _breaks(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f" or "\ud800" <= letter <= "\udfff"
