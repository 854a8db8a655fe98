"""What formats of one JSON file for all images share: what goes out, and what came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import image_paths, write_atomic
from nbannotate.formats.shared.json_files import check_side, encoded
from nbannotate.formats.shared.outgoing import Label, Outgoing
from nbannotate.formats.shared.rows import Rows, scheme
from nbannotate.formats.shared.tables import Only, Problems, on_images, reviewed


@dataclass(frozen=True)
class Going:
    """What a writer writes.

    Parameters
    ----------
    images
        The images, in the order in which they are written.
    outgoing
        Their labels.
    own
        For each image what is put aside for our reader.
    lost
        What is left out, by reason.
    """

    images: pd.DataFrame
    outgoing: Outgoing
    own: list[dict[str, Any]]
    lost: dict[str, int]

    def report(self, path: Path, labels: int) -> WriteReport:
        """What was written where."""
        return WriteReport(path, len(self.images), labels, self.lost)


def going(
    dataset: Dataset,
    path: Path,
    name: str,
    kinds: Iterable[str],
    *,
    only: Only,
    extras: bool,
    carries: Iterable[str] = (),
) -> Going:
    """The images and labels that a format takes.

    Parameters
    ----------
    dataset
        All there is.
    path
        The file, for errors.
    name
        The format's name for people.
    kinds
        The kinds of labels that are written.
    only
        Which images are written.
    extras
        Whether keys of our own go along, which hold all columns.
    carries
        Columns of labels that the format has without them.

    Raises
    ------
    FormatError
        If the file is not called .json, or a number is NaN or infinite.
    """
    if path.suffix.lower() != ".json" or path.is_dir():
        raise FormatError(path, "", f"{name} is one JSON file; give a name that ends in .json")
    kinds = tuple(kinds)
    chosen = dataset.images[reviewed(dataset, kinds, only)]
    labels = on_images(dataset, chosen)
    kept = (*LABEL_EXTRAS, "attributes", "source") if extras else tuple(carries)
    lost = losses(
        dataset, chosen, labels, name, kinds=kinds, label_columns=kept,
        image_columns=IMAGE_EXTRAS if extras else (),
    )  # fmt: skip
    outgoing = Outgoing(labels, chosen.index, path, label_extras(labels) if extras else None)
    return Going(chosen, outgoing, image_extras(chosen), lost)


def as_box(label: Label, lost: dict[str, int], *, extras: bool) -> dict[str, Any]:
    """What is put aside of a label that is written as its bounding box."""
    if not extras:
        if label.kind != "box":
            why = f"{label.kind} shapes (their bounding boxes are written)"
            lost[why] = lost.get(why, 0) + 1
        return {}
    own = dict(label.own)
    if label.kind != "box":
        own |= {"kind": label.kind, "geometry": label.geometry}
    if label.attributes:
        own["attributes"] = label.attributes
    return own


def dump(path: Path, content: Any) -> None:
    """Write the JSON; `FormatError` if a name is no text."""
    write_atomic(path, msgspec.json.format(encoded(content, path), indent=1))


class Coming:
    """What a reader has read.

    Parameters
    ----------
    path
        The file.
    name
        The format's name, as in ``import:NAME``.
    problems
        What takes bad parts.
    """

    def __init__(self, path: Path, name: str, problems: Problems) -> None:
        self.path, self.problems = path, problems
        self.rows = Rows(f"import:{name}")
        self.images: dict[str, dict[str, Any]] = {}

    def image(
        self,
        name: Any,
        where: str,
        own: Any = None,
        size: tuple[float, float] | None = None,
    ) -> str | None:
        """Take in an image; its key, or None if it is bad.

        Parameters
        ----------
        name
            Its file name.
        where
            Its place in the file, for errors.
        own
            What our writer put aside.
        size
            Width and height, in pixels.
        """
        own = own if isinstance(own, dict) else {}
        key = own.get("image", name)
        if not isinstance(key, str) or not key:
            self.problems.add(where, "names no image; give its file name")
            return None
        if key in self.images:
            self.problems.add(where, f"the image {key!r} stands twice; join the two")
            return None
        if size is None and isinstance(own.get("size"), list) and len(own["size"]) == 2:
            size = (own["size"][0], own["size"][1])
        if size is not None and (bad := check_side(*size)):
            self.problems.add(where, bad)
            return None
        row = {column: own.get(column) for column in IMAGE_EXTRAS}
        row |= {"name": str(name), "status": own.get("status", "done")}
        row["width"], row["height"] = size or (None, None)
        self.images[key] = row
        return key

    def dataset(
        self,
        *,
        saved: Any = None,
        classes: Iterable[Any] = (),
        tags: Mapping[str, Any] | None = None,
        folder: str | Path | None = None,
    ) -> Dataset:
        """All of it.

        Parameters
        ----------
        saved
            The scheme that our writer put aside.
        classes, tags
            Those that the file lists.
        folder
            Folder of the images; None: beside the file, or in ``images`` there.
        """
        return self.problems.finish(self.read(saved, classes, tags, folder))

    def read(
        self,
        saved: Any,
        classes: Iterable[Any],
        tags: Mapping[str, Any] | None,
        folder: str | Path | None,
    ) -> Dataset:
        """As `dataset`, but without the warning about what was left out."""
        labels = self.rows.table()
        table = pd.DataFrame(
            list(self.images.values()),
            index=pd.Index(list(self.images), dtype="string"),
            columns=["name", "width", "height", *IMAGE_EXTRAS],
        )
        names = table["name"].tolist()
        table["path"] = image_paths(names, self.path, folder)
        schema = scheme(labels, self.path, saved=saved, classes=classes, tags=tags)
        return Dataset(labels, table.drop(columns="name"), schema)


def restored(own: Any) -> tuple[str, Any]:
    """Kind and geometry that were put aside; those of a box if none were."""
    if isinstance(own, dict) and own.get("kind") in PLACED_KINDS:
        return own["kind"], own.get("geometry")
    return "box", None


def own_of(value: Any) -> dict[str, Any]:
    """What was put aside; empty if nothing was."""
    return value if isinstance(value, dict) else {}


def attributes_of(own: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes that were put aside; None if none were."""
    found = own.get("attributes")
    return found if isinstance(found, dict) else None


__all__ = ["KEY", "Coming", "Going", "as_box", "attributes_of", "dump", "going", "own_of",
           "restored"]  # fmt: skip
