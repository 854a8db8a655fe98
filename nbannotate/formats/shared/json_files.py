"""JSON of label files: capped in size, decoded into typed rows, with the place of what is wrong."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nbannotate.errors import FormatError
from nbannotate.formats.shared.tables import Problems

LARGEST_FILE = 2 * 2**30
"""Bytes of a label file; decoded, a larger one would not fit in the memory of most machines."""

LARGEST_SIDE = 100_000
"""Pixels of an image's side; a larger one is a slip or an attack."""

T = TypeVar("T")
_PLACE = re.compile(r" - at `\$(.*)`$", re.DOTALL)


def parsed(text: str | bytes) -> Any:
    """The JSON's value; `ValueError` if it is none, is nested too deeply, or is no Unicode."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from error


def encoded(value: Any, path: Path) -> bytes:
    """The value as JSON, to be written to path; `FormatError` if a text in it is not Unicode."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        why = f"a name or text is not Unicode ({error}); mend it"
        raise FormatError(path, "", why) from error


def put_aside(file: Path) -> dict[str, Any]:
    """What our writer put into a file of ours; empty if it is not there, or damaged since."""
    try:
        content = parsed(load(file))
    except (FormatError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def load(path: Path) -> bytes:
    """The file's bytes without a byte order mark; `FormatError` if there are too many."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise FormatError(
                path, "", f"has {size / 2**30:.1f} GB, over the {LARGEST_FILE >> 30} GB read at "
                "once; split it"
            )  # fmt: skip
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise FormatError(path, "", f"cannot be read ({error.strerror}); check the path") from error


def decode(data: bytes | msgspec.Raw, kind: type[T], path: Path, where: str = "") -> T:
    """The JSON as that type.

    Parameters
    ----------
    data
        A file's bytes, or a part of them that was decoded as raw.
    kind
        A type that msgspec knows.
    path, where
        The file, and the place in it that `data` comes from.

    Raises
    ------
    FormatError
        Naming the place in the file.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        place, why = _explained(error)
        raise FormatError(path, joined(where, place), f"{why}; mend it") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line, why = _malformed(bytes(data), error)
        raise FormatError(path, where or line, why) from error


def decode_each(
    parts: Sequence[msgspec.Raw],
    kind: type[T],
    problems: Problems,
    where: str,
    path: Path | None = None,
) -> list[T | None]:
    """Each part as that type; None for those that are bad, which `problems` hears of.

    Parameters
    ----------
    parts
        Items of a list that was decoded as raw.
    kind
        A type that msgspec knows.
    problems
        What takes the bad ones.
    where
        The list's place: item 3 of ``annotations`` is ``annotations[3]``.
    path
        The file, if it is not that of `problems`.
    """
    decoder = msgspec.json.Decoder(kind)
    rows: list[T | None] = []
    for number, part in enumerate(parts):
        try:
            rows.append(decoder.decode(part))
        except msgspec.ValidationError as error:
            place, why = _explained(error)
            problems.add(joined(f"{where}[{number}]", place), f"{why}; mend it", path)
            rows.append(None)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _, why = _malformed(bytes(part), error)
            problems.add(f"{where}[{number}]", why, path)
            rows.append(None)
    return rows


def joined(where: str, place: str) -> str:
    """A place within a place: ``shapes[3]`` and ``points[0]`` are ``shapes[3].points[0]``."""
    return f"{where}.{place}" if where and place and place[0] != "[" else f"{where}{place}"


def _explained(error: msgspec.ValidationError) -> tuple[str, str]:
    """The place that msgspec names, and what it says is wrong there."""
    text = str(error)
    found = _PLACE.search(text)
    why = text[: found.start()] if found else text
    return (found[1].removeprefix(".") if found else ""), f"{why[:1].lower()}{why[1:]}"


def _malformed(data: bytes, error: Exception) -> tuple[str, str]:
    """The line, and what is wrong there."""
    if isinstance(error, RecursionError):
        return "", "is nested too deeply for a label file; write it anew"
    if isinstance(error, UnicodeDecodeError):
        return "", f"is not text in UTF-8 ({error.reason}); write it anew"
    found = re.search(r"\(byte (\d+)\)", str(error))
    at = int(found[1]) if found else len(data)
    newlines = data.count(b"\n", 0, at)
    line = f"line {newlines + 1}"
    if data[at : at + 3] in (b"NaN", b"Inf", b"-In") or data[at - 1 : at + 2] == b"-In":
        return line, "holds NaN or infinity, which is no number in JSON; mend or remove the row"
    return line, f"is not JSON ({error}); write the file anew"


@contextlib.contextmanager
def blamed(path: Path) -> Iterator[None]:
    """Errors about values turn into `FormatError` that names the file.

    Rows are checked as they are read. This is for the rest: what our own writers put aside and
    something else has changed since, or a scheme that contradicts itself.
    """
    try:
        yield
    except FormatError:
        raise
    except (
        ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OSError
    ) as error:  # fmt: skip
        raise FormatError(path, "", f"{error}; mend the file") from error


def check_side(width: float, height: float) -> str | None:
    """What is wrong with an image's size in pixels; None if nothing is."""
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        return (
            f"{width:g} × {height:g} is no size of an image; give width and height in pixels, "
            f"1 … {LARGEST_SIDE}"
        )
    return None
