"""Files that are damaged, as a bad disk, a bad editor or bad will would: what readers make of them.

A reader may read them, or say with `FormatError` what is wrong; nothing else, and not slowly.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from nbannotate.errors import FormatError

_TOKENS = [b"", b"-1", b"1e400", b"nan", b"\x00", b"\xff", b"<", b"&", b'"', b"9" * 20, b",",
           b" ", b"\n", b"0", b"../../x", b"<!DOCTYPE a>"]  # fmt: skip

Change = tuple[int, int, bytes]  # where, how many bytes go, what comes there

changes: st.SearchStrategy[list[Change]] = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.one_of(st.integers(0, 8), st.integers(0, 10**4)),
        st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=4)),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changed: list[Change]) -> bytes:
    """The content after the changes."""
    for place, length, put in changed:
        at = place % (len(content) + 1)
        content = content[:at] + put + content[at + length :]
    return content


def read_or_say_why(read: Callable[..., Any], path: Path) -> None:
    """Read as both kinds of users do; any error but `FormatError` fails the test."""
    for on_error in ("raise", "skip"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path, on_error=on_error)
        except FormatError as error:
            assert str(error)
