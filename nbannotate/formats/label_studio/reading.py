"""The reader of Label Studio's JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import numpy as np

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import mask_rle, rle_bounds
from nbannotate.core.rings import bounds
from nbannotate.errors import FormatError
from nbannotate.formats.label_studio import brush
from nbannotate.formats.shared.ellipses import ellipse_ring
from nbannotate.formats.shared.json_files import blamed, check_side, decode, decode_each, load
from nbannotate.formats.shared.one_file import KEY, Coming, own_of, restored
from nbannotate.formats.shared.rows import keypoints_bounds
from nbannotate.formats.shared.tables import OnError, Problems

_SHAPES = ("rectangle", "polygon", "keypoint", "brush", "ellipse")


class Given(msgspec.Struct):
    """A set of results: of a person or of a model."""

    result: list[Any]
    was_cancelled: bool = False
    completed_by: Any = None
    model_version: str | None = None
    score: float | None = None


class Task(msgspec.Struct):
    """A task; older versions call its annotations completions."""

    data: dict[str, Any]
    annotations: list[Given] | None = None
    completions: list[Given] | None = None
    predictions: list[Given] | None = None
    meta: Any = None


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    predictions: bool = True,
) -> Dataset:
    """Read the JSON that Label Studio exports or imports.

    A task without annotations is to do, one that was skipped is skipped. If several people have
    annotated a task, all their labels are read, each with its annotator.

    Parameters
    ----------
    path
        The file.
    on_error
        ``"raise"`` at the first bad task or result, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.
    predictions
        Whether the labels of models are read too.

    Raises
    ------
    FormatError
        Naming the place as ``[3].annotations[0].result[2]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give Label Studio's .json")
    problems = Problems(path, on_error)
    coming = Coming(path, "label_studio", problems)
    saved: Any = None
    groups: dict[str, dict[str, None]] = {}
    with blamed(path):
        data = load(path)
        single = data.lstrip()[:1] == b"{"
        parts = [msgspec.Raw(data)] if single else decode(data, list[msgspec.Raw], path)
        for number, task in enumerate(decode_each(parts, Task, problems, "")):
            if task is None:
                continue
            own = own_of(own_of(task.meta).get(KEY))
            saved = own.get("schema", saved)
            reader = _Task(coming, task, f"[{number}]", own, groups)
            if reader.key is not None:
                reader.take(predictions=predictions)
        tags = {
            name: {"choices": list(choices), "multiple": True} for name, choices in groups.items()
        }
        return coming.dataset(saved=saved, tags=_unique(tags), folder=images)


def _unique(groups: dict[str, Any]) -> dict[str, Any]:
    """The groups, each choice in the first that has it: in a scheme no two have the same."""
    seen = set[str]()
    for group in groups.values():
        group["choices"] = [name for name in group["choices"] if name not in seen]
        seen.update(group["choices"])
    return {name: group for name, group in groups.items() if group["choices"] and name.strip()}


class _Task:
    """One task, whose labels go to the rows."""

    def __init__(
        self,
        coming: Coming,
        task: Task,
        where: str,
        own: dict[str, Any],
        groups: dict[str, dict[str, None]],
    ) -> None:
        self.coming, self.task, self.where, self.groups = coming, task, where, groups
        named = task.data.get("image")
        if not isinstance(named, str):
            named = next((text for text in task.data.values() if isinstance(text, str)), None)
        self.key = coming.image(_image_key(named), f"{where}.data", own)

    def take(self, *, predictions: bool) -> None:
        """Read all that was said of the image."""
        assert self.key is not None
        people = self.task.annotations or self.task.completions or []
        row = self.coming.images[self.key]
        if not people and row["status"] == "done":
            row["status"] = "todo"
        elif people and all(given.was_cancelled for given in people):
            row["status"] = "skipped"
        for number, given in enumerate(people):
            if not given.was_cancelled:
                who = {"annotator": _annotator(given.completed_by)}
                self._results(given, who, f"{self.where}.annotations[{number}]")
        for number, given in enumerate((self.task.predictions or []) if predictions else []):
            model = {"source": f"model:{given.model_version or 'unknown'}", "score": given.score}
            self._results(given, model, f"{self.where}.predictions[{number}]")

    def _results(self, given: Given, common: dict[str, Any], where: str) -> None:
        texts: dict[str, str] = {}
        said: dict[str, dict[str, Any]] = {}
        results = [
            (number, one) for number, one in enumerate(given.result) if isinstance(one, dict)
        ]
        # What is said of a region is a result with the region's id.
        regions = {str(one.get("id")) for _, one in results if _shape_type(one) and one.get("id")}
        for _, one in results:
            region, value = str(one.get("id")), own_of(one.get("value"))
            if region not in regions or _shape_type(one):
                continue
            if one.get("type") == "textarea" and (text := _text(value)) is not None:
                texts[region] = text
            elif one.get("type") == "choices" and isinstance(value.get("choices"), list):
                chosen = ", ".join(map(str, value["choices"]))
                said.setdefault(region, {})[str(one.get("from_name") or "choice")] = chosen
        for number, one in results:
            region = str(one.get("id"))
            if region in regions and not _shape_type(one):
                continue
            try:
                self._result(one, common, texts.get(region), said.get(region))
            except (ValueError, TypeError, KeyError, OverflowError, IndexError) as error:
                self.coming.problems.add(f"{where}.result[{number}]", f"{error}; mend it")

    def _result(
        self,
        one: dict[str, Any],
        common: dict[str, Any],
        text: str | None,
        said: dict[str, Any] | None,
    ) -> None:
        assert self.key is not None
        kind, value = one.get("type"), own_of(one.get("value"))
        own = own_of(own_of(one.get("meta")).get(KEY))
        values = {k: v for k, v in common.items() if v is not None} | own
        if isinstance(one.get("score"), (int, float)):
            values["score"] = one["score"]
        if text is not None:
            values["text"] = text
        attributes = own_of(own.get("attributes")) or said
        rows = self.coming.rows
        if kind == "choices":
            for choice in value["choices"]:
                if not isinstance(choice, str) or not choice.strip():
                    raise ValueError(f"choice {choice!r} is no text")
                group = one.get("from_name")
                self.groups.setdefault(str(group or "tag"), {})[choice] = None
                rows.add(self.key, "tag", choice, attributes=attributes, own=values)
            return
        if kind == "textarea":
            rows.add(
                self.key, "text", None, attributes=attributes, own=values | {"text": _text(value)}
            )
            return
        shape = _shape_type(one)
        if shape is None:
            raise ValueError(f"results of the type {kind!r} are not read")
        size = _size(one)
        for row, side in (("width", size[0]), ("height", size[1])):
            self.coming.images[self.key][row] = side
        names = value.get(f"{shape}labels") or value.get("labels") or []
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError("has no class; label the region")
        for label in names:
            self._shape(shape, str(label), value, size, values, attributes)

    def _shape(
        self,
        shape: str,
        label: str,
        value: dict[str, Any],
        size: tuple[int, int],
        own: dict[str, Any],
        attributes: dict[str, Any] | None,
    ) -> None:
        assert self.key is not None
        kind, geometry, box = _geometry(shape, value, size, own)
        if "part" in own and kind in ("polygon", "keypoints"):
            part = own["part"]
            self.coming.rows.add_part(
                (self.key, kind, str(own.get("label_id"))),
                part if isinstance(part, int) and 0 <= part < 10**4 else None,
                geometry[0], self.key, kind, label, attributes, own,
                of=own.get("of") if kind == "keypoints" else None,
            )  # fmt: skip
            return
        if kind == "polygon" and own.get("ring"):
            geometry = geometry[0]
        self.coming.rows.add(self.key, kind, label, box, geometry, attributes, own)


