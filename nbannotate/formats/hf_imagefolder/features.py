"""Types of the columns of Hugging Face's image folders: those we write, and what others mean."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nbannotate.core.schema import TagGroup
from nbannotate.formats.shared.json_files import parsed
from nbannotate.formats.shared.one_file import own_of

CATEGORIES = ("categories", "category", "labels", "label", "category_id")
"""What the classes of objects may be called."""

_LISTS = ("Sequence", "List", "LargeList")


@dataclass(frozen=True)
class Columns:
    """The columns of an image folder that we write.

    Parameters
    ----------
    classes
        Of ``objects``; none: there is no such column.
    groups
        The tag groups.
    polygons, texts
        Whether there are such.
    """

    classes: list[str]
    groups: dict[str, TagGroup]
    polygons: bool
    texts: bool

    def names(self) -> list[str]:
        """The columns' names."""
        first = ["file_name", "image", "width", "height"]
        return [*first, *["objects"] * bool(self.classes), *self.groups, *["text"] * self.texts]

    def features(self) -> dict[str, Any]:
        """The types, as ``datasets.Features.to_dict`` gives them."""
        objects = {
            "bbox": _list(_list(_value("float64"), 4)),
            "categories": _list(_classes(self.classes)),
            "area": _list(_value("float64")),
            "id": _list(_value("string")),
        }
        if self.polygons:
            objects["segmentation"] = _list(_list(_list(_value("float64"))))
        found: dict[str, Any] = {"file_name": _value("string")}
        found |= {"width": _value("int64"), "height": _value("int64")}
        if self.classes:
            found["objects"] = objects
        for name, group in self.groups.items():
            one = _classes([choice.name for choice in group.choices])
            found[name] = _list(one) if group.multiple else one
        return found | ({"text": _value("string")} if self.texts else {})

    def arrow(self) -> pa.Schema:
        """The types of the Parquet file, with the features in its metadata."""
        features = self.features()
        fields = [pa.field(name, _arrow(feature)) for name, feature in features.items()]
        info = json.dumps({"info": {"features": features}})
        return pa.schema(fields, metadata={"huggingface": info})


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _classes(names: list[str]) -> dict[str, Any]:
    return {"names": names, "_type": "ClassLabel"}


def _list(feature: dict[str, Any], length: int = -1) -> dict[str, Any]:
    # datasets before 4.0 knows no other name, those after it take it for the same.
    return {"feature": feature, "length": length, "_type": "Sequence"}


def _arrow(feature: dict[str, Any]) -> pa.DataType:
    kind = feature.get("_type")
    if kind == "Sequence":
        return pa.list_(_arrow(feature["feature"]), feature["length"])
    if kind == "ClassLabel":
        return pa.int64()
    if kind == "Value":
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([pa.field(name, _arrow(inner)) for name, inner in feature.items()])


def features_of(file: Path) -> dict[str, Any]:
    """The features in a Parquet file's metadata; empty if there are none."""
    metadata = pq.read_schema(file).metadata or {}
    try:
        content = parsed(metadata.get(b"huggingface", b"{}"))
        return own_of(own_of(own_of(content).get("info")).get("features"))
    except ValueError:
        return {}


@dataclass
class Meaning:
    """What the columns mean.

    Parameters
    ----------
    classes
        Names of classes by their number.
    groups
        Names of tags by their number, by column.
    several
        Columns with lists of tags.
    """

    classes: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    several: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, features: dict[str, Any]) -> Meaning:
        """As the features say."""
        found = cls()
        for name, feature in features.items():
            inner, is_list = _inner(feature)
            if isinstance(inner, dict) and "_type" not in inner:
                for part in CATEGORIES:
                    if names := _names(_inner(inner.get(part))[0]):
                        found.classes = names
                        break
            elif names := _names(inner):
                found.groups[name] = names
                found.several |= {name} if is_list else set()
        return found


def _inner(feature: Any) -> tuple[Any, bool]:
    """What lists hold, and whether it is one."""
    is_list = False
    while True:
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and feature.get("_type") in (
            "Sequence",
            "List",
            "LargeList",
        ):
            feature = feature.get("feature")
        else:
            return feature, is_list
        is_list = True


def _names(feature: Any) -> list[str]:
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return list(names)
    return []
