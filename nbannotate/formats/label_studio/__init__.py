"""Label Studio's JSON: tasks with annotations and predictions, places in percent of the image.

``NAME.config.xml`` beside it is the labeling interface that shows what is in it. What Label
Studio has no place for goes into each result's ``meta``, which it keeps.

Source: labelstud.io, "Label Studio JSON format of annotated tasks".
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import mask_pixels
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.formats.label_studio import brush
from nbannotate.formats.label_studio.reading import read
from nbannotate.formats.shared.files import sizes, write_atomic
from nbannotate.formats.shared.one_file import KEY, Going, dump, going
from nbannotate.formats.shared.outgoing import Label, outline
from nbannotate.formats.shared.tables import Only
from nbannotate.formats.shared.xml_files import value as xml_value

_KINDS = (*PLACED_KINDS, "tag", "text")
_POINT = 0.5  # percent of the width: how large Label Studio draws a key point

Result = dict[str, Any]


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    only: Only = "reviewed",
    root: str | Path | None = None,
    extras: bool = True,
) -> WriteReport:
    """Write Label Studio's JSON, and its labeling interface as ``NAME.config.xml``.

    Parameters
    ----------
    dataset
        What to write. Labels of models are predictions, all others annotations. Tags are
        choices, texts text areas. Polylines are written as their bounding boxes; a polygon in
        several parts and key points become a region each.
    path
        The file, whose name ends in .json.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start, to read sizes that the table lacks.
    extras
        Whether label ids, times, the scheme and the like go along in ``meta``.

    Raises
    ------
    FormatError
        If the name is another, an image's size is unknown, or a number is NaN or infinite.
    """
    path = Path(path)
    carries = ("text", "score")
    out = going(dataset, path, "Label Studio", _KINDS, only=only, extras=extras, carries=carries)
    size = sizes(out.images, None if root is None else Path(root), path)
    group_of = {c.name: group.name for group in dataset.schema.tags for c in group.choices}
    sources: list[str] = out.outgoing.labels["source"].fillna("").astype(object).tolist()
    tasks: list[dict[str, Any]] = []
    row = 0
    for number, (key, own, labels, (width, height)) in enumerate(
        zip(
            out.images.index.tolist(),
            out.own,
            out.outgoing.per_image(out.outgoing.kinds),
            size.tolist(),
            strict=True,
        ),
        1,
    ):
        by_source: dict[str, list[Result]] = {}
        for label in labels:
            source = sources[row] if sources[row].startswith("model:") else ""
            row += 1
            if label.kind in _KINDS:
                found = _labelled(label, out, width, height, group_of, extras=extras)
                by_source.setdefault(source, []).extend(found)
        done = out.images["status"].iloc[number - 1] != "todo" or "" in by_source
        task: dict[str, Any] = {"id": number, "data": {"image": key}}
        task["annotations"] = [{"id": number, "result": by_source.pop("", [])}] if done else []
        task["predictions"] = [
            {"model_version": source.removeprefix("model:"), "result": results}
            for source, results in by_source.items()
        ]
        if extras:
            task["meta"] = {KEY: own | {"size": [width, height]}}
        tasks.append(task)
    if extras and tasks:
        tasks[0]["meta"][KEY]["schema"] = dataset.schema.to_dict()
    dump(path, tasks)
    kinds = set(out.outgoing.kinds)
    write_atomic(path.with_suffix(".config.xml"), _interface(dataset.schema, kinds).encode())
    return out.report(path, sum(kind in _KINDS for kind in out.outgoing.kinds))


def _labelled(
    label: Label,
    out: Going,
    width: int,
    height: int,
    group_of: dict[str, str],
    *,
    extras: bool,
) -> list[Result]:
    """The results of one label."""
    own = dict(label.own)
    try:
        values = _values(label, own, width, height, group_of)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise out.outgoing.bad(label, error) from error
    if "kind" in own and not extras:
        why = f"{label.kind} shapes (their bounding boxes are written)"
        out.lost[why] = out.lost.get(why, 0) + 1
    if label.attributes:
        own["attributes"] = label.attributes
    own.pop("text", None)
    results = []
    for number, (kind, name, value) in enumerate(values):
        result: Result = {
            "id": label.label_id if not number else f"{label.label_id}-{number}",
            "type": kind,
            "from_name": name,
            "to_name": "image",
            "value": value,
        }
        if label.kind not in ("tag", "text"):
            result |= {"original_width": width, "original_height": height, "image_rotation": 0}
        if label.score is not None:
            result["score"] = label.score
        if extras:
            part = {"part": number} if len(values) > 1 or label.kind == "keypoints" else {}
            if label.kind == "keypoints":
                part |= {"visibility": label.geometry[number][2], "of": len(values)}
            result["meta"] = {KEY: own | part}
        results.append(result)
        if label.text is not None and label.kind != "text" and not number:
            shape = {k: v for k, v in value.items() if k != kind} | {"text": [label.text]}
            results.append(result | {"type": "textarea", "from_name": "text", "value": shape})
            results[-1].pop("meta", None)
    return results


def _values(
    label: Label, own: dict[str, Any], width: int, height: int, group_of: dict[str, str]
) -> list[tuple[str, str, dict[str, Any]]]:
    """For each result its type, the control's name, and its value."""
    name, geometry = [label.label], label.geometry

    def percent(points: list[list[float]]) -> list[list[float]]:
        return [[100 * x / width, 100 * y / height] for x, y, *_ in points]

    if label.kind == "tag":
        return [("choices", group_of.get(label.label, "tag"), {"choices": name})]
    if label.kind == "text":
        return [("textarea", "text", {"text": [label.text or ""]})]
    if label.kind == "polygon" and (parts := outline(label)) is not None:
        own |= {"ring": True} if label.own.get("ring") else {}
        return [
            ("polygonlabels", "polygon",
             {"points": percent(part), "closed": True, "polygonlabels": name})
            for part in parts
        ]  # fmt: skip
    if label.kind == "keypoints" and geometry:
        return [
            ("keypointlabels", "keypoint",
             {"x": x, "y": y, "width": _POINT, "keypointlabels": name})
            for x, y in percent(geometry)
        ]  # fmt: skip
    if label.kind == "mask" and geometry and list(geometry["size"]) == [height, width]:
        rle = brush.encode(mask_pixels(geometry))
        return [("brushlabels", "brush", {"format": "rle", "rle": rle, "brushlabels": name})]
    x, y, w, h = label.box
    turn = 0.0
    if label.kind == "rotated_box" and geometry:
        # The corner after the turn, which is in pixels: percent would shear the box.
        x, y = rotated_corners(np.array([geometry], dtype=np.float64))[0, 0].tolist()
        w, h, turn = geometry[2:5]
    elif label.kind != "box":
        own |= {"kind": label.kind, "geometry": geometry}
    value: dict[str, Any] = dict(
        zip(("x", "y"), percent([[x, y]])[0], strict=True),
        width=100 * w / width,
        height=100 * h / height,
        rotation=math.degrees(turn),
        rectanglelabels=name,
    )
    if label.kind == "rotated_box":
        own["turned"] = True
    return [("rectanglelabels", "box", value)]


