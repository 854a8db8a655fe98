"""For each format some files of it, ours and those of other tools, for the fuzz test to damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import nbannotate.core.registry as registry
from nbannotate.core.dataset import Dataset
from nbannotate.core.schema import Schema
from tests.formats import (
    test_coco_keypoints,
    test_cvat,
    test_icdar,
    test_label_studio,
    test_mot,
    test_openimages,
    test_paddleocr,
    test_supervisely,
    test_tfrecord,
    test_trl,
    test_via,
)
from tests.formats.samples import everything, layers, save_image

Seed = Callable[[Path], tuple[Path, dict[str, Any]]]
"""Makes files in a folder; gives what is read, and with which options."""


def written(
    make: Callable[[], Dataset], name: str, target: str = "out", read: str = "", **options: Any
) -> Seed:
    """What our writer makes of a dataset."""

    def seed(folder: Path) -> tuple[Path, dict[str, Any]]:
        dataset = make()
        if options.get("root") == "src":
            for key in dataset.images.index:
                save_image(folder / "src" / key, (30, 20))
            options["root"] = folder / "src"
        dataset.write(folder / target, format=name, **options)
        return folder / target / read if read else folder / target, {}

    return seed


def one_split() -> Dataset:
    """Everything, all of it in one split."""
    dataset = everything()
    return Dataset(dataset.labels, dataset.images.assign(split="train"), dataset.schema)


def text(content: str, name: str) -> Seed:
    """A file of another tool."""

    def seed(folder: Path) -> tuple[Path, dict[str, Any]]:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name, {}

    return seed


def made(make: Callable[..., Any], *args: Any, read: str = "", **options: Any) -> Seed:
    """What another test makes in a folder, or in a file of that name."""

    def seed(folder: Path) -> tuple[Path, dict[str, Any]]:
        found = make(folder, *args)
        return (folder / read if read else found), options

    return seed


def _results(folder: Path) -> tuple[Path, dict[str, Any]]:
    layers().to_coco(folder / "truth.json")
    layers().to_coco_results(folder / "results.json")
    return folder / "results.json", {"truth": folder / "truth.json"}


def _tags(folder: Path) -> tuple[Path, dict[str, Any]]:
    for tag in ("cat", "dog"):
        for split in ("train", "val"):
            save_image(folder / "out" / split / tag / "a.jpg", (6, 4))
    return folder / "out", {}


def _yolo(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Somebody's data set: BOM, CRLF, a list of images, a polygon and a box."""
    for name in ("a.b.jpg", "c.png"):
        save_image(folder / "images/train" / name, (60, 40))
    (folder / "labels/train").mkdir(parents=True)
    (folder / "labels/train/a.b.txt").write_bytes(b"\xef\xbb\xbf0 0.5 0.5 1e-1 0.25\r\n\r\n")
    (folder / "labels/train/c.txt").write_text("1 0.1 0.1 0.9 0.1 0.9 0.9\n0 0.5 0.5 0.2 0.2\n")
    (folder / "train.txt").write_text("./images/train/a.b.jpg\n./images/train/c.png\n")
    (folder / "data.yaml").write_text(
        "train: train.txt\nval: images/train\nnames:\n  0: no\n  1: yes\n"
    )
    return folder, {}


def _labelme(folder: Path) -> tuple[Path, dict[str, Any]]:
    one_split().to_labelme(folder / "out", copy="none")
    return folder / "out", {}


def _panoptic(folder: Path) -> tuple[Path, dict[str, Any]]:
    layers().to_coco_panoptic(folder / "out", copy="none")
    return folder / "out/annotations/panoptic.json", {}


def _webdataset(folder: Path) -> tuple[Path, dict[str, Any]]:
    save_image(folder / "src/a.jpg", (6, 4))
    labels = pd.DataFrame({"image": ["a.jpg"], "label": ["x"], "x": 1, "y": 1, "width": 1,
                           "height": 1})  # fmt: skip
    Dataset(labels).to_webdataset(folder / "out", root=folder / "src")
    shutil.rmtree(folder / "src")
    [file] = (folder / "out").glob("*.tar")
    return file, {}


def _multilabel() -> Dataset:
    labels = pd.DataFrame({"image": ["a", "b"], "kind": "tag", "label": ["no", "sea"]})
    return Dataset(labels, schema=Schema(tags={"t": {"choices": ["no", "sea"], "multiple": True}}))


def _rated() -> Dataset:
    rows = [(0, "rating", {"answer": 0, "value": True})]
    return test_trl.asked([("Hi", ["Hello"])], rows)


_COCO = {
    "images": [{"id": 0, "file_name": "a.jpg", "width": 60, "height": 40}],
    "categories": [{"id": 5, "name": "no", "supercategory": "x"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 5, "bbox": [1, 2, 3, 4], "iscrowd": 0, "area": 12},
        {"id": 2, "image_id": 0, "category_id": 5, "bbox": [1, 2, 3, 4], "iscrowd": 1,
         "segmentation": {"size": [40, 60], "counts": [10, 20, 2370]}},
        {"id": 3, "image_id": 0, "category_id": 5, "segmentation": [[0, 0, 9, 0, 9, 9]]},
    ],
}  # fmt: skip
_LABEL_STUDIO = [
    {"id": 1, "data": {"image": "/data/upload/a.jpg"}, "completions": [{"result": [
        {"type": "rectanglelabels", "from_name": "l", "to_name": "i", "original_width": 60,
         "original_height": 40, "value": {"x": 10, "y": 10, "width": 20, "height": 20,
                                          "rotation": 30, "rectanglelabels": ["cat"]}},
        {"type": "choices", "from_name": "c", "to_name": "i", "value": {"choices": ["sun"]}}]}]},
]  # fmt: skip
_QUAD = [[1, 2], [9, 2], [9, 8], [1, 8]]

