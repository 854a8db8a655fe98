"""Create ML's JSON for object detection: a list of images with boxes, x and y at their centres.

Source: developer.apple.com, Create ML, "Building an object detector data source".
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import msgspec

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.json_files import blamed, decode, decode_each, load
from nbannotate.formats.shared.one_file import (
    KEY,
    Coming,
    as_box,
    attributes_of,
    dump,
    going,
    own_of,
    restored,
)
from nbannotate.formats.shared.tables import OnError, Only, Problems


class _Coordinates(msgspec.Struct):
    x: float
    y: float
    width: float
    height: float


class _Annotation(msgspec.Struct):
    label: str
    coordinates: _Coordinates
    nbannotate: Any = None


class _Image(msgspec.Struct):
    image: str | None = None
    imagefilename: str | None = None
    annotations: list[msgspec.Raw] | None = None
    annotation: list[msgspec.Raw] | None = None
    nbannotate: Any = None


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    only: Only = "reviewed",
    extras: bool = True,
) -> WriteReport:
    """Write Create ML's JSON.

    Parameters
    ----------
    dataset
        What to write. Shapes other than boxes are written as their bounding boxes, with the shape
        in ``"nbannotate"``.
    path
        The file, whose name ends in .json; Create ML wants it in the folder of the images.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    extras
        Whether label ids, times, scores and the scheme go along in keys of our own, which
        Create ML passes over.

    Raises
    ------
    FormatError
        If the name is another, or a number is NaN or infinite.
    """
    path = Path(path)
    out = going(dataset, path, "Create ML", PLACED_KINDS, only=only, extras=extras)
    content: list[dict[str, Any]] = []
    sizes = out.images[["width", "height"]].astype(object)
    count = 0
    for (key, own), labels, size in zip(
        zip(out.images.index.tolist(), out.own, strict=True),
        out.outgoing.per_image(PLACED_KINDS),
        sizes.where(sizes.notna(), None).to_numpy().tolist(),
        strict=True,
    ):
        annotations = []
        for label in labels:
            x, y, width, height = label.box
            spot = {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}
            annotation: dict[str, Any] = {"label": label.label, "coordinates": spot}
            if kept := as_box(label, out.lost, extras=extras):
                annotation[KEY] = kept | {"x": x, "y": y}
            annotations.append(annotation)
        count += len(annotations)
        entry: dict[str, Any] = {"image": key, "annotations": annotations}
        if extras:
            entry[KEY] = own | {"size": size} if None not in size else own
        content.append(entry)
    if extras and content:
        content[0][KEY]["schema"] = dataset.schema.to_dict()
    dump(path, content)
    return out.report(path, count)


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read Create ML's JSON.

    Parameters
    ----------
    path
        The file.
    on_error
        ``"raise"`` at the first bad image or box, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the place as ``[3].annotations[0]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give Create ML's .json")
    problems = Problems(path, on_error)
    coming = Coming(path, "createml", problems)
    saved = None
    with blamed(path):
        parts = decode(load(path), list[msgspec.Raw], path)
        for number, entry in enumerate(decode_each(parts, _Image, problems, "")):
            if entry is None:
                continue
            own = own_of(entry.nbannotate)
            saved = own.get("schema", saved)
            key = coming.image(entry.image or entry.imagefilename, f"[{number}]", own)
            if key is not None:
                listed = entry.annotations or entry.annotation or []
                _labels(coming, key, listed, f"[{number}].annotations")
        return coming.dataset(saved=saved, folder=images)


def _labels(coming: Coming, key: str, parts: list[msgspec.Raw], where: str) -> None:
    for number, found in enumerate(decode_each(parts, _Annotation, coming.problems, where)):
        if found is None:
            continue
        spot, own = found.coordinates, own_of(found.nbannotate)
        if not found.label.strip():
            coming.problems.add(f"{where}[{number}].label", "is empty; give the class")
            continue
        numbers = (spot.x, spot.y, spot.width, spot.height)
        if not all(map(math.isfinite, numbers)) or min(spot.width, spot.height) < 0:
            coming.problems.add(
                f"{where}[{number}].coordinates",
                f"{numbers} are no centre, width and height in pixels; mend them",
            )
            continue
        x, y = spot.x - spot.width / 2, spot.y - spot.height / 2
        # Halving and adding back does not give every number to the last bit.
        x, y = (
            kept if isinstance(kept := own.get(name), float) and abs(kept - at) < 1e-6 else at
            for name, at in (("x", x), ("y", y))
        )
        kind, geometry = restored(own)
        box = (x, y, spot.width, spot.height)
        coming.rows.add(key, kind, found.label, box, geometry, attributes_of(own), own)


def sniff(path: Path) -> bool:
    """Whether the file is a JSON list that speaks of coordinates and of images."""
    if not path.is_file() or path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        head = content[: 1 << 20]
        return (
            start.startswith(b"[")
            and any(b'"%b"' % name in head for name in (b"image", b"imagefilename"))
            and any(b'"%b"' % name in head for name in (b"annotations", b"annotation"))
            and b'"result"' not in head
            and b'"completions"' not in head
        )


FORMAT = Format(
    name="createml",
    kinds=PLACED_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry=(
        "tags, texts, ratings and choices; Create ML itself sees shapes as bounding boxes"
    ),
)
