"""TRL's rows as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

from nbannotate.core.answers import ANSWERS, PROMPT
from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import IMAGE_DTYPES
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import IMAGE_EXTRAS
from nbannotate.formats.shared.json_files import load, put_aside
from nbannotate.formats.shared.one_file import own_of
from nbannotate.formats.shared.rows import Rows, scheme
from nbannotate.formats.shared.side import read_side
from nbannotate.formats.shared.tables import SPLIT_NAMES, Problems
from nbannotate.formats.trl.writing import FILES, Words, beside

_MOST_ANSWERS = 1000

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class Found:
    """A row as it was read.

    Parameters
    ----------
    where
        Its file and line, for errors.
    key
        What its item is called if nothing else is known.
    split
        That of its file.
    row
        What TRL reads.
    more
        Its other columns.
    own
        What our writer said of it; None if it did not.
    """

    file: Path
    where: str
    key: str
    split: str | None
    row: Any
    more: dict[str, Any]
    own: list[Any] | None


class Coming:
    """Items and labels as they are read.

    Parameters
    ----------
    path
        The file or folder.
    name
        The format's name.
    problems
        What takes bad rows.
    """

    def __init__(self, path: Path, name: str, problems: Problems) -> None:
        if not path.exists():
            raise FormatError(path, "", "there is no such file or folder; check the path")
        self.path, self.problems = path, problems
        self.rows = Rows(f"import:{name}")
        side = read_side(path) if path.is_dir() else put_aside(beside(path))
        self.side = side if side.get("format") == name else {}
        self.items: dict[str, dict[str, Any]] = {}
        self._labels = own_of(self.side.get("labels"))

    def found(self, kind: type[T]) -> Iterator[Found]:
        """The rows of all files; bad ones go to the problems."""
        for file in files_of(self.path):
            words = file.stem.lower().replace("-", "_").split("_")
            split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)
            lines = [
                (number, line)
                for number, line in enumerate(load(file).split(b"\n"), 1)
                if line.strip()
            ]
            ours = own_of(self.side.get("lines")).get(file.name)
            # Rows that were taken out or put in since are anybody's.
            known = isinstance(ours, list) and len(ours) == len(lines)
            for place, (number, line) in enumerate(lines):
                where = f"line {number}"
                try:
                    values = msgspec.json.decode(line, type=dict[str, Any])
                    row = msgspec.convert(values, kind)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    why = f"{str(error)[:1].lower()}{str(error)[1:]}; mend it"
                    self.problems.add(where, why, file)
                    continue
                more = {k: v for k, v in values.items() if k not in kind.__struct_fields__}
                own = ours[place] if known and isinstance(ours, list) else None
                own = own if isinstance(own, list) else None
                yield Found(file, where, f"{file.stem}:{number}", split, row, more, own)

    def item(self, key: str, found: Found, prompt: Words | None) -> list[Any]:
        """The answers of the item, which the caller fills; new if it is not known."""
        if key not in self.items:
            own = own_of(own_of(self.side.get("items")).get(key)) if found.own else {}
            row = {"status": "done", "split": found.split}
            row |= {name: own[name] for name in IMAGE_EXTRAS if name in own}
            more = own_of(own.get("more")) if own else found.more
            row |= {f"row_{k}" if k in (*IMAGE_DTYPES, PROMPT, ANSWERS) else k: v
                    for k, v in more.items()}  # fmt: skip
            self.items[key] = row | {PROMPT: prompt, ANSWERS: []}
        answers: list[Any] = self.items[key][ANSWERS]
        return answers

    def label(self, label_id: Any) -> dict[str, Any]:
        """What our writer put aside of a label."""
        return own_of(self._labels.get(label_id))

    def dataset(self) -> Dataset:
        """All of it."""
        labels = self.rows.table()
        named = (name for row in self.items.values() for name in row)
        columns = list(dict.fromkeys((PROMPT, ANSWERS, *named)))
        index = pd.Index(list(self.items), dtype="string")
        images = pd.DataFrame(index=index)
        for column in columns:
            values = [row.get(column) for row in self.items.values()]
            images[column] = pd.Series(values, index=index, dtype=object)
        schema = scheme(labels, self.path, saved=self.side.get("schema"))
        return self.problems.finish(Dataset(labels, images, schema))


def put(answers: list[Any], place: Any, words: Words) -> None:
    """Put an answer into its place among those of its item, if there can be such a place."""
    if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < _MOST_ANSWERS:
        answers.extend([None] * (place + 1 - len(answers)))
        answers[place] = words


def files_of(path: Path) -> list[Path]:
    """The files: that one, or those of a folder."""
    if path.is_file():
        return [path]
    order = {f"{file}.jsonl": place for place, file in enumerate(FILES.values())}
    return sorted(path.glob("*.jsonl"), key=lambda file: (order.get(file.name, len(order)), file))


def has_columns(path: Path, columns: Iterable[str], without: Iterable[str] = ()) -> bool:
    """Whether the first row has these columns and none of the others."""
    if path.is_dir():
        side = read_side(path)
        if side and not str(side.get("format", "")).startswith("trl_"):
            return False
    elif path.suffix.lower() not in (".jsonl", ".ndjson"):
        return False
    for file in files_of(path)[:1]:
        with file.open("rb") as content:
            line = content.read(1 << 20).removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
        if not line.startswith(b"{"):
            return False
        try:
            row = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return row.keys() >= set(columns) and not row.keys() & set(without)
    return False
