"""Pascal VOC: what its consumers make of our folders, and folders of others read in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from supervision import DetectionDataset

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.masks import mask_pixels, mask_rle
from nbannotate.core.schema import Schema
from nbannotate.errors import FormatError
from nbannotate.formats import voc
from tests.formats.readers import run
from tests.formats.samples import box_datasets, everything, rotated, save_image

BOX = ["x", "y", "width", "height"]


def boxes(*rows: tuple, **more: object) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", "label", *BOX]).assign(**more)


def done(*keys: str, **more: object) -> pd.DataFrame:
    return pd.DataFrame({"width": 60, "height": 40, "status": "done", **more}, index=list(keys))


def test_a_box_is_written_to_the_letter(tmp_path):
    labels = boxes(("a.jpg", "cat & dog", 0, 2.5, 10, 20))
    labels["attributes"] = [{"difficult": True, "pose": "Left", "occluded": False, "age": 2.5}]

    Dataset(labels, done("a.jpg", "empty.jpg")).to_voc(tmp_path / "v", copy="none")

    head = """\
<annotation>
  <folder>JPEGImages</folder>
  <filename>{}.jpg</filename>
  <source>
    <database>nbannotate</database>
    <annotation>1-based inclusive corners</annotation>
  </source>
  <size>
    <width>60</width>
    <height>40</height>
    <depth>3</depth>
  </size>
  <segmented>0</segmented>
"""
    assert (
        (tmp_path / "v/Annotations/a.xml").read_text()
        == head.format("a")
        + """\
  <object>
    <name>cat &amp; dog</name>
    <pose>Left</pose>
    <truncated>0</truncated>
    <difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>3.5</ymin><xmax>10</xmax><ymax>22.5</ymax></bndbox>
    <occluded>0</occluded>
    <attributes>
      <attribute><name>age</name><value>2.5</value></attribute>
    </attributes>
  </object>
