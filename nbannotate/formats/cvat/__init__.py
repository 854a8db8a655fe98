"""CVAT's XML 1.1: one file for all images, or for the tracks of a video.

What CVAT has no place for goes into attributes called ``nbannotate``, which CVAT passes over.

Source: docs.cvat.ai, "CVAT for image" and "CVAT for video".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nbannotate.core.attributes import Attribute
from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.cvat.reading import read
from nbannotate.formats.cvat.shapes import native
from nbannotate.formats.shared.extras import (
    IMAGE_EXTRAS,
    KEY,
    LABEL_EXTRAS,
    image_extras,
    label_extras,
    losses,
)
from nbannotate.formats.shared.files import sizes, write_atomic
from nbannotate.formats.shared.outgoing import Label, Outgoing
from nbannotate.formats.shared.tables import Only, count_lost, on_images, reviewed
from nbannotate.formats.shared.values import as_text
from nbannotate.formats.shared.xml_files import content, legal, value

_KINDS = (*PLACED_KINDS, "tag")
_INPUTS = {"bool": "checkbox", "number": "number", "choice": "select", "text": "text"}


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    video: bool = False,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
) -> WriteReport:
    """Write CVAT's XML.

    Parameters
    ----------
    dataset
        What to write. Polygons in several parts become several shapes of one group; of masks,
        boxes, rotated boxes, polylines, ellipses and points nothing is lost, nor of tags.
    path
        The file, whose name ends in .xml.
    video
        Whether to write the tracks of a video: labels with their frames, those of one ``track``
        as one. All labels need a frame.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.
    extras
        Whether label ids, times, scores and the scheme go along in attributes of our own.

    Raises
    ------
    FormatError
        If the name is another, an image's size is unknown, a number is NaN or infinite, or a
        label of a video has no frame.
    """
    path = Path(path)
    if path.suffix.lower() != ".xml" or path.is_dir():
        raise FormatError(path, "", "CVAT is one XML file; give a name that ends in .xml")
    chosen = dataset.images[reviewed(dataset, _KINDS, only)]
    labels = on_images(dataset, chosen)
    kept = {"attributes", *(("frame", "track") if video else ())}
    if extras:
        kept |= {*LABEL_EXTRAS, "source"}
    lost = losses(
        dataset, chosen, labels, "CVAT", kinds=_KINDS, label_columns=kept,
        image_columns=IMAGE_EXTRAS if extras else ("split",),
    )  # fmt: skip
    size = sizes(chosen, None if root is None else Path(root), path)
    out = Outgoing(labels, chosen.index, path, label_extras(labels) if extras else None)
    rows = list(out.per_image(_KINDS))
    writer = _Writer(out, lost, extras)
    frames = _frames(labels, path) if video else {}
    if video:
        lines = writer.tracks(rows, frames)
    else:
        own = image_extras(chosen) if extras else [{} for _ in rows]
        subsets = chosen["split"].astype(object).where(chosen["split"].notna(), None).tolist()
        lines = (
            line
            for number, (key, (width, height), subset, more, found) in enumerate(
                zip(chosen.index.tolist(), size.tolist(), subsets, own, rows, strict=True)
            )
            for line in writer.image(number, key, (width, height), subset, more, found)
        )
    head = _head(dataset, chosen, size.tolist(), frames if video else None, extras)
    text = "\n".join([*head, *lines, ""])
    write_atomic(path, f"{text}</annotations>\n".encode("utf-8", "surrogateescape"))
    return WriteReport(path, len(chosen), sum(map(len, rows)), lost)


def _frames(labels: pd.DataFrame, path: Path) -> dict[str, int]:
    """The frame of each image that has labels."""
    without = labels["frame"].isna()
    if without.any():
        raise FormatError(
            path, f"label {labels.index[without.to_numpy()][0]!r}", "has no frame, which a video's "
            "labels need; set it, or write video=False"
        )  # fmt: skip
    pairs = labels[["image", "frame"]].drop_duplicates()
    if pairs["image"].duplicated().any() or pairs["frame"].duplicated().any():
        raise FormatError(
            path, "", "an image has labels of two frames, or a frame is in two images; write "
            "each video to a file of its own"
        )  # fmt: skip
    return dict(zip(pairs["image"].tolist(), pairs["frame"].astype(int).tolist(), strict=True))


def _head(
    dataset: Dataset,
    chosen: pd.DataFrame,
    size: list[list[int]],
    frames: dict[str, int] | None,
    extras: bool,
) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield "  <meta>"
    yield "    <task>"
    yield f"      <size>{len(chosen)}</size>"
    yield f"      <mode>{'annotation' if frames is None else 'interpolation'}</mode>"
    yield "      <labels>"
    tags = {choice.name for choice in dataset.schema.tag_choices}
    for item in (*dataset.schema.classes, *dataset.schema.tag_choices):
        yield "        <label>"
        yield f"          <name>{content(item.name)}</name>"
        yield f"          <color>{item.color}</color>"
        yield f"          <type>{'tag' if item.name in tags else 'any'}</type>"
        yield "          <attributes>"
        for attribute in dataset.schema.attributes:
            yield from _asked(attribute)
        yield "          </attributes>"
        yield "        </label>"
    yield "      </labels>"
    if frames is not None and size:
        width, height = size[0]
        yield "      <original_size>"
        yield f"        <width>{width}</width>"
        yield f"        <height>{height}</height>"
        yield "      </original_size>"
    yield "    </task>"
    if extras:
        saved: dict[str, Any] = {"schema": dataset.schema.to_dict()}
        if frames is not None:
            saved["images"] = [
                {"image": key, "size": pair, "frame": frames.get(key)} | own
                for key, pair, own in zip(
                    chosen.index.tolist(), size, image_extras(chosen), strict=True
                )
            ]
        yield f"    <{KEY}>{content(json.dumps(saved))}</{KEY}>"
    yield "  </meta>"


def _asked(attribute: Attribute) -> Iterator[str]:
    """What CVAT asks of each shape."""
    values = "\n".join(attribute.choices)
    if attribute.type == "number":
        bounds = (attribute.min, attribute.max, attribute.step)
        values = ";".join(str(0 if bound is None else bound) for bound in bounds)
    elif attribute.type == "bool":
        values = "false"
    yield "            <attribute>"
    yield f"              <name>{content(attribute.name)}</name>"
    yield "              <mutable>True</mutable>"
    yield f"              <input_type>{_INPUTS[attribute.type]}</input_type>"
    yield "              <default_value></default_value>"
    yield f"              <values>{content(values)}</values>"
    yield "            </attribute>"


@dataclass
class _Writer:
    """Labels as lines of XML.

    Parameters
    ----------
    out
        The labels, which errors are told to.
    lost
        What is left out, by reason.
    extras
        Whether keys of our own go along.
    """

    out: Outgoing
    lost: dict[str, int]
    extras: bool
    group: int = 0

    def image(
        self,
        number: int,
        key: str,
        size: tuple[int, int],
        subset: str | None,
        own: dict[str, Any],
        labels: Iterable[Label],
    ) -> Iterator[str]:
        """An image and its shapes."""
        given = {"id": str(number), "name": key, "width": str(size[0]), "height": str(size[1])}
        if subset is not None:
            given["subset"] = subset
        yield f"  <image {self._given(given, own | {'image': key})}>"
        for label in labels:
            for name, shape, own_part in self._shapes(label):
                yield from self._element(name, label, shape, own_part)
        yield "  </image>"

    def tracks(self, rows: Iterable[list[Label]], frames: dict[str, int]) -> Iterator[str]:
        """The labels of a video, by their tracks, each ended by a shape that is outside."""
        labels = [label for found in rows for label in found]
        table = self.out.labels.reindex([label.label_id for label in labels])
        tracks = table["track"].astype(object).where(table["track"].notna(), None).tolist()
        images = table["image"].astype(object).tolist()
        by_track: dict[tuple[Any, ...], list[tuple[int, Label]]] = {}
        for row, (label, track, image) in enumerate(zip(labels, tracks, images, strict=True)):
            if label.kind == "tag":
                count_lost(self.lost, "tags of frames, which a video's file has no place for", 1)
                continue
            alone = ("alone", row) if track is None else (int(track), label.kind, label.label)
            by_track.setdefault(alone, []).append((frames[image], label))
        for number, found in enumerate(by_track.values()):
            yield from self._track(number, sorted(found, key=lambda item: item[0]))

    def _track(self, number: int, found: list[tuple[int, Label]]) -> Iterator[str]:
        name = found[0][1].label
        yield f'  <track id="{number}" label="{value(name)}" source="manual">'
        shown = {frame for frame, _ in found}
        for frame, label in found:
            is_key = label.attributes.get("keyframe") is not False
            for element, shape, own in self._shapes(label):
                given = {"frame": str(frame), "outside": "0", "keyframe": str(int(is_key))}
                yield from self._element(element, label, given | shape, own, in_track=True)
                if frame + 1 not in shown:
                    given |= {"frame": str(frame + 1), "outside": "1", "keyframe": "1"}
                    yield f"    <{element} {self._given(given | {'occluded': '0'} | shape, {})}/>"
        yield "  </track>"

    def _shapes(self, label: Label) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
        """The elements of a label, and for each what is put aside."""
        if label.kind == "tag":
            yield "tag", {}, label.own
            return
        try:
            shapes = native(label)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise self.out.bad(label, error) from error
        if "kind" in label.own and not self.extras:
            count_lost(self.lost, f"{label.kind} shapes (their bounding boxes are written)", 1)
        if len(shapes) > 1:
            self.group += 1
        for part, (name, shape) in enumerate(shapes):
            several = {"group_id": str(self.group)} if len(shapes) > 1 else {}
            own = label.own | ({"part": part} if several else {})
            yield name, shape | several, own | ({"kind": label.kind} if name == "box" else {})

    def _element(
        self,
        name: str,
        label: Label,
        shape: dict[str, str],
        own: dict[str, Any],
        *,
        in_track: bool = False,
    ) -> Iterator[str]:
        values = dict(label.attributes)
        model = str(own.get("source", "")).startswith("model:")
        given: dict[str, str] = {}
        if not in_track:
            given = {"label": label.label, "source": "auto" if model else "manual"}
        if name != "tag":
            given["occluded"] = str(int(values.pop("occluded", False) is True))
        order = values.pop("z_order", 0)
        if name != "tag":
            given["z_order"] = str(order)
        if label.attributes:
            own = own | {"attributes": label.attributes}
        if legal(label.label) != label.label:
            own = own | {"label": label.label}
        texts = {key: as_text(item) for key, item in values.items() if key != "keyframe"}
        shown = {key: text for key, text in texts.items() if text is not None}
        start = f"    <{name} {self._given(given | shape, own)}"
        if not shown:
            yield f"{start}/>"
            return
        yield f"{start}>"
        for key, text in shown.items():
            yield f'      <attribute name="{value(key)}">{content(text)}</attribute>'
        yield f"    </{name}>"

    def _given(self, given: dict[str, str], own: dict[str, Any]) -> str:
        if self.extras and own:
            given = given | {KEY: json.dumps(own)}
        return " ".join(f'{name}="{value(text)}"' for name, text in given.items())


def sniff(path: Path) -> bool:
    """Whether the file is XML whose root is ``annotations``, with images or tracks."""
    if not path.is_file() or path.suffix.lower() != ".xml":
        return False
    with path.open("rb") as file:
        return b"<annotations" in file.read(4096)


FORMAT = Format(
    name="cvat",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="texts of images, ratings and choices; tags of a video's frames",
)
