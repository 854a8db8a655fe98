"""COCO's JSON, decoded into typed rows; rows that are none are named with their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nbannotate.errors import FormatError
from nbannotate.formats._tables import Problems

_Id = int | str | float


class Image(msgspec.Struct):
    id: _Id
    file_name: str
    width: float | None = None
    height: float | None = None
    nbannotate: dict[str, Any] | None = None


class Category(msgspec.Struct):
    id: int
    name: str
    keypoints: Any = None
    skeleton: Any = None


class Annotation(msgspec.Struct):
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
    images: list[Image]
    categories: list[Category]
    annotations: list[Annotation] | None = None
    nbannotate: dict[str, Any] | None = None


class _LooseFile(msgspec.Struct):
    categories: list[Category]
    images: list[Any]
    annotations: list[Any] | None = None
    nbannotate: dict[str, Any] | None = None


Row = TypeVar("Row", bound=msgspec.Struct)


def decode(path: Path, problems: Problems) -> tuple[File, list[int], list[int]]:
    """The file's content, and the places that its images and annotations have in it."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    strict = problems.on_error == "raise"
    try:
        try:
            content = msgspec.json.decode(data, type=File)
        except msgspec.ValidationError:
            if strict:
                raise
            loose = msgspec.json.decode(data, type=_LooseFile)
            return _convert_rows(loose, problems)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # NaN is not JSON, but json.dump writes it: its rows are named later.
            loaded = _load_with_nan(path, data)
            if not strict:
                return _convert_rows(msgspec.convert(loaded, _LooseFile), problems)
            content = msgspec.convert(loaded, File)
    except msgspec.ValidationError as error:
        raise _invalid(path, error) from error
    return content, list(range(len(content.images))), list(range(len(content.annotations or [])))


def _convert_rows(loose: _LooseFile, problems: Problems) -> tuple[File, list[int], list[int]]:
    images, image_places = _convert_each(loose.images, Image, "images", problems)
    rows, places = _convert_each(loose.annotations or [], Annotation, "annotations", problems)
    return File(images, loose.categories, rows, loose.nbannotate), image_places, places


def _convert_each(
    rows: list[Any], kind: type[Row], what: str, problems: Problems
) -> tuple[list[Row], list[int]]:
    converted, places = list[Row](), list[int]()
    for place, row in enumerate(rows):
        try:
            converted.append(msgspec.convert(row, kind))
            places.append(place)
        except msgspec.ValidationError as error:
            problems.add(f"{what}[{place}]", str(error))
    return converted, places


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
    elif where.startswith(("annotations", "images")):
        mend = 'mend it, or read with on_error="skip" to leave such rows out'
    return FormatError(path, where, f"{text[:1].lower()}{text[1:]}; {mend}")