</annotation>
"""
    )
    empty = head.format("empty") + "</annotation>\n"
    assert (tmp_path / "v/Annotations/empty.xml").read_text() == empty
    assert (tmp_path / "v/ImageSets/Main/trainval.txt").read_text() == "a\nempty\n"


values = st.one_of(
    st.booleans(),
    st.floats(-1e6, 1e6),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")),
)


def with_attributes(dataset: Dataset, drawn: list[dict[str, object]]) -> Dataset:
    """The labels with these attributes, and a scheme that has them as bool, number and text."""
    schema = dataset.schema
    schema = Schema(
        schema.classes, schema.tags, {"difficult": bool, "yes": bool, "many": float, "word": str}
    )
    labels = dataset.labels.copy()
    labels["attributes"] = [drawn[i % len(drawn)] for i in range(len(labels))]
    return Dataset(labels, dataset.images, schema)


attributes = st.fixed_dictionaries(
    {"difficult": st.booleans()},
    optional={
        "yes": st.booleans(),
        "many": st.floats(-1e6, 1e6),
        "word": st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
        ),
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dataset=box_datasets(),
    drawn=st.lists(attributes, min_size=1, max_size=3),
    based=st.sampled_from([0, 1]),
)
def test_any_names_keys_boxes_and_attributes_come_back(tmp_path, dataset, drawn, based):
    dataset = with_attributes(dataset, drawn)

    report = dataset.to_voc(tmp_path / "v", copy="none", overwrite=True, based=based)

    back = registry.read(tmp_path / "v", format="voc")
    assert report.lost == {} and report.labels == len(dataset)
    assert back.schema == dataset.schema
    assert back.images.index.tolist() == sorted(
        back.images.index, key=list(back.images.index).index
    )
    assert set(back.images.index) == set(dataset.images.index)
    assert back.images["width"].eq(640).all() and back.images["status"].eq("done").all()
    for key in dataset.images.index:
        got, wanted = (d.labels[d.labels["image"] == key] for d in (back, dataset))
        assert got["label"].tolist() == wanted["label"].tolist()
        assert got["attributes"].tolist() == wanted["attributes"].tolist()
        np.testing.assert_allclose(got[BOX], wanted[BOX], atol=2e-6, rtol=0)


def test_polygons_and_masks_come_back(tmp_path):
    one, two = np.zeros((2, 40, 60), dtype=bool)
    one[3:9, 5:20], two[30:, :7] = True, True
    labels = pd.DataFrame(
        {
            "image": "a.jpg",
            "kind": ["polygon", "mask", "box", "mask"],
            "label": ["cat", "cat", "cat", "dog"],
            "x": [1.5, 5, 2, 0], "y": [2.0, 3, 2, 30], "width": [9.5, 15, 8, 7],
            "height": [8.0, 6, 8, 10],
            "geometry": [[[[1.5, 2.0], [11.0, 2.0], [5.0, 10.0]]], mask_rle(one), None,
                         {"size": [40, 60], "counts": mask_rle(two)["counts"].encode()}],
        }
    )  # fmt: skip

    report = Dataset(labels, done("a.jpg")).to_voc(tmp_path / "v", copy="none")

    assert report.lost == {}
    back = registry.read(tmp_path / "v")
    found = {(r.kind, r.label): r for r in back.labels.itertuples()}
    assert found["polygon", "cat"].geometry == labels.loc[0, "geometry"]
    for name, pixels in (("cat", one), ("dog", two)):
        np.testing.assert_array_equal(mask_pixels(found["mask", name].geometry), pixels)
    dog = found["mask", "dog"]
    assert [dog.x, dog.y, dog.width, dog.height] == [0, 30, 7, 10]
    with Image.open(tmp_path / "v/SegmentationObject/a.png") as picture:
        assert picture.mode == "P" and picture.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
        assert np.unique(np.asarray(picture)).tolist() == [0, 1, 2]


def test_parts_stay_parts_of_their_object(tmp_path):
    labels = boxes(
        ("a.jpg", "person", 0, 0, 20, 30), ("a.jpg", "head", 5, 1, 6, 7),
        ("a.jpg", "head", 30, 1, 6, 7),
    )  # fmt: skip
    labels.index = ["p", "h", "free"]
    labels["attributes"] = [{}, {"part_of": "p"}, {}]

    Dataset(labels, done("a.jpg")).to_voc(tmp_path / "v", copy="none")

    text = (tmp_path / "v/Annotations/a.xml").read_text()
    assert text.count("<object>") == 2
    corners = "<xmin>6</xmin><ymin>2</ymin><xmax>11</xmax><ymax>8</ymax>"
    assert f"<part><name>head</name><bndbox>{corners}</bndbox></part>" in text
    back = registry.read(tmp_path / "v").labels
    part = back[[("part_of" in values) for values in back["attributes"]]]
    assert part[BOX].to_numpy().tolist() == [[5, 1, 6, 7]]
    parent = back.loc[part["attributes"].iloc[0]["part_of"]]
    assert parent["label"] == "person" and len(back) == 3


def test_what_is_left_out_is_named(tmp_path):
    dataset = everything()
    dataset.images["split"] = None

    report = dataset.to_voc(tmp_path / "v", copy="none")

    assert report.lost | {"x": 0} == {
        "tag labels, for which Pascal VOC has no place": 2,
        "text labels, for which Pascal VOC has no place": 2,
        "images not reviewed": 1,
        "boxes without area": 1,
        "rotated_box shapes (their bounding boxes are written)": 1,
        "labels' score": 7, "labels' frame": 5, "labels' annotator": 12, "labels' seconds": 25,
        "labels' created": 25, "labels' source": 7, "images' note": 3, "images' seconds": 1,
        "images' updated": 4, "images' unsure": 1, "images' status": 1, "x": 0,
    }  # fmt: skip
    assert "20 boxes have fractions of pixels" in str(report)


def test_whole_pixels_for_readers_that_take_no_others(tmp_path):
    labels = boxes(("a.jpg", "c", 0.4, 2.6, 10.2, 0.3), ("a.jpg", "c", 1, 2, 3, 4))

    report = Dataset(labels, done("a.jpg")).to_voc(tmp_path / "v", copy="none", integers=True)

    text = (tmp_path / "v/Annotations/a.xml").read_text()
    assert "<xmin>1</xmin><ymin>4</ymin><xmax>11</xmax><ymax>4</ymax>" in text
    assert "<xmin>2</xmin><ymin>3</ymin><xmax>4</xmax><ymax>6</ymax>" in text
    assert report.lost == {"fractions of pixels of boxes (rounded)": 1}


# --- consumers ---


def for_consumers(folder: Path) -> Dataset:
    """Boxes and masks of two classes on four images with splits, one of them turned by EXIF."""
    for key in ("a.jpg", "sub/b.png", "turned.jpg", "empty.jpg"):
        save_image(folder / key, **({"exif": rotated()} if key == "turned.jpg" else {}))
    pixels = np.zeros((40, 60), dtype=bool)
    pixels[4:12, 8:20] = True
    labels = boxes(
        ("a.jpg", "tool", 3, 4, 10, 20), ("a.jpg", "no", 20.5, 4.25, 10, 20),
        ("sub/b.png", "tool", 8, 4, 12, 8), ("turned.jpg", "no", 0, 0, 40, 60),
        geometry=None,
    )  # fmt: skip
    labels["kind"] = ["box", "box", "mask", "box"]
    labels.at[2, "geometry"] = mask_rle(pixels)
    labels["attributes"] = [{"difficult": True}, {}, {}, {"view": "NA"}]
    images = pd.DataFrame(
        {"status": "done", "split": ["train", "train", "val", "val"]},
        index=["a.jpg", "sub/b.png", "turned.jpg", "empty.jpg"],
    )
    return Dataset(labels, images, Schema(["tool", "no", "unused"]))


def test_supervision_reads_the_same_boxes(tmp_path):
    dataset = for_consumers(tmp_path / "src")
    dataset.to_voc(tmp_path / "v", root=tmp_path / "src", split=None)

    found = DetectionDataset.from_pascal_voc(
        str(tmp_path / "v/JPEGImages"), str(tmp_path / "v/Annotations")
    )

    names = {Path(path).name: detections for path, detections in found.annotations.items()}
    assert set(names) == {"a.jpg", "sub__b.png", "turned.jpg.png", "empty.jpg"}
    assert names["a.jpg"].xyxy.tolist() == [[3, 4, 13, 24], [20.5, 4.25, 30.5, 24.25]]
    assert names["turned.jpg.png"].xyxy.tolist() == [[0, 0, 40, 60]]
    assert len(names["empty.jpg"]) == 0
    assert [found.classes[i] for i in names["a.jpg"].class_id] == ["tool", "no"]


DATUMARO = """
import json, sys
from datumaro import Dataset
found = Dataset.import_from(sys.argv[1], "voc", coordinate_mode="voc-one-based")
names = [label.name for label in found.categories()[next(iter(found.categories()))].items]
rows = []
for item in found:
    for a in item.annotations:
        kind = a.type.name
        box = list(map(float, a.get_bbox()))
        area = int(a.image.sum()) if kind == "mask" else 0
        rows.append([item.subset, item.id, kind, names[a.label], box, area,
                     bool(a.attributes.get("difficult")), a.attributes.get("view")])