def _shape_type(one: dict[str, Any]) -> str | None:
    kind = str(one.get("type")).removesuffix("labels")
    return kind if kind in _SHAPES else None


def _annotator(given: Any) -> str | None:
    """The name of whom a set of results is by: an e-mail address or a number."""
    if isinstance(given, dict):
        given = given.get("email") or given.get("id")
    return None if given is None else str(given)


def _image_key(named: Any) -> Any:
    """The image's key: for files that Label Studio serves, their path."""
    if not isinstance(named, str):
        return named
    if named.startswith("/data/local-files/"):
        return unquote(parse_qs(urlsplit(named).query).get("d", [named])[0])
    if named.startswith("/data/"):
        return unquote(named.removeprefix("/data/"))
    return named


def _text(value: dict[str, Any]) -> str | None:
    found = value.get("text")
    lines = found if isinstance(found, list) else [found]
    return "\n".join(map(str, lines)) if found is not None else None


def _number(value: dict[str, Any], name: str, default: float | None = None) -> float:
    found = value.get(name, default)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise ValueError(f"{name} is {found!r}, which is no number")
    return float(found)


def _size(one: dict[str, Any]) -> tuple[int, int]:
    width, height = _number(one, "original_width"), _number(one, "original_height")
    if (bad := check_side(width, height)) is not None:
        raise ValueError(bad)
    return int(width), int(height)


def _geometry(
    shape: str, value: dict[str, Any], size: tuple[int, int], own: dict[str, Any]
) -> tuple[str, Any, list[float]]:
    """Kind, geometry and bounding box in pixels."""
    width, height = size

    def pixels(x: float, y: float) -> list[float]:
        return [x * width / 100, y * height / 100]

    if shape == "polygon":
        ring = [pixels(_number({"x": x}, "x"), _number({"y": y}, "y")) for x, y in value["points"]]
        if len(ring) < 3:
            raise ValueError(f"a polygon has {len(ring)} points; it needs 3 or more")
        return "polygon", [ring], bounds([ring])
    if shape == "brush":
        if value.get("format") != "rle":
            raise ValueError(f"a brush of the format {value.get('format')!r} is not read")
        mask = mask_rle(brush.decode(value["rle"], width, height))
        return "mask", mask, rle_bounds(mask)
    x, y = pixels(_number(value, "x"), _number(value, "y"))
    if shape == "keypoint":
        seen = own.get("visibility")
        points: list[Any] = [[x, y, seen if seen in (0, 1, 2) else 2]]
        return "keypoints", points, keypoints_bounds(points)
    turn = math.radians(_number(value, "rotation", 0.0))
    if shape == "ellipse":
        radii = pixels(_number(value, "radiusX"), _number(value, "radiusY"))
        ring = ellipse_ring(x, y, radii[0], radii[1], turn)
        return "polygon", [ring], bounds([ring])
    w, h = pixels(_number(value, "width"), _number(value, "height"))
    if min(w, h) < 0:
        raise ValueError(f"a rectangle of {w:g} × {h:g} pixels has a negative side")
    kind, kept = restored(own)
    if turn == 0 and not own.get("turned"):
        return kind, kept, [x, y, w, h]
    cosine, sine = math.cos(turn), math.sin(turn)
    centre = (x + (w * cosine - h * sine) / 2, y + (w * sine + h * cosine) / 2)
    rotated = [*centre, w, h, turn]
    return "rotated_box", rotated, bounds([_corners(rotated)])


def _corners(rotated: list[float]) -> list[list[float]]:
    """The corners of one rotated box."""
    corners: list[list[float]] = rotated_corners(np.array([rotated]))[0].tolist()
    return corners
