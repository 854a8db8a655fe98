"""The way of every writer: pictures are made first where some are asked for, then it writes."""

from __future__ import annotations

import inspect
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import KINDS
from nbannotate.errors import FormatError
from nbannotate.export.beside import with_pictures
from nbannotate.export.fitting import Sizes, crops, fitted_sizes, regions, scaled
from nbannotate.export.pictures import Job, Progress, make_all
from nbannotate.export.uploading import refuse_present, upload
from nbannotate.formats.shared.files import require_files, sizes

Write = Callable[..., WriteReport]

_PICTURED = frozenset(KINDS) - {"choice", "rating"}

MADE = ("resize", "margin", "executor", "progress")
"""Options that are about making pictures, whatever the format."""


def takes_pictures(format: Format) -> bool:
    """Whether the format is about pictures, so that these can go along."""
    return bool(_PICTURED & set(format.kinds))


def export(format: Format, dataset: Dataset, path: str | Path, **options: Any) -> WriteReport:
    """Write a dataset, with pictures made for it if that is asked for.

    Parameters
    ----------
    format
        The format, which can be written.
    dataset
        What to write.
    path
        File or folder; or a URL that fsspec writes to.
    **options
        Those of the format's writer, and:

        ``copy="link"``, ``copy="copy"``
            For formats of labels only, such as one JSON file: pictures go into ``images`` beside
            it, as links or copies; ``overwrite=True`` replaces such a folder.
        ``copy="crop"``
            Each label with a place becomes a picture of its own, tagged with its class.
        ``margin``
            What a crop has on each side beyond its label: a fraction of its width and height.
        ``resize``
            The longest side in pixels, or width and height that pictures are made to fit, upright;
            labels are scaled along. None is enlarged.
        ``executor``
            What makes the pictures: a `concurrent.futures.Executor`, a ``dask.distributed.Client``,
            or the module ``ray``.
        ``progress``
            As in `make_all`.

    Raises
    ------
    FormatError
        If the format takes no pictures, or one cannot be made. Those made stay, so that writing
        again goes on where it ended.
    """
    write = format.write
    assert write is not None
    if "://" not in os.fspath(path):
        return _write(format, write, dataset, Path(path).expanduser(), options)
    address = os.fspath(path)
    refuse_present(address, overwrite=bool(options.get("overwrite")))
    if "overwrite" in options and "overwrite" not in inspect.signature(write).parameters:
        options.pop("overwrite")
    with tempfile.TemporaryDirectory(prefix="nbannotate-") as name:
        local = Path(name) / (address.rstrip("/").rpartition("/")[2] or "out")
        report = _write(format, write, dataset, local, options)
        upload(local, address)
        for other in Path(name).iterdir():  # pictures beside a file
            if other != local:
                upload(other, f"{address.rstrip('/').rpartition('/')[0]}/{other.name}")
    return replace(report, path=Path(address))


def _write(
    format: Format, write: Write, dataset: Dataset, path: Path, options: dict[str, Any]
) -> WriteReport:
    given = {name: options.pop(name) for name in MADE if name in options}
    cropped = options.get("copy") == "crop"
    if "copy" not in inspect.signature(write).parameters:
        if options.get("copy", "none") == "none" and not given:
            options.pop("copy", None)
            return write(dataset, path, **options)
        if not takes_pictures(format):
            raise FormatError(
                path, "", f"{format.name} is not about pictures, and takes none along"
            )
        write = with_pictures(write)
    if not given and not cropped:
        return write(dataset, path, **options)
    if options.get("copy") == "none":
        raise FormatError(path, "", "copy='none' takes no pictures along; leave it or resize out")
    if options.get("copy") == "crop":
        return _write_crops(write, dataset, path, options, _Making.of(path, **given))
    return _write_fitted(write, dataset, path, options, _Making.of(path, **given))