SEEDS: dict[str, list[Seed]] = {
    "cityscapes": [written(layers, "cityscapes", copy="none")],
    "coco": [
        written(everything, "coco", "a.json"),
        text(json.dumps(_COCO), "instances.json"),
        text(json.dumps(test_coco_keypoints.wild()), "keypoints.json"),
    ],
    "coco_panoptic": [_panoptic],
    "coco_results": [_results],
    "createml": [
        written(everything, "createml", "a.json"),
        text('[{"imagefilename": "a.jpg", "annotation": [{"label": "x", "coordinates": '
             '{"x": 5, "y": 5, "width": 4, "height": 4}}]}]', "b.json"),
    ],
    "csv": [
        written(everything, "csv", "a.csv"),
        text('image,label,x,y,width,height\na.jpg,NA,1,2,3,4\n"b,\n.jpg",001,0.5,1,1,1\n', "b.csv"),
    ],
    "cvat": [
        written(everything, "cvat", "a.xml"),
        written(test_cvat.video, "cvat", "v.xml", video=True),
        lambda folder: (
            test_cvat.save(folder / "b.xml", test_cvat.image(
                '<box label="car" xtl="1" ytl="2" xbr="9" ybr="8" rotation="30" z_order="0"/>'
                '<mask label="car" rle="3, 2, 1" left="1" top="1" width="3" height="2"/>'
                '<points label="car" points="1,2;3,4"/>')), {},
        ),
    ],
    "dota": [
        written(one_split, "dota", copy="none"),
        text("imagesource:GoogleEarth\ngsd:0.5\n1 2 9 3 8 9 1 7 large-vehicle 1\n", "P1.txt"),
    ],
    "hf_imagefolder": [
        written(one_split, "hf_imagefolder", copy="none"),
        written(one_split, "hf_imagefolder", copy="none", metadata="jsonl"),
        text('{"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "category": [0]}}\n',
             "metadata.jsonl"),
    ],
    "icdar": [
        written(lambda: test_icdar.SIGNS, "icdar", copy="none"),
        text('38 43 920 215 "Tiredness"\n1, 2, 3, 4, "a b"\n', "gt_a.txt"),
        text("1,2,9,2,9,8,1,8,Latin,a\n1,2,9,2,9,8,1,8,None,###\n", "gt_b.txt"),
    ],
    "imagefolder": [_tags],
    "jsonl": [written(everything, "jsonl", "a.jsonl")],
    "kitti": [
        written(one_split, "kitti", copy="none"),
        text("Car 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 -1.62\n"
             "DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n", "000001.txt"),
    ],
    "label_studio": [
        written(everything, "label_studio", "a.json"),
        text(json.dumps(_LABEL_STUDIO), "b.json"),
        text(json.dumps([test_label_studio.task(test_label_studio.box())]), "c.json"),
    ],
    "labelme": [_labelme],
    "lvis": [written(everything, "lvis", "a.json")],
    "masks": [written(layers, "masks", copy="none")],
    "mot": [
        written(test_mot.video, "mot", copy="none"),
        made(test_mot.foreign),
        made(test_mot.foreign, "1 2 3 4 5 6 0.9 -1 -1 -1\n", None, "det"),
    ],
    "multilabel_csv": [
        written(_multilabel, "multilabel_csv", "a.csv"),
        text("filename,cat,dog\na.jpg,1,0\nb.jpg,0,1\n", "b.csv"),
    ],
    "openimages": [
        written(test_openimages.pets, "openimages", copy="none"),
        made(test_openimages.foreign),
    ],
    "paddleocr": [
        written(test_paddleocr.signs, "paddleocr", copy="none"),
        text(f'a.jpg\t[{{"transcription": "x", "points": {_QUAD}, "difficult": true}}]\n'
             "b.jpg\t[]\n", "train.txt"),
        text("a.jpg\tone word\nb.jpg\tanother\n", "rec_gt_train.txt"),
    ],
    "parquet": [written(everything, "parquet", "a.parquet"), written(everything, "parquet")],
    "supervisely": [
        written(everything, "supervisely", copy="none"),
        made(test_supervisely.project, [
            test_supervisely.shape("polygon", _QUAD, [[2, 3], [4, 3], [4, 5]], tags=["a"]),
            {"classTitle": "b", "geometryType": "graph", "nodes": {"x": {"loc": [1, 2]}}},
            {"classTitle": "b", "geometryType": "oriented_bbox", "points": _QUAD[:2], "angle": 1},
        ]),
    ],
    "tfrecord": [
        written(test_tfrecord.pets, "tfrecord", read="data.tfrecord", copy="none"),
        made(test_tfrecord.foreign),
    ],
    "trl_preference": [written(lambda: test_trl.COLOURS, "trl_preference", "a.jsonl"),
                       written(lambda: test_trl.COLOURS, "trl_preference")],
    "trl_stepwise": [written(lambda: test_trl.STEPS, "trl_stepwise", "a.jsonl")],
    "trl_unpaired": [written(_rated, "trl_unpaired", "a.jsonl")],
    "via": [
        written(everything, "via", "a.json"),
        text(json.dumps(test_via.exported(test_via.region(test_via.RECT, name="cat"))), "b.json"),
    ],
    "voc": [written(one_split, "voc", copy="none")],
    "webdataset": [_webdataset],
    "yolo": [
        written(layers, "yolo", root="src"),
        written(layers, "yolo", root="src", task="segment"),
        _yolo,
    ],
}  # fmt: skip

assert SEEDS.keys() == set(registry.names()), "each format needs seeds"
