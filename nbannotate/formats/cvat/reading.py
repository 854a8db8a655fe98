"""The reader of CVAT's XML 1.1, of images and of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from nbannotate.core.attributes import Attribute
from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.label_class import LabelClass
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.cvat.shapes import SHAPES, points_of, shape_of
from nbannotate.formats.shared.extras import KEY
from nbannotate.formats.shared.json_files import blamed, parsed
from nbannotate.formats.shared.one_file import Coming, own_of
from nbannotate.formats.shared.rows import keypoints_bounds
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems
from nbannotate.formats.shared.values import settle, typed
from nbannotate.formats.shared.xml_files import children, legal

_TYPES: dict[str, Any] = {"checkbox": "bool", "number": "number", "select": "choice",
                          "radio": "choice", "text": "text"}  # fmt: skip
_MOST_FRAMES = 10_000_000


@collector_off()
def read(
    path: str | Path, *, on_error: OnError = "raise", images: str | Path | None = None
) -> Dataset:
    """Read CVAT's XML 1.1.

    Of a video each frame in which something is seen is an image ``frame_000012``; a shape that
    is outside is none, and one that CVAT interpolated has the attribute ``keyframe`` False.
    Shapes that are occluded have an attribute of that name, as have those of a group and with a
    ``z_order``.

    Parameters
    ----------
    path
        The file, often ``annotations.xml``.
    on_error
        ``"raise"`` at the first bad image or shape, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: beside the file, or in ``images`` there.

    Raises
    ------
    FormatError
        Naming the place as ``image[3].box[0]``, and the mend.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(path, "", "is no file; give CVAT's .xml")
    problems = Problems(path, on_error)
    with blamed(path):
        reader = _Reader(Coming(path, "cvat", problems))
        for element in children(path, "annotations"):
            reader.take(element)
        return reader.dataset(images)


