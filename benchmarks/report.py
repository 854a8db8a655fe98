"""Numbers into tables, verdicts and a JSON file; nothing here measures."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "nbannotate",
    "anywidget",
    "ipycanvas",
    "ipykernel",
    "ipywidgets",
    "jupyter-bbox-widget",
    "jupyterlab",
    "pandas",
    "playwright",
    "qsl",
)


@dataclass
class Samples:
    """Repeated measurements of one thing, in milliseconds.

    Parameters
    ----------
    values
        What was measured.
    missed
        How often the answer did not come in time.
    note
        Why there are none.
    """

    values: list[float] = field(default_factory=list)
    missed: int = 0
    note: str = ""

    def add(self, value: float | None) -> None:
        if value is None:
            self.missed += 1
        else:
            self.values.append(value)

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def p95(self) -> float | None:
        if not self.values:
            return None
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]

    def __str__(self) -> str:
        if self.median is None:
            return self.note or ("no answer" if self.missed else "–")
        missed = f", {self.missed} missed" if self.missed else ""
        return f"{short(self.median)} ({short(self.p95)}{missed})"

    def as_dict(self) -> dict[str, Any]:
        return {
            "n": len(self.values),
            "median": self.median,
            "p95": self.p95,
            "missed": self.missed,
            "note": self.note,
            "values": [round(value, 3) for value in self.values],
        }


class Table:
    """What was measured of each contender; the first is ours.

    Parameters
    ----------
    title
        What, and in which unit.
    contenders
        Names, ours first.
    """

    def __init__(self, title: str, contenders: Sequence[str]) -> None:
        self.title = title
        self.contenders = list(contenders)
        self.rows: dict[str, dict[str, Samples]] = {}

    def samples(self, row: str, contender: str) -> Samples:
        """Those of a row and contender, made when there are none yet."""
        cells = self.rows.setdefault(row, {})
        return cells.setdefault(contender, Samples())

    def median(self, row: str, contender: str | None = None) -> float | None:
        """None when it was not measured; of ours by default."""
        cell = self.rows.get(row, {}).get(contender or self.contenders[0])
        return None if cell is None else cell.median

    def ratio(self, row: str, contender: str) -> float | None:
        """Ours by theirs: under 1, we are faster."""
        ours, theirs = self.median(row), self.median(row, contender)
        return None if ours is None or not theirs else ours / theirs

    def __str__(self) -> str:
        first, *others = self.contenders
        head = [self.title, first]
        for other in others:
            head += [other, "ours/its"]
        lines = [head]
        for row, cells in self.rows.items():
            line = [row, str(cells.get(first, Samples()))]
            for other in others:
                ratio = self.ratio(row, other)
                line += [str(cells.get(other, Samples())), "" if ratio is None else f"{ratio:.2g}×"]
            lines.append(line)
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        text = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([text[0], "-" * len(text[0]), *text[1:]])

    def as_dict(self) -> dict[str, Any]:
        return {
            row: {name: cell.as_dict() for name, cell in cells.items()}
            for row, cells in self.rows.items()
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a target was met.

    Parameters
    ----------
    target
        In words.
    value, limit
        In one unit; None where it was not measured.
    """

    target: str
    value: float | None
    limit: float | None

    @property
    def passed(self) -> bool | None:
        """None when something was not measured."""
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "?   "}[self.passed]
        return f"{word}  {self.target}: {short(self.value)}, at most {short(self.limit)}"


def short(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def facts() -> dict[str, Any]:
    """The machine and the versions, for who compares two runs."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def tell(name: str, tables: Sequence[Table], verdicts: Sequence[Verdict], **more: Any) -> Path:
    """Print the tables and verdicts, and write all of it as a JSON file."""
    for table in tables:
        print(f"\n{table}")
    print()
    for verdict in verdicts:
        print(verdict)
    RESULTS.mkdir(exist_ok=True)
    told = facts() | more
    told["tables"] = {table.title: table.as_dict() for table in tables}
    told["verdicts"] = [
        {"target": v.target, "value": v.value, "limit": v.limit, "passed": v.passed}
        for v in verdicts
    ]
    path = RESULTS / f"{name}-{told['at'].replace(':', '')}.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False))
    print(f"\n{path.relative_to(RESULTS.parents[1])}")
    return path


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
