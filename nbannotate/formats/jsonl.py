"""JSON Lines, ours: the scheme in the first line, then one line an image with all of its labels.

Nothing is lost, lines keep their order, and a change of one image is a change of one line, which
suits version control. ``x``, ``y``, ``width``, ``height`` are pixels, as in the labels table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import write_atomic
from nbannotate.formats.shared.json_files import blamed, load
from nbannotate.formats.shared.records import Records, records
from nbannotate.formats.shared.tables import OnError, Problems

_HEAD = b'{"nbannotate":'


class _Head(msgspec.Struct):
    nbannotate: int
    schema: Any = None


@collector_off()
def write(dataset: Dataset, path: str | Path) -> WriteReport:
    """Write JSON Lines.

    Parameters
    ----------
    dataset
        What to write: all labels and images, the user's own columns too.
    path
        The file, whose name ends in .jsonl.

    Raises
    ------
    FormatError
        If the name is another, a number is not finite, or a column holds what JSON cannot.
    """
    path = Path(path)
    if path.suffix.lower() != ".jsonl" or path.is_dir():
        raise FormatError(path, "", "this is one file; give a name that ends in .jsonl")
    head = _Head(1, dataset.schema.to_dict())
    try:
        lines = [msgspec.json.encode(line) + b"\n" for line in (head, *records(dataset, path))]
    except UnicodeEncodeError as error:
        raise FormatError(path, "", f"a name is not Unicode text ({error}); rename it") from error
    write_atomic(path, lines)
    return WriteReport(path, len(dataset.images), len(dataset.labels))


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read JSON Lines: our own, or of anybody with ``image`` and ``labels`` in each line.

    Parameters
    ----------
    path
        The file.
    on_error
        ``"raise"`` at the first bad image or label, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the place as ``line 3.labels[0]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give a .jsonl")
    problems = Problems(path, on_error)
    found = Records("jsonl", path, problems)
    saved = None
    with blamed(path):
        for number, line in enumerate(load(path).split(b"\n"), 1):
            if line.startswith(_HEAD) and saved is None:
                try:
                    saved = msgspec.json.decode(line, type=_Head).schema
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise FormatError(
                        path, f"line {number}", f"is no scheme ({error}); mend or remove it"
                    ) from error
            elif line.strip():
                found.add(line, f"line {number}")
        return found.dataset(saved)


def sniff(path: Path) -> bool:
    """Whether the file's first line is our scheme, or an object with an image and labels."""
    if not path.is_file() or path.suffix.lower() not in (".jsonl", ".ndjson"):
        return False
    with path.open("rb") as file:
        start = file.read(65536).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    return start.startswith(_HEAD) or (
        start.startswith(b"{") and b'"image":' in start and b'"labels":' in start
    )


FORMAT = Format(
    name="jsonl",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="nothing is lost, but types of the user's own columns that JSON does not have",
)
