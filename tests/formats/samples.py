"""Data sets that the tests of all formats share, and the comparison of two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from PIL import Image

from nbannotate.core.dataset import Dataset
from nbannotate.core.geometry import rotated_corners
from nbannotate.core.masks import mask_pixels, mask_rle, rle_bounds
from nbannotate.core.raster import FILLED
from nbannotate.core.rings import bounds
from nbannotate.core.schema import Schema
from nbannotate.core.tables import PLACED_KINDS
from nbannotate.formats.shared.ellipses import ellipse_ring
from nbannotate.formats.shared.rows import keypoints_bounds

NAMES = ["NA", "null", "001", "no", "<img src=x onerror=alert(1)>", "😀", "עברית"]
HARD_NAMES = [
    *NAMES,
    "True",
    "1e5",
    "=1+1",
    'a,"b"',
    "line\nbreak",
    "carriage\r\nreturn",
    "trailing ",
    "tab\t",
    "caf\u00e9",  # NFC
    "cafe\u0301",  # NFD
    "n01440764",
    "a: b # c",
    "sep\u2028and\x85next",
]


def save_image(path: Path, size: tuple[int, int] = (60, 40), **options: object) -> None:
    """Write a noisy image, in the format that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def rotated() -> Image.Exif:
    """EXIF that turns a picture by 90 degrees."""
    exif = Image.Exif()
    exif[274] = 6
    return exif


def everything() -> Dataset:
    """All that a row can hold: every name, tags, shapes, attributes, times, an empty image."""
    schema = Schema(
        classes=[{"id": 3 * i, "name": name} for i, name in enumerate(HARD_NAMES)],
        tags={"weather": ["sun", "no"], "seen": {"choices": ["sea"], "multiple": True}},
        attributes={"occluded": bool, "view": ["front", "NA"], "speed": (0, 130)},
    )
    rows: list[dict[str, object]] = [
        {"image": "a/1.jpg", "kind": "box", "label": name, "x": i / 3, "y": 0.1, "width": 7.0,
         "height": 20 / 3}
        for i, name in enumerate(HARD_NAMES)
    ]  # fmt: skip
    rows += [
        {"image": "b.jpg", "kind": "polygon", "label": "NA", "x": 1.0, "y": 2.0, "width": 10.0,
         "height": 8.0, "geometry": [[[1.0, 2.0], [11.0, 2.0], [5.0, 10.0]]]},
        {"image": "b.jpg", "kind": "polygon", "label": "no", "x": 1.0, "y": 2.0, "width": 10.0,
         "height": 8.0, "geometry": [[1.0, 2.0], [11.0, 2.0], [5.0, 10.0]]},
        {"image": "b.jpg", "kind": "rotated_box", "label": "no", "x": 1.0, "y": 2.0, "width": 10.0,
         "height": 8.0, "geometry": [6.0, 6.0, 5.0, 4.0, 0.5]},
        {"image": "b.jpg", "kind": "keypoints", "label": "😀", "x": 1.0, "y": 2.0, "width": 0.0,
         "height": 0.0, "geometry": [[1.0, 2.0, 2]]},
        {"image": "b.jpg", "kind": "mask", "label": "null", "x": 0.0, "y": 1.0, "width": 1.0,
         "height": 2.0, "geometry": {"size": [40, 60], "counts": [1, 2, 2397]}},
        {"image": "b.jpg", "kind": "tag", "label": "no"},
        {"image": "c.jpg", "kind": "tag", "label": "sea"},
        {"image": "c.jpg", "kind": "text", "text": "NA"},
        {"image": "c.jpg", "kind": "text", "text": ""},
    ]  # fmt: skip
    labels = pd.DataFrame(rows)
    labels["geometry"] = labels["geometry"].astype(object).where(labels["geometry"].notna(), None)
    labels["label_id"] = [f"id{i:03}" for i in range(len(labels))]
    labels["attributes"] = [
        {"occluded": True, "view": "NA", "speed": 0.1} if i % 3 == 0 else {} for i in labels.index
    ]
    labels["score"] = [0.25 if i % 4 == 0 else np.nan for i in labels.index]
    labels["source"] = ["model:m" if i % 4 == 0 else "human" for i in labels.index]
    labels["annotator"] = ["null" if i % 2 else None for i in labels.index]
    labels["frame"] = pd.array([i if i % 5 == 0 else pd.NA for i in labels.index], dtype="Int64")
    labels["seconds"] = labels.index / 7
    labels["created"] = pd.Timestamp("2026-01-02T03:04:05.678901Z")
    images = pd.DataFrame(
        {
            "width": 60,
            "height": 40,
            "status": ["done", "flagged", "done", "done", "todo"],
            "split": ["train", "val", "train", None, None],
            "note": ["NA", "", None, "two\nlines", None],
            "seconds": [1.5, 0, 0, 0, 0],
            "unsure": [True, False, False, False, False],
            "updated": pd.Timestamp("2026-01-02T03:04:05.678901Z"),
        },
        index=["b.jpg", "a/1.jpg", "c.jpg", "empty.jpg", "todo.jpg"],
    )
    return Dataset(labels, images, schema)