@dataclass(frozen=True)
class _Making:
    """How pictures are made, and where."""

    folder: Path
    within: tuple[int, int] | None
    margin: float
    executor: Any
    progress: Progress

    @classmethod
    def of(
        cls,
        path: Path,
        *,
        resize: int | tuple[int, int] | None = None,
        margin: float = 0.0,
        executor: Any = None,
        progress: Progress = True,
    ) -> _Making:
        """The options, checked."""
        within = (resize, resize) if isinstance(resize, int) else resize
        if within is not None and (len(within) != 2 or min(within) < 1):
            raise FormatError(
                path, "", f"resize={resize!r}; give the longest side in pixels, or (width, height)"
            )
        if not 0 <= margin <= 10:
            raise FormatError(path, "", f"margin={margin!r}; give a fraction of the label's size")
        folder = path.parent / f".{path.name}.pictures"
        return cls(folder, within, margin, executor, progress)

    def fitted(self, size: Sizes) -> Sizes:
        """The sizes that pictures get."""
        return size if self.within is None else fitted_sizes(size, self.within)

    def write(
        self, write: Write, dataset: Dataset, path: Path, jobs: list[Job], options: dict[str, Any]
    ) -> WriteReport:
        """Make the pictures, and write the dataset whose images they are."""
        make_all(jobs, self.folder, executor=self.executor, progress=self.progress)
        made = [str((self.folder / job.name).resolve()) for job in jobs]
        images = dataset.images.assign(path=pd.array(made, dtype="string"))
        copy = "link" if _links(self.folder) else "copy"
        report = write(
            Dataset(dataset.labels, images, dataset.schema), path, **options | {"copy": copy}
        )
        shutil.rmtree(self.folder)
        return report


def _links(folder: Path) -> bool:
    """Whether there are hard links in the folder, so that its pictures can become the export's."""
    first, second = folder / ".first", folder / ".second"
    try:
        first.touch()
        second.hardlink_to(first)
    except OSError:
        return False
    finally:
        first.unlink(missing_ok=True)
        second.unlink(missing_ok=True)
    return True


def _chosen(write: Write, dataset: Dataset, options: dict[str, Any]) -> Dataset:
    """The part of the dataset whose images a writer may take."""
    takes_all = "only" not in inspect.signature(write).parameters
    if takes_all or options.get("only", "reviewed") == "all":
        return dataset
    named = dataset.images.index.isin(dataset.labels["image"].unique())
    return dataset.select(
        images=dataset.images.index[named | dataset.images["status"].eq("done").to_numpy()]
    )


def _with_places(
    write: Write, dataset: Dataset, path: Path, options: dict[str, Any]
) -> tuple[Dataset, list[str], Sizes]:
    """The dataset to write, where its images are, and their sizes."""
    root = options.pop("root", None)
    base = None if root is None else Path(root)
    part = _chosen(write, dataset, options)
    return part, require_files(part.images, base, path), sizes(part.images, base, path)


def _write_fitted(
    write: Write, dataset: Dataset, path: Path, options: dict[str, Any], making: _Making
) -> WriteReport:
    """Write the dataset with its pictures made to fit, or copied."""
    part, where, size = _with_places(write, dataset, path, options)
    fitted = making.fitted(size)
    jobs = [
        Job(file, before, None, after)
        for file, before, after in zip(where, _pairs(size), _pairs(fitted), strict=True)
    ]
    report = making.write(write, scaled(part, size, fitted), path, jobs, options)
    smaller = int((fitted != size).any(axis=1).sum())
    notes = [f"{smaller} images made smaller, their labels scaled along"] * bool(smaller)
    return replace(
        report,
        lost=_also(report.lost, "images not reviewed", len(dataset.images) - len(part.images)),
        notes=(*report.notes, *notes),
    )


def _write_crops(
    write: Write, dataset: Dataset, path: Path, options: dict[str, Any], making: _Making
) -> WriteReport:
    """Write each label as a picture of its own."""
    part, where, size = _with_places(write, dataset, path, options)
    split = options.pop("split", None)
    if split is not None:
        # By image, before it is cut up: parts of one picture stay on one side.
        part = part.split(split, **{k: options.pop(k) for k in ("seed", "by") if k in options})
    rows, corners, outside = regions(part, size, making.margin)
    whole = corners[:, 2:] - corners[:, :2]
    fitted = making.fitted(whole)
    cut = crops(part, rows, fitted)
    at = part.images.index.get_indexer(pd.Index(rows["image"]))
    jobs = [
        Job(where[image], before, corner, after)
        for image, before, corner, after in zip(
            at.tolist(), _pairs(size[at]), map(tuple, corners.tolist()), _pairs(fitted), strict=True
        )
    ]
    if "only" in inspect.signature(write).parameters:
        options["only"] = "all"  # they are chosen
    report = making.write(write, cut, path, jobs, options)
    lost = _also(report.lost, "labels without area inside their image", outside)
    rest = len(part.labels) - len(rows) - outside
    lost = _also(lost, "labels without a place, of which there is no crop", rest)
    empty = len(part.images.index.difference(pd.Index(rows["image"].unique())))
    lost = _also(lost, "images without a label that has a place", empty)
    return replace(report, lost=lost)


def _pairs(size: Sizes) -> list[tuple[int, int]]:
    return [(width, height) for width, height in size.tolist()]


def _also(lost: dict[str, int], why: str, count: int) -> dict[str, int]:
    return lost | {why: lost.get(why, 0) + count} if count else lost
