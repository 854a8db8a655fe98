"""Files that are damaged, as a bad disk, a bad editor or bad will would: what readers make of them.

A reader may read them, or say with `FormatError` what is wrong; nothing else, and not slowly.
"""

from __future__ import annotations

import contextlib
import re
import resource
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nbannotate.errors import FormatError
from nbannotate.formats.tfrecord.codec import framed

SLOWEST = 5  # seconds
MOST_MEMORY = 2**30  # bytes

_BYTES = [b"", b"-1", b"1e400", b"nan", b"\x00", b"\xff", b"<", b"&", b'"', b"9" * 20, b",",
          b" ", b"\n", b"0", b"../../x", b"<!DOCTYPE a>"]  # fmt: skip
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.){0,200}"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*')
_VALUES = [b"-1", b"0", b"1", b"2147483648", b"99999999999999999999", b"1e400", b"-1e308", b"1e18",
           b"0.5", b"NaN", b"null", b"true", b'""', b'"x"', b'"../../x"', b'"/etc/passwd"', b"[]",
           b"{}", b"[[1, 2]]", b'{"a": 1}', b"[" * 3000, b'{"a":' * 3000, b"x" * 5000,
           b'"\\ud800"', b'"a\\u0000b"', b"\xe2\x80\xa8", b"100000"]  # fmt: skip

Change = tuple[str, int, int, bytes]
"""What is done, where, to how much, and what comes there."""

_number = st.integers(0, 10**6)
changes: st.SearchStrategy[list[Change]] = st.lists(
    st.one_of(
        st.tuples(
            st.just("bytes"),
            _number,
            st.one_of(st.integers(0, 8), st.integers(0, 10**4)),
            st.one_of(st.sampled_from(_BYTES), st.binary(max_size=4)),
        ),
        st.tuples(st.just("token"), _number, st.just(0), st.sampled_from(_VALUES)),
        st.tuples(st.just("swap"), _number, _number, st.just(b"")),
        st.tuples(st.just("line"), _number, st.integers(0, 3), st.just(b"")),
        st.tuples(st.just("cut"), _number, st.just(0), st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changed: list[Change]) -> bytes:
    """The content after the changes."""
    for change, place, length, put in changed:
        if change == "bytes":
            at = place % (len(content) + 1)
            content = content[:at] + put + content[at + length :]
        elif change == "cut":
            content = content[: place % (len(content) + 1)]
        elif change == "line":
            content = _line(content, place, length)
        else:
            content = _token(content, place, length, put)
    return content


def _token(content: bytes, place: int, other: int, put: bytes) -> bytes:
    """A number, name or text is another one, or that of another place."""
    tokens = list(_TOKEN.finditer(content))
    if not tokens:
        return content
    found = tokens[place % len(tokens)]
    new = put or tokens[other % len(tokens)][0]
    return content[: found.start()] + new + content[found.end() :]


def _line(content: bytes, place: int, times: int) -> bytes:
    """A line is gone, or there several times."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    at = place % len(lines)
    return b"".join([*lines[:at], *lines[at : at + 1] * times, *lines[at + 1 :]])


def mended(content: bytes, before: bytes) -> bytes:
    """The content with right checksums, as a bad writer would make it, not a bad disk."""
    if before[:8] == b"\x89PNG\r\n\x1a\n":
        return _mended_png(content)
    if (len(before) > 16 and before[12:16] != content[12:16]) or before[4:8] == before[8:12]:
        return content
    length = struct.unpack("<Q", before[:8])[0] if len(before) > 16 else 0
    if len(before) == length + 16:  # a TFRecord of one record
        return framed(content[12:-4])
    return content


def _mended_png(content: bytes) -> bytes:
    result, at = content[:8], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            break
        body = content[at + 4 : at + 8 + length]
        result += content[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + length
    return result + content[at:]


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Fail if the block takes over 5 s of this process's time, or over 1 GB of new memory."""
    status = Path("/proc/self/status")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if status.is_file():
        [used] = re.findall(r"VmData:\s+(\d+) kB", status.read_text())
        resource.setrlimit(resource.RLIMIT_DATA, (int(used) * 1024 + MOST_MEMORY, hard))
    start = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    taken = time.process_time() - start
    assert taken < SLOWEST, f"{taken:.1f} s"


def read_or_say_why(read: Callable[..., Any], path: Path) -> None:
    """Read as both kinds of users do; any error but `FormatError` fails the test."""
    for on_error in ("raise", "skip"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path, on_error=on_error)
        except FormatError as error:
            assert str(error)