def assert_same(got: Dataset, wanted: Dataset) -> None:
    """Both hold the same rows, types, ids and scheme, whatever their order."""
    assert got.schema == wanted.schema
    pd.testing.assert_frame_equal(
        got.labels.loc[wanted.labels.index], wanted.labels, check_exact=True
    )
    pd.testing.assert_frame_equal(
        got.images.loc[wanted.images.index], wanted.images, check_exact=True
    )
    assert len(got.labels) == len(wanted.labels)
    assert len(got.images) == len(wanted.images)


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
names = st.lists(
    (text | st.sampled_from(HARD_NAMES)).filter(lambda name: name.strip()),
    min_size=1,
    max_size=5,
    unique=True,
)


@st.composite
def box_datasets(draw: st.DrawFn) -> Dataset:
    """Boxes inside images of 640 × 480, under any class names, ids and image keys."""
    classes = draw(names)
    ids = draw(
        st.lists(st.integers(0, 10**6), min_size=len(classes), max_size=len(classes), unique=True)
    )
    keys = draw(st.lists(text, min_size=1, max_size=4, unique=True))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(keys),
                st.sampled_from(classes),
                st.floats(0, 600),
                st.floats(0, 440),
                st.floats(0.01, 40),
                st.floats(0.01, 40),
            ),
            max_size=6,
        )
    )
    labels = pd.DataFrame(rows, columns=["image", "label", "x", "y", "width", "height"])
    labels["kind"] = "box"
    images = pd.DataFrame({"width": 640, "height": 480, "status": "done"}, index=keys)
    schema = Schema(classes=[{"id": i, "name": name} for i, name in zip(ids, classes, strict=True)])
    return Dataset(labels, images, schema)


_points = st.tuples(st.floats(1, 600), st.floats(1, 440)).map(list)
_rings = st.lists(_points, min_size=3, max_size=6)


@st.composite
def _shape(draw: st.DrawFn) -> tuple[str, Any, list[float]]:
    kind = draw(st.sampled_from([*PLACED_KINDS, "ellipse"]))
    if kind == "box":
        return kind, None, [*draw(_points), draw(st.floats(0.01, 40)), draw(st.floats(0.01, 40))]
    if kind == "rotated_box":
        x, y = draw(_points)
        geometry = [x, y, draw(st.floats(3, 40)), draw(st.floats(3, 40)), draw(st.floats(-3, 3))]
        corners = rotated_corners(np.array([geometry]))[0]
        return kind, geometry, bounds([corners.tolist()])
    if kind == "polygon":
        geometry = draw(st.lists(_rings, min_size=1, max_size=3))
        return kind, geometry, bounds(geometry)
    if kind == "ellipse":
        sides = draw(st.tuples(st.floats(2, 40), st.floats(2, 40)))
        wide = draw(st.booleans())
        ring = ellipse_ring(*draw(_points), sides[0], sides[wide], draw(st.floats(-3, 3)))
        return "polygon", [ring], bounds([ring])
    if kind == "polyline":
        line = draw(st.lists(_points, min_size=2, max_size=5))
        return kind, line, bounds([line])
    if kind == "keypoints":
        seen = draw(st.lists(st.tuples(_points, st.sampled_from([0, 1, 2])), max_size=4))
        points = [[*point, v] if v else [0.0, 0.0, 0] for point, v in [*seen, ([9.0, 9.0], 2)]]
        return kind, points, keypoints_bounds(points)
    pixels = np.zeros((480, 640), dtype=bool)
    left, top = draw(st.integers(0, 600)), draw(st.integers(0, 440))
    bits = draw(st.lists(st.booleans(), min_size=12, max_size=12))
    pixels[top : top + 3, left : left + 4] = np.reshape(bits, (3, 4))
    geometry = mask_rle(pixels)
    return "mask", geometry, rle_bounds(geometry)


