"""The label formats that are installed, found through the entry points ``nbannotate.formats``.

A format is one object with the attributes of `Format`. Ours are registered the same way as those
of other packages, so that a name here is all that core knows of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbannotate.errors import FormatError, NbannotateError

if TYPE_CHECKING:
    from nbannotate.core.dataset import Dataset

GROUP = "nbannotate.formats"
EXPORT_GROUP = "nbannotate.export"
"""The function that every writer is called through: it makes the pictures that go along."""

TRAINING_GROUP = "nbannotate.training"
"""Functions of a dataset and options that make what a library trains on: ``Dataset.to_NAME``."""


@dataclass(frozen=True)
class WriteReport:
    """What a writer wrote and what its format could not carry.

    Parameters
    ----------
    path
        The file or folder written.
    images, labels
        How many of each it now holds.
    lost
        Counts of what was left out, by reason.
    notes
        What else the person should know, such as images that were converted.
    """

    path: Path
    images: int
    labels: int
    lost: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lost = "".join(f"\n  left out: {count} × {why}" for why, count in self.lost.items())
        notes = "".join(f"\n  {note}" for note in self.notes)
        return f"{self.path}: {self.labels} labels on {self.images} images{lost}{notes}"


@dataclass(frozen=True)
class Format:
    """One label format.

    Parameters
    ----------
    name
        Its name in ``format=``, ``read_NAME`` and ``to_NAME``.
    kinds
        The kinds of labels that it carries.
    read
        ``read(path, **options) -> Dataset``; None if it is only written.
    write
        ``write(dataset, path, **options) -> WriteReport``; None if it is only read.
    sniff
        ``sniff(path) -> bool``: whether the path looks like this format, from its content.
    cannot_carry
        What is lost in it, for people.
    """

    name: str
    kinds: tuple[str, ...]
    read: Callable[..., Dataset] | None
    write: Callable[..., WriteReport] | None
    sniff: Callable[[Path], bool]
    cannot_carry: str = ""


@cache
def names() -> tuple[str, ...]:
    """The names of the formats installed, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


@cache
def find(name: str) -> Format:
    """The format of that name.

    Raises
    ------
    NbannotateError
        If there is none; the message lists those there are.
    """
    for point in entry_points(group=GROUP, name=name):
        loaded = point.load()
        if not isinstance(loaded, Format):
            raise NbannotateError(
                f"the entry point {point.value!r} for format {name!r} is no nbannotate Format"
            )
        return loaded
    raise NbannotateError(f"no format {name!r}; there are {', '.join(names()) or 'none'}")


def reader(name: str) -> Callable[..., Dataset]:
    """The function that reads the format."""
    read = find(name).read
    if read is None:
        raise NbannotateError(f"format {name!r} can be written but not read")
    return read


def writer(name: str) -> Callable[..., WriteReport]:
    """The function that writes the format.

    It takes the options of the format's writer and, where that takes pictures along, those by
    which they are made: ``copy="crop"``, ``margin``, ``resize``, ``executor``, ``progress``.
    """
    format = find(name)
    if format.write is None:
        raise NbannotateError(f"format {name!r} can be read but not written")
    [point, *_] = entry_points(group=EXPORT_GROUP)

    @wraps(format.write)
    def write(dataset: Dataset, path: str | Path, **options: Any) -> WriteReport:
        report: WriteReport = point.load()(format, dataset, path, **options)
        return report

    return write


@cache
def libraries() -> tuple[str, ...]:
    """The libraries that a dataset can be turned into an object of, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=TRAINING_GROUP)}))


def converter(name: str) -> Callable[..., Any]:
    """The function that makes an object of that library.

    Raises
    ------
    NbannotateError
        If the library is not installed.
    """
    [point, *_] = entry_points(group=TRAINING_GROUP, name=name)
    try:
        convert: Callable[..., Any] = point.load()
    except ImportError as error:
        raise NbannotateError(
            f"to_{name} needs a package that cannot be loaded ({error}); install it with: "
            f"pip install 'nbannotate[{name}]'"
        ) from error
    return convert


def read(path: str | Path, *, format: str | None = None, **options: Any) -> Dataset:
    """Read labels; the format is found from the content unless it is given.

    Parameters
    ----------
    path
        File or folder.
    format
        Name of the format, as in `names`.
    **options
        Passed to the format's reader.

    Raises
    ------
    FormatError
        If nothing is there, no format fits, or the content is not what the format says.
    """
    where = Path(path).expanduser()
    if format is not None:
        return reader(format)(where, **options)
    if not where.exists():
        raise FormatError(where, "", "there is no such file or folder; check the path")
    for name in names():
        candidate = find(name)
        if candidate.read is not None and candidate.sniff(where):
            return candidate.read(where, **options)
    raise FormatError(
        where, "", f"looks like none of {', '.join(names())}; say which with format=…"
    )