print(json.dumps([sorted(rows), len(found), [list(i.media.size) for i in found]]))
"""


def test_datumaro_reads_the_same_boxes_masks_and_splits(tmp_path):
    dataset = for_consumers(tmp_path / "src")
    dataset.to_voc(tmp_path / "v", root=tmp_path / "src")

    rows, count, sizes = run(DATUMARO, tmp_path / "v")

    assert count == 4 and sorted(map(tuple, sizes)) == [(40, 60), (40, 60), (40, 60), (60, 40)]
    assert rows == [
        ["train", "a", "bbox", "no", [20.5, 4.25, 10, 20], 0, False, None],
        ["train", "a", "bbox", "tool", [3, 4, 10, 20], 0, True, None],
        ["train", "sub__b", "bbox", "tool", [8, 4, 12, 8], 0, False, None],
        ["train", "sub__b", "mask", "tool", [8, 4, 12, 8], 96, False, None],
        ["val", "turned.jpg", "bbox", "no", [0, 0, 40, 60], 0, False, "NA"],
    ]


def test_the_images_are_placed_upright_and_found_again(tmp_path):
    dataset = for_consumers(tmp_path / "src")

    report = dataset.to_voc(tmp_path / "v", root=tmp_path / "src")

    back = registry.read(tmp_path / "v")
    assert back.images["split"].to_dict() == dataset.images["split"].to_dict()
    assert all(Path(path).is_file() for path in back.images["path"])
    assert (tmp_path / "v/JPEGImages/a.jpg").samefile(tmp_path / "src/a.jpg")
    with Image.open(tmp_path / "v/JPEGImages/turned.jpg.png") as picture:
        assert picture.size == (40, 60)
    assert "1 images converted to upright PNG" in str(report)


# --- files of others ---


def foreign(folder: Path, objects: str, size: str = "<width>60</width><height>40</height>") -> Path:
    """Somebody's data set of one image."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    text = f"<annotation><filename>x.png</filename><size>{size}</size>{objects}</annotation>"
    (folder / "Annotations/a.xml").write_text(text)
    return folder


