"""Pictures beside the file of a format that has only labels: in ``images``, under their keys."""

from __future__ import annotations

import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import WriteReport
from nbannotate.core.tables import KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import (
    Copy,
    convert_to_png,
    needs_png,
    place,
    require_files,
    sizes,
)
from nbannotate.formats.shared.names import distinct, inside, safe_paths
from nbannotate.formats.shared.tables import count_lost, reviewed

Write = Callable[..., WriteReport]

FOLDER = "images"
_READABLE = frozenset(("bmp", "jpg", "jpeg", "png", "tif", "tiff", "webp"))


def with_pictures(write: Write) -> Write:
    """The writer, with ``copy``: it puts the pictures beside what it writes.

    A picture that readers would show turned, or not at all, becomes an upright PNG. Keys that are
    no paths below a folder are changed to such. Nothing is seen of the pictures before all are
    there.
    """
    known = inspect.signature(write).parameters

    @wraps(write)
    def write_both(
        dataset: Dataset,
        path: Path,
        *,
        copy: Copy = "link",
        root: str | Path | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> WriteReport:
        if copy not in ("link", "copy"):
            raise FormatError(path, "", f"copy={copy!r}; use 'link', 'copy', 'crop' or 'none'")
        base = None if root is None else Path(root)
        if "overwrite" in known:
            options["overwrite"] = overwrite
        part = _taken(dataset, options) if "only" in known else dataset
        files = require_files(part.images, base, path)
        converted = [needs_png(file, _READABLE, turns=frozenset()) for file in files]
        names = distinct(
            str(PurePosixPath(name).with_suffix(".png")) if png else name
            for name, png in zip(safe_paths(part.images.index), converted, strict=True)
        )
        target = path.parent / FOLDER if path.suffix else path / FOLDER
        with _filled(target, overwrite=overwrite) as folder:
            for file, name, png in zip(files, names, converted, strict=True):
                picture = inside(folder, name, path)
                picture.parent.mkdir(parents=True, exist_ok=True)
                if png:
                    convert_to_png(file, picture)
                else:
                    place(file, picture, copy)
            if "root" in known:  # it looks into pictures, which are not there yet
                size = sizes(part.images, base, path)
                table = part.images.assign(width=size[:, 0], height=size[:, 1])
                part = Dataset(part.labels, table, part.schema)
            report = write(_renamed(part, names, target), path, **options)
        changed = sum(name != key for name, key in zip(names, part.images.index, strict=True))
        notes = [f"pictures are in {target}"]
        notes += [f"{sum(converted)} images converted to upright PNG"] * any(converted)
        notes += [f"{changed} images have another name in it"] * bool(changed)
        lost = dict(report.lost)
        count_lost(lost, "images not reviewed", len(dataset.images) - len(part.images))
        return replace(report, lost=lost, notes=(*report.notes, *notes))

    return write_both


def _taken(dataset: Dataset, options: dict[str, Any]) -> Dataset:
    """The part of the dataset that the writer will take."""
    taken = reviewed(dataset, KINDS, options.get("only", "reviewed"))
    return dataset if taken.all() else dataset.select(images=dataset.images.index[taken])


@contextmanager
def _filled(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which becomes `target` if all went well."""
    there = target.is_dir() and any(target.iterdir())
    if (there and not overwrite) or target.is_file():
        raise FormatError(
            target, "", "is where the pictures go, and is there; give another folder, or "
            "overwrite=True to replace it"
        )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".images-") as name:
        fresh = Path(name) / FOLDER
        fresh.mkdir()
        yield fresh
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)


def _renamed(dataset: Dataset, names: list[str], folder: Path) -> Dataset:
    """The dataset with its pictures there, under these keys."""
    keys = dict(zip(dataset.images.index, names, strict=True))
    paths = pd.array([str(folder / name) for name in names], dtype="string")
    images = dataset.images.assign(path=paths)
    images.index = pd.Index(names, dtype="string", name=images.index.name)
    labels = dataset.labels.assign(image=dataset.labels["image"].map(keys).astype("string"))
    return Dataset(labels, images, dataset.schema)