@st.composite
def shape_datasets(draw: st.DrawFn) -> Dataset:
    """Shapes of every kind on images of 640 × 480, under any class names."""
    classes = draw(names)
    keys = draw(st.lists(text, min_size=1, max_size=3, unique=True))
    rows = draw(st.lists(st.tuples(st.sampled_from(keys), st.sampled_from(classes), _shape()),
                         max_size=5))  # fmt: skip
    labels = pd.DataFrame(
        [(key, name, shape[0], *shape[2]) for key, name, shape in rows],
        columns=["image", "label", "kind", "x", "y", "width", "height"],
    )
    labels["geometry"] = pd.Series([s[1] for _, _, s in rows], dtype=object)
    images = pd.DataFrame({"width": 640, "height": 480, "status": "done"}, index=keys)
    return Dataset(labels, images, Schema(classes=classes))


def filled(dataset: Dataset) -> Dataset:
    """Only the labels that cover pixels."""
    return Dataset(dataset.labels[dataset.labels["kind"].isin(FILLED)], dataset.images,
                   dataset.schema)  # fmt: skip


def layers() -> Dataset:
    """A box under a polygon, a mask beside them, and an image without labels; 30 × 20 pixels."""
    pixels = np.zeros((20, 30), dtype=bool)
    pixels[12:15, 20:25] = True
    pixels[13, 22] = False
    labels = pd.DataFrame(
        {
            "image": "a.jpg",
            "label": ["road", "car", "tree"],
            "kind": ["box", "polygon", "mask"],
            "x": [2.0, 5, 20], "y": [3.0, 5, 12], "width": [16.0, 6, 5], "height": [10.0, 4, 3],
        }
    )  # fmt: skip
    ring = [[5.0, 5.0], [11.0, 5.0], [11.0, 9.0], [5.0, 9.0]]
    labels["geometry"] = pd.Series([None, [ring], mask_rle(pixels)], dtype=object)
    images = pd.DataFrame({"width": 30, "height": 20, "status": "done"}, index=["a.jpg", "no.jpg"])
    return Dataset(labels, images, Schema(classes=["car", "road", "tree"]))


def assert_alike(got: Dataset, wanted: Dataset, *, ids: bool = True, atol: float = 1e-6) -> None:
    """Both hold the same shapes to a fraction of a pixel, under the same ids, and one scheme."""
    assert got.schema == wanted.schema
    assert set(got.images.index) == set(wanted.images.index)
    sizes = ["width", "height", "status"]
    pd.testing.assert_frame_equal(
        got.images.loc[wanted.images.index, sizes], wanted.images[sizes], check_exact=True
    )
    a, b = got.labels, wanted.labels
    assert len(a) == len(b)
    if ids:
        a = a.loc[b.index]
    for column in ("image", "kind", "label", "attributes"):
        assert a[column].tolist() == b[column].tolist(), column
    place = ["x", "y", "width", "height"]
    upright = b["kind"].ne("rotated_box").to_numpy()  # the box around it follows from its shape
    np.testing.assert_allclose(a[place][upright], b[place][upright], atol=atol, rtol=0)
    for kind, mine, theirs in zip(a["kind"], a["geometry"], b["geometry"], strict=True):
        if kind == "mask" and mine is not None:
            assert (mask_pixels(mine) == mask_pixels(theirs)).all()
        elif theirs is None:
            assert mine is None
        else:
            flat, wanted_flat = (_flat(shape) for shape in (mine, theirs))
            assert len(flat) == len(wanted_flat)
            np.testing.assert_allclose(flat, wanted_flat, atol=atol, rtol=0)


def _flat(geometry: Any) -> list[float]:
    if isinstance(geometry, (list, tuple)):
        return [value for part in geometry for value in _flat(part)]
    return [geometry]
