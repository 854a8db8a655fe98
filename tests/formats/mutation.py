"""Valid files with a few bytes wrong, for readers to refuse in their own words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from nbannotate.core.dataset import Dataset
from nbannotate.errors import FormatError

_PIECES = [
    b"", b"null", b"NaN", b"-1", b"1e999", b"[]", b"{}", b'""', b"\xff", b"\x00", b"..", b"1" * 40,
    b"true", b'"\\ud800"', b",", b"0.5", b"\n",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The data with up to three stretches of it replaced, or cut off."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 5, 10**9])))
        piece = draw(st.sampled_from(_PIECES) | st.binary(max_size=3))
        data = data[:start] + piece + data[end:]
    return data


def reads_or_refuses(read: Callable[..., Dataset], path: Path, **options: object) -> None:
    """Read the file both ways: a data set comes back, or a `FormatError` that says what to do."""
    for on_error in ("raise", "skip"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                read(path, on_error=on_error, **options)
            except FormatError as error:
                assert str(error).startswith(str(path)[:20]) and error.why