class _Reader:
    """Elements in, one at a time; a data set out."""

    def __init__(self, coming: Coming) -> None:
        self.coming = coming
        self.saved: Any = None
        self.labels: list[dict[str, Any]] = []
        self.tag_names: list[str] = []
        self.asked: dict[str, Attribute] = {}
        self.count = {"image": 0, "track": 0}
        self.frames: dict[int, str] = {}
        self.size: tuple[int, int] | None = None
        self.texts: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def take(self, element: Element) -> None:
        """Take in a child of the root."""
        if element.tag == "meta":
            self._meta(element)
        elif element.tag in self.count:
            number = self.count[element.tag]
            self.count[element.tag] += 1
            where = f"{element.tag}[{number}]"
            (self._image if element.tag == "image" else self._track)(element, where)

    def _meta(self, meta: Element) -> None:
        for label in meta.iter("label"):
            name = label.findtext("name") or ""
            parent = label.findtext("parent")
            if not name.strip():
                continue
            if parent:
                for known in self.labels:
                    if known["name"] == parent and name not in known.get("keypoints", ()):
                        known.setdefault("keypoints", []).append(name)
                continue
            if label.findtext("type") == "tag":
                self.tag_names.append(name)
            elif all(known["name"] != name for known in self.labels):
                self.labels.append({"name": name, "color": label.findtext("color")})
            for attribute in label.iter("attribute"):
                self._ask(attribute)
        size = meta.find(".//original_size")
        if size is not None:
            sides = (size.findtext("width") or "", size.findtext("height") or "")
            if all(side.isdecimal() and len(side) < 7 for side in sides):
                self.size = (int(sides[0]), int(sides[1]))
        own = _json(meta.findtext(KEY))
        self.saved = own.get("schema")
        listed = own.get("images")
        for number, row in enumerate(listed if isinstance(listed, list) else []):
            row = own_of(row)
            key = self.coming.image(row.get("image"), f"{KEY}.images[{number}]", row)
            if key is not None and isinstance(row.get("frame"), int):
                self.frames[row["frame"]] = key

    def _ask(self, element: Element) -> None:
        name = element.findtext("name") or ""
        kind = _TYPES.get((element.findtext("input_type") or "").lower())
        values = tuple(line for line in (element.findtext("values") or "").split("\n") if line)
        try:
            choices = tuple(dict.fromkeys(values)) if kind == "choice" else ()
            if name and kind is not None and (choices or kind != "choice"):
                self.asked.setdefault(name, Attribute(name, kind, choices))
        except SchemaError:
            pass  # what its values are is seen from the shapes

    def _image(self, element: Element, where: str) -> None:
        own = _json(element.get(KEY))
        try:
            size = (int(element.get("width", "")), int(element.get("height", "")))
        except ValueError:
            given = (element.get("width"), element.get("height"))
            self.coming.problems.add(where, f"its size {given} is no pair of whole numbers")
            return
        key = self.coming.image(element.get("name"), where, own, size)
        if key is None:
            return
        subset = SPLIT_NAMES.get((element.get("subset") or "").lower())
        if subset and self.coming.images[key]["split"] is None:
            self.coming.images[key]["split"] = subset
        count: dict[str, int] = {}
        for shape in element:
            number = count.get(shape.tag, 0)
            count[shape.tag] = number + 1
            label = shape.get("label", "")
            self._shape(shape, key, label, size, f"{where}.{shape.tag}[{number}]", {})

    def _track(self, element: Element, where: str) -> None:
        try:
            track = int(element.get("id", ""))
        except ValueError:
            self.coming.problems.add(where, f"its id {element.get('id')!r} is no number; mend it")
            return
        label = element.get("label", "")
        for number, shape in enumerate(element):
            place = f"{where}.{shape.tag}[{number}]"
            if shape.get("outside") == "1":
                continue
            text = shape.get("frame", "")
            if not text.isdecimal() or int(text) > _MOST_FRAMES:
                self.coming.problems.add(place, f"frame {text!r} is no number from 0; mend it")
                continue
            frame = int(text)
            own = _json(shape.get(KEY))
            common: dict[str, Any] = {"frame": frame, "track": track}
            if "label_id" in own:
                common = {"frame": own.get("frame", frame), "track": own.get("track")}
            key = self._frame(frame)
            if key is not None:
                self._shape(shape, key, label, self.size, place, common)

    def _frame(self, frame: int) -> str | None:
        """The image of a frame."""
        if frame not in self.frames:
            name = f"frame_{frame:06d}"
            key = self.coming.image(name, f"frame {frame}", None, self.size)
            if key is None:
                return None
            self.frames[frame] = key
        return self.frames[frame]

    def _shape(
        self,
        shape: Element,
        key: str,
        label: str,
        size: tuple[int, int] | None,
        where: str,
        common: dict[str, Any],
    ) -> None:
        if shape.tag != "tag" and shape.tag not in SHAPES:
            return
        own = _json(shape.get(KEY))
        label = str(own.get("label", label))  # one with letters that XML does not have
        if not label.strip():
            self.coming.problems.add(where, "has no label; give its class")
            return
        attributes: dict[str, Any] = {}
        ours = own.get("attributes")
        if isinstance(ours, dict):
            attributes = ours
        elif "label_id" not in own:
            attributes = self._attributes(shape)
        values = common | own
        try:
            if shape.tag == "tag":
                self.coming.rows.add(key, "tag", label, attributes=attributes, own=values)
                if label not in self.tag_names:
                    self.tag_names.append(label)
                return
            if shape.tag == "skeleton":
                kind, geometry, box = self._skeleton(shape, label)
            else:
                kind, geometry, box = shape_of(shape.tag, shape.attrib, own, size)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            self.coming.problems.add(where, f"{error}; mend the shape")
            return
        if "part" in own and kind == "polygon":
            part = own["part"]
            self.coming.rows.add_part(
                (key, str(own.get("label_id"))),
                part if isinstance(part, int) and 0 <= part < 10**4 else None,
                geometry[0], key, kind, label, attributes, values,
            )  # fmt: skip
            return
        if kind == "polygon" and own.get("ring") and shape.tag == "polygon":
            geometry = geometry[0]
        self.coming.rows.add(key, kind, label, box, geometry, attributes, values)

    def _attributes(self, shape: Element) -> dict[str, Any]:
        """What is said of a shape, still as texts."""
        values: dict[str, Any] = {}
        if shape.get("occluded") == "1":
            values["occluded"] = True
        for name in ("z_order", "group_id"):
            text = shape.get(name, "0")
            if text not in ("", "0") and text.removeprefix("-").isdecimal() and len(text) < 9:
                values[name] = int(text)
        if shape.get("keyframe") == "0":
            values["keyframe"] = False
        texts = {
            element.get("name", ""): element.text or ""
            for element in shape.findall("attribute")
            if element.get("name")
        }
        self.texts.append((values, texts))
        return values

    def _skeleton(self, shape: Element, label: str) -> tuple[str, Any, list[float]]:
        """Key points, in the order in which the class has them."""
        classes = (one for one in self.labels if one["name"] == label)
        names: list[str] = next((one.get("keypoints", []) for one in classes), [])
        found: dict[str, list[float]] = {}
        for element in shape.findall("points"):
            [[x, y]] = points_of(element.get("points", ""), 1)
            seen = 1 if element.get("occluded") == "1" else 2
            outside = element.get("outside") == "1"
            found[element.get("label", "")] = [0.0, 0.0, 0] if outside else [x, y, seen]
        order = [*names, *(name for name in found if name not in names)]
        if not found:
            raise ValueError("a skeleton has no points")
        points = [found.get(name, [0.0, 0.0, 0]) for name in order]
        return "keypoints", points, keypoints_bounds(points)

    def dataset(self, folder: str | Path | None) -> Dataset:
        """All that was read."""
        rows = [texts for _, texts in self.texts]
        known = settle(rows, [self.asked[name] for name in self.asked])
        for (values, _), found in zip(self.texts, typed(rows, known), strict=True):
            values |= {name: value for name, value in found.items() if value not in (None, "")}
        ours = Schema.from_dict(self.saved) if self.saved is not None else Schema()
        # Our own names, and what XML makes of those with letters that it does not have.
        named = {
            form for c in (*ours.classes, *ours.tag_choices) for form in (c.name, legal(c.name))
        }
        tags = [tag for tag in dict.fromkeys(self.tag_names) if tag not in named]
        groups = {"tag": {"choices": tags, "multiple": True}} if tags else {}
        classes = [_class(one) for one in self.labels if one["name"] not in named]
        dataset = self.coming.read(self.saved, classes, groups, folder)
        schema = dataset.schema
        for attribute in known:
            if attribute.name not in {one.name for one in ours.attributes}:
                schema = schema.with_attribute(attribute)
        return self.coming.problems.finish(Dataset(dataset.labels, dataset.images, schema))


def _class(one: dict[str, Any]) -> dict[str, Any]:
    """A class as `Schema` takes it; a colour that is none is left out."""
    try:
        LabelClass(0, one["name"], one.get("color") or "")
    except SchemaError:
        one = {key: value for key, value in one.items() if key != "color"}
    return one


def _json(text: str | None) -> dict[str, Any]:
    try:
        return own_of(parsed(text)) if text else {}
    except ValueError:
        return {}