def _interface(schema: Schema, kinds: set[str]) -> str:
    """The labeling interface for the scheme, with the controls that these kinds take."""

    def controls(tag: str, name: str) -> list[str]:
        return [
            f'  <{tag} name="{name}" toName="image">',
            *(
                f'    <Label value="{xml_value(c.name)}" background="{c.color}"/>'
                for c in schema.classes
            ),
            f"  </{tag}>",
        ]

    lines = ["<View>", '  <Image name="image" value="$image"/>']
    for kind, tag, name in (
        ("box", "RectangleLabels", "box"),
        ("polygon", "PolygonLabels", "polygon"),
        ("keypoints", "KeyPointLabels", "keypoint"),
        ("mask", "BrushLabels", "brush"),
    ):
        if kind == "box" or kind in kinds:
            lines += controls(tag, name)
    for group in schema.tags:
        choice = "multiple" if group.multiple else "single"
        lines.append(f'  <Choices name="{xml_value(group.name)}" toName="image" choice="{choice}">')
        lines += [f'    <Choice value="{xml_value(c.name)}"/>' for c in group.choices]
        lines.append("  </Choices>")
    if "text" in kinds:
        lines.append('  <TextArea name="text" toName="image"/>')
    return "\n".join([*lines, "</View>", ""])


def sniff(path: Path) -> bool:
    """Whether the file is a JSON list of tasks with data and results."""
    if not path.is_file() or path.suffix.lower() != ".json" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
        return (
            start.startswith((b"[", b"{"))
            and content.find(b'"data"') >= 0
            and any(content.find(b'"%b"' % key) >= 0 for key in (b"annotations", b"completions"))
            and content.find(b'"images"') < 0
        )


FORMAT = Format(
    name="label_studio",
    kinds=_KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="ratings and choices; Label Studio itself sees polylines as bounding boxes",
)