def corners(*values: object) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, values, strict=True))
    return f"<bndbox>{inner}</bndbox>"


@pytest.mark.parametrize(
    ("first", "based", "wanted"),
    [
        ((1, 2, 10, 20), None, [0, 1, 10, 19]),
        ((0, 2, 10, 20), None, [0, 2, 10, 18]),  # any 0: corners start at 0
        ((1, 2, 10, 20), 0, [1, 2, 9, 18]),
        ((0, 2, 10, 20), 1, [-1, 1, 11, 19]),
    ],
)
def test_where_corners_start_is_seen_or_said(tmp_path, first, based, wanted):
    text = f"<object><name>c</name>{corners(*first)}</object>"

    dataset = voc.read(foreign(tmp_path, text), based=based)

    assert dataset.labels[BOX].to_numpy().tolist() == [wanted]
    assert dataset.images.index.tolist() == ["a.png"]  # by its XML file, as VOC's tools do
    assert dataset.labels["source"].tolist() == ["import:voc"]


def test_optional_elements_fractions_actions_and_spaces_are_read(tmp_path):
    text = f"""
      <object>
        <name> dog
        </name>{corners(" 1.5 ", 2, 3.25, 4)}
      </object>
      <object><name>person</name><truncated>0.3</truncated><difficult></difficult>
        <actions><jumping>1</jumping><other>0</other></actions>{corners(1, 1, 2, 2)}
      </object>"""

    dataset = voc.read(foreign(tmp_path, text))

    assert dataset.labels["label"].tolist() == ["dog", "person"]
    assert dataset.labels.iloc[0][BOX].tolist() == [0.5, 1, 2.75, 3]
    assert dataset.labels["attributes"].tolist() == [
        {}, {"truncated": True, "difficult": False, "jumping": True, "other": False},
    ]  # fmt: skip
    assert {a.type for a in dataset.schema.attributes} == {"bool"}
    assert dataset.validate().ok


