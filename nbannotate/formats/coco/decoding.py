"""COCO's JSON, decoded into typed rows; rows that are none are named with their place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nbannotate.errors import FormatError
from nbannotate.formats.shared.json_files import load
from nbannotate.formats.shared.tables import Problems

CHECKED = ("neg_category_ids", "not_exhaustive_category_ids")
"""Of an LVIS image: classes known not to be there, and those of which not all are labelled."""

_Id = int | str | float


class Image(msgspec.Struct):
    """An item of ``images``."""

    id: _Id
    file_name: str | None = None
    width: float | None = None
    height: float | None = None
    coco_url: str | None = None
    neg_category_ids: list[int] | None = None
    not_exhaustive_category_ids: list[int] | None = None
    nbannotate: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The file name; of LVIS, which has addresses only, the folder and the name."""
        return self.file_name or "/".join((self.coco_url or "").split("/")[-2:])


class Category(msgspec.Struct):
    """An item of ``categories``."""

    id: int
    name: str
    keypoints: Any = None
    skeleton: Any = None


class Annotation(msgspec.Struct):
    """An item of ``annotations``."""

    image_id: _Id
    category_id: _Id
    id: _Id | None = None
    bbox: list[float] | None = None
    segmentation: Any = None
    iscrowd: int | bool | None = None
    keypoints: Any = None
    score: float | None = None
    attributes: Any = None
    nbannotate: dict[str, Any] | None = None


class File(msgspec.Struct):
    """A whole file."""

    categories: list[Category]
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] | None = None
    nbannotate: dict[str, Any] | None = None


class _LooseFile(msgspec.Struct):
    categories: list[Category]
    images: list[Any]
    annotations: list[Any] | None = None
    nbannotate: dict[str, Any] | None = None


Row = TypeVar("Row", bound=msgspec.Struct)
_AT_ONCE = 50_000


def decode(path: Path) -> File | _LooseFile:
    """The file's content, its images and annotations not yet typed: `rows` does that."""
    data = load(path)
    try:
        try:
            return msgspec.json.decode(data, type=File)
        except (msgspec.ValidationError, RecursionError):
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            # NaN is not JSON, but json.dump writes it: its rows are named later.
            return msgspec.convert(_load_with_nan(path, data), _LooseFile)
    except msgspec.ValidationError as error:
        raise _invalid(path, error) from error
    except RecursionError as error:
        raise FormatError(path, "", "is nested too deeply; write the file anew") from error


def decode_results(path: Path) -> list[msgspec.Raw]:
    """The results, a list of what is like annotations."""
    try:
        return msgspec.json.decode(load(path), type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(
            path, "", f"is no JSON list of results ({error}); write the file anew"
        ) from error


def rows(
    parts: Sequence[Any], kind: type[Row], problems: Problems, what: str
) -> Iterator[tuple[list[int], list[Row]]]:
    """The parts that are rows of that type, some at a time, and their places.

    A million rows as Python objects take a gigabyte, so whoever takes them keeps columns.
    """
    for start in range(0, len(parts), _AT_ONCE):
        some = parts[start : start + _AT_ONCE]
        try:
            yield list(range(start, start + len(some))), typed(some, kind)
            continue
        except msgspec.ValidationError:
            pass
        found, places = list[Row](), list[int]()
        for place, part in enumerate(some, start):
            try:
                found += typed([part], kind)
                places.append(place)
            except msgspec.ValidationError as error:
                text, _, where = str(error).partition(" - at `$[0]")
                why = f"{text[:1].lower()}{text[1:]}; mend it"
                problems.add(f"{what}[{place}]{where.removesuffix('`')}", why)
        yield places, found


def typed(parts: Sequence[Any], kind: type[Row]) -> list[Row]:
    """The parts as rows; `msgspec.ValidationError` if one is none."""
    if isinstance(parts[0], msgspec.Raw):
        return msgspec.json.decode(b"[%b]" % b",".join(parts), type=list[kind])  # type: ignore[valid-type]
    return msgspec.convert(parts, list[kind])  # type: ignore[valid-type]


def _load_with_nan(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise FormatError(
            path, f"line {error.lineno}", f"is not JSON: {error.msg}; write the file anew"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise FormatError(
            path, "", f"is not JSON in UTF-8: {error}; write the file anew"
        ) from error


def _invalid(path: Path, error: msgspec.ValidationError) -> FormatError:
    text, _, place = str(error).partition(" - at `$")
    where = place.removeprefix(".").removesuffix("`")
    mend = "mend it"
    if "required field" in text and not where:
        mend = "a COCO file is an object with images, categories and annotations"
    elif not where:
        mend = "a COCO file is an object; a list of results belongs to another file: read that"
    return FormatError(path, where, f"{text[:1].lower()}{text[1:]}; {mend}")
