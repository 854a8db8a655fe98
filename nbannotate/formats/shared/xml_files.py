"""XML of others read without what makes it dangerous, and texts written so that they come back.

A document type, and with it every entity, can only stand before the root element. That far
defusedxml's parser reads each file, and refuses them; the rest is the C parser's, which is ten
times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast
from xml.etree.ElementTree import Element, ParseError, XMLParser, XMLPullParser

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from nbannotate.errors import FormatError
from nbannotate.formats.shared.json_files import LARGEST_FILE, load

_CHUNK = 1 << 16
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTENT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
# A parser makes spaces of line ends in the value of an attribute.
_VALUE = {**_CONTENT, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


class _Begun(Exception):  # noqa: N818  no error: the root element is there
    """The root element begins."""


class _Start:
    """The target of a parser that looks only for the root element."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        raise _Begun(tag)


def _check_start(chunks: Iterable[bytes]) -> str:
    """The root element's name; what may come before it alone is refused."""
    parser = DefusedXMLParser(target=_Start(), forbid_dtd=True)
    try:
        for chunk in chunks:
            parser.feed(chunk)
        parser.close()
    except _Begun as begun:
        return str(begun)
    return ""


def root_tag(path: Path) -> str | None:
    """The name of the file's root element; None if it is no XML that we would read."""
    try:
        with path.open("rb") as file:
            return _check_start(iter([file.read(_CHUNK)])) or None
    except (ParseError, DefusedXmlException, ValueError, LookupError, OSError):
        return None


def parse(path: Path, tag: str) -> Element:
    """The file's root element, which has that name.

    Raises
    ------
    FormatError
        If the file is no XML, is too big, has a document type, or its root has another name.
    """
    data = load(path)
    try:
        found = _check_start([data])
        if found == tag:
            parser = XMLParser()
            parser.feed(data)
            root: Element = parser.close()
            return root
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _refused(path, error) from error
    raise _other_root(path, found, tag)


def children(path: Path, tag: str) -> Iterator[Element]:
    """The root element's children one after the other, each forgotten once the next is asked for.

    Raises
    ------
    FormatError
        As `parse`.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size > LARGEST_FILE:
                load(path)  # which says so
            found = _check_start(_chunks(file))
            if found != tag:
                raise _other_root(path, found, tag)
            file.seek(0)
            yield from _grown(file)
    except OSError as error:
        raise FormatError(path, "", f"cannot be read ({error}); check the path") from error
    except FormatError:
        raise
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise _refused(path, error) from error


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _grown(file: IO[bytes]) -> Iterator[Element]:
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    around: list[Element] = []
    for chunk in _chunks(file):
        parser.feed(chunk)
        for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
            if event == "start":
                around.append(element)
                continue
            around.pop()
            if len(around) == 1:
                yield element
                around[0].clear()
    parser.close()


def _refused(path: Path, error: Exception) -> FormatError:
    if isinstance(error, ParseError):
        line, column = error.position
        return FormatError(
            path, f"line {line}", f"is not XML at column {column} ({error}); write the file anew"
        )
    if isinstance(error, DefusedXmlException):
        return FormatError(
            path, "", "has a <!DOCTYPE …>, which may do harm; delete it from the file"
        )
    return FormatError(path, "", f"cannot be read as XML ({error}); save it in UTF-8")


def _other_root(path: Path, found: str, tag: str) -> FormatError:
    return FormatError(path, f"<{found}>", f"is not <{tag}>, so it belongs to another format")


def legal(text: str) -> str:
    """The text with ``_`` for what XML does not have: most control characters."""
    return _ILLEGAL.sub("_", text)


def content(text: str) -> str:
    """The text as the content of an element."""
    return _escaped(text, _CONTENT)


def value(text: str) -> str:
    """The text as the value of an attribute, without the quotes around it."""
    return _escaped(text, _VALUE)


def _escaped(text: str, codes: dict[str, str]) -> str:
    text = legal(text)
    for character, code in codes.items():
        if character in text:
            text = text.replace(character, code)
    return text