def test_attributes_without_a_scheme_get_the_type_that_all_fit(tmp_path):
    def item(**values: str) -> str:
        inner = "".join(
            f"<attribute><name>{n}</name><value>{v}</value></attribute>" for n, v in values.items()
        )
        box = corners(1, 1, 2, 2)
        return f"<object><name>c</name>{box}<attributes>{inner}</attributes></object>"

    text = item(a="true", b="1.5", c="001") + item(a="false", b="2", c="2")

    rows = voc.read(foreign(tmp_path, text)).labels["attributes"].tolist()

    assert rows == [{"a": True, "b": 1.5, "c": "001"}, {"a": False, "b": 2.0, "c": "2"}]


def test_folders_of_roboflow_give_the_splits(tmp_path):
    for name in ("train", "valid"):
        foreign(tmp_path / name, f"<object><name>c</name>{corners(0, 1, 2, 2)}</object>")
        (tmp_path / name / "Annotations/a.xml").rename(tmp_path / name / "a.xml")
        (tmp_path / name / "Annotations").rmdir()
        save_image(tmp_path / name / "a.jpg")

    dataset = registry.read(tmp_path)

    assert dataset.images["split"].to_dict() == {"train/a.jpg": "train", "valid/a.jpg": "val"}
    assert all(Path(path).is_file() for path in dataset.images["path"])


def test_a_missing_size_comes_from_the_image(tmp_path):
    foreign(tmp_path, "", size="")
    save_image(tmp_path / "JPEGImages/a.jpg", exif=rotated())

    images = voc.read(tmp_path / "Annotations/a.xml").images

    assert images.loc["a.jpg", ["width", "height"]].tolist() == [40, 60]


def test_masks_of_others_in_colours_and_without_objects(tmp_path):
    text = f"<object><name>boat</name>{corners(1, 1, 9, 9)}</object>"
    foreign(tmp_path, text)
    instances, classes = np.zeros((2, 40, 60, 3), dtype=np.uint8)
    instances[:9, :9], classes[:9, :9] = (128, 0, 0), (0, 0, 128)
    instances[20:30, 10:30], classes[20:30, 10:30] = (0, 128, 0), (128, 0, 128)
    instances[19], classes[19] = (224, 224, 192), (224, 224, 192)
    for name, pixels in (("Object", instances), ("Class", classes)):
        (tmp_path / f"Segmentation{name}").mkdir()
        Image.fromarray(pixels).save(tmp_path / f"Segmentation{name}/a.png")

    labels = voc.read(tmp_path).labels

    assert labels["kind"].tolist() == ["mask", "mask"]
    assert labels["label"].tolist() == ["boat", "bottle"]  # the second by its class's colour
    assert labels[BOX].to_numpy().tolist() == [[0, 0, 9, 9], [10, 20, 20, 10]]
    assert mask_pixels(labels["geometry"].iloc[1]).sum() == 200
    assert voc.read(tmp_path, masks=False).labels["kind"].tolist() == ["box"]


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (f"<object>{corners(1, 2, 3, 4)}</object>", "<object> 1", "has no <name>"),
        ("<object><name>c</name></object>", "<object> 1", "has no <bndbox>"),
        ("<object><name>c</name><bndbox><xmin>1</xmin></bndbox></object>", "<object> 1",
         "<bndbox> has no <ymin>"),
        (f"<object><name>c</name>{corners(1, 2, 'x', 4)}</object>", "<object> 1",
         "<xmax> is 'x', which is no finite number"),
        (f"<object><name>c</name>{corners(1, 2, 'nan', 4)}</object>", "<object> 1", "finite"),
        (f"<object><name>c</name>{corners(9, 2, 3, 4)}</object>", "<object> 1", "swap them"),
        (f"<object><name>c</name><difficult>x</difficult>{corners(1, 2, 3, 4)}</object>",
         "<object> 1", "write 1 or 0"),
        (f"<object><name>c</name>{corners(1, 2, 3, 4)}<polygon><x1>1</x1></polygon></object>",
         "<object> 1", "has 1 numbers"),
        (f"<object><name>c</name>{corners(1, 2, 3, 4)}<part><name>h</name></part></object>",
         "<object> 1, <part> 1", "has no <bndbox>"),
    ],
)  # fmt: skip
def test_a_bad_object_is_named_or_skipped(tmp_path, text, where, why):
    good = f"<object><name>c</name>{corners(1, 2, 3, 4)}</object>"
    foreign(tmp_path, text + good)

    with pytest.raises(FormatError, match=why) as caught:
        voc.read(tmp_path)
    assert caught.value.path.endswith("a.xml") and caught.value.where == where
    assert "on_error" in str(caught.value)
    with pytest.warns(UserWarning, match="1 left out"):
        kept = voc.read(tmp_path, on_error="skip")
    assert kept.labels["width"].iloc[-1] == 3 and len(kept.images) == 1


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        ("<annotation><object></annotation>", "line 1", "is not XML"),
        ("<annotation>\n<size>", "line 2", "is not XML"),
        ("<annotations/>", "<annotations>", "another format"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "", "<!DOCTYPE"),
        ("<annotation><size><width>200000</width><height>9</height></size></annotation>",
         "<size>", "no size of an image"),
        ("<annotation><size><width>x</width><height>9</height></size></annotation>", "<size>",
         "'x'"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_or_skipped(tmp_path, content, where, why):
    foreign(tmp_path, "")
    (tmp_path / "Annotations/b.xml").write_text(content)

    with pytest.raises(FormatError, match=why) as caught:
        voc.read(tmp_path)
    assert caught.value.path.endswith("b.xml") and caught.value.where == where
    with pytest.warns(UserWarning, match="1 left out"):
        assert voc.read(tmp_path, on_error="skip").images.index.tolist() == ["a.png"]


def test_entities_never_grow(tmp_path):
    lines = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "ha">{lines}]><annotation>&e9;</annotation>'
    foreign(tmp_path, "")
    (tmp_path / "Annotations/a.xml").write_text(bomb, encoding="utf-16")

    with pytest.raises(FormatError, match="DOCTYPE"):
        voc.read(tmp_path)


def test_a_bad_mask_is_named(tmp_path):
    foreign(tmp_path, f"<object><name>c</name>{corners(1, 2, 3, 4)}</object>")
    (tmp_path / "SegmentationObject").mkdir()
    mask = tmp_path / "SegmentationObject/a.png"
    mask.write_bytes(b"no png")
    with pytest.raises(FormatError, match=r"a\.png: cannot be read as a mask"):
        voc.read(tmp_path)
    Image.new("P", (60, 41)).save(mask)
    with pytest.raises(FormatError, match="is 60 × 41, its image 60 × 40"):
        voc.read(tmp_path)
    Image.new("RGB", (60, 40), (1, 2, 3)).save(mask)
    with pytest.raises(FormatError, match="has the colour #010203"):
        voc.read(tmp_path)
    Image.new("L", (60, 40), 7).save(mask)
    with pytest.raises(FormatError, match="index 7: is of no object"):
        voc.read(tmp_path)


def test_wrong_options_and_folders_are_refused(tmp_path):
    dataset = Dataset(boxes(("a.jpg", "c", 1, 2, 3, 4)), done("a.jpg"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("dear")

    for options, why in (
        ({"based": 2}, "based=2"), ({"copy": "move"}, "copy='move'"), ({}, "is not a file")
    ):  # fmt: skip
        with pytest.raises(FormatError, match=why):
            dataset.to_voc(tmp_path / "v", **options)
    with pytest.raises(FormatError, match="holds other files"):
        dataset.to_voc(tmp_path / "other", copy="none", overwrite=True)
    dataset.to_yolo(tmp_path / "yolo", copy="none")
    with pytest.raises(FormatError, match="holds an export as 'yolo'"):
        dataset.to_voc(tmp_path / "yolo", copy="none", overwrite=True)
    with pytest.raises(FormatError, match="leads to no XML files"):
        voc.read(tmp_path / "other")
    with pytest.raises(FormatError, match="no such file"):
        voc.read(tmp_path / "missing")
