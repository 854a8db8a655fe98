"""Training objects: what the libraries themselves make of them equals the labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nbannotate as nba
from nbannotate.core import registry
from nbannotate.errors import FormatError, ImageError, LabelError, NbannotateError
from tests.formats.samples import rotated, save_image

CLASSES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "NA"}]
BOXES = [("a.png", "cat", (1, 2, 10, 20)), ("b.jpg", "NA", (3.5, 4.5, 5, 6)),
         ("a.png", "NA", (0, 0, 60, 40))]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "empty.png", "todo.png"):
        save_image(tmp_path / name)
    save_image(tmp_path / "b.jpg", exif=rotated())  # 40 wide and 60 high, once it is upright
    return tmp_path


@pytest.fixture
def dataset(folder):
    schema = nba.Schema(
        classes=CLASSES,
        tags={"scene": ["day", "night"], "seen": {"choices": ["x", "y", "z"], "multiple": True}},
        attributes={"iscrowd": bool},
    )
    labels = pd.DataFrame(
        [{"image": image, "label": name, "kind": "box", "x": x, "y": y, "width": w, "height": h}
         for image, name, (x, y, w, h) in BOXES]
        + [{"image": image, "label": name, "kind": "tag"} for image, name in
           [("a.png", "day"), ("b.jpg", "night"), ("empty.png", "day"), ("a.png", "x"),
            ("a.png", "z"), ("b.jpg", "y")]]
    )  # fmt: skip
    labels["attributes"] = [{"iscrowd": True}] + [{}] * 8
    images = pd.DataFrame(
        {
            "path": [str(folder / name) for name in ("empty.png", "b.jpg", "todo.png", "a.png")],
            "status": ["done", "todo", "todo", "done"],
            "split": ["train", "val", None, "train"],
        },
        index=["empty.png", "b.jpg", "todo.png", "a.png"],
    )
    return nba.Dataset(labels, images, schema)


def test_the_libraries_are_found_and_listed(dataset):
    assert registry.libraries() == ("huggingface", "sklearn", "supervision", "torch")
    assert {"to_torch", "to_sklearn", "to_coco"} <= set(dir(dataset))


def test_a_library_that_is_missing_is_named_with_the_mend(dataset, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nbannotate.training.torch", None)

    with pytest.raises(NbannotateError, match=r"pip install 'nbannotate\[torch\]'"):
        dataset.to_torch()


# torch


def test_torch_gets_torchvisions_targets(dataset):
    import torch

    data = dataset.to_torch()
    assert data.keys == ["empty.png", "b.jpg", "a.png"]
    assert data.classes == ["__background__", "cat", "NA"]
    _, empty = data[0]
    image, target = data[2]

    assert (image.shape, image.dtype, float(image.max()) <= 1) == ((3, 40, 60), torch.float32, True)
    assert target["boxes"].tolist() == [[1, 2, 11, 22], [0, 0, 60, 40]]
    assert target["labels"].tolist() == [1, 2]
    assert target["iscrowd"].tolist() == [1, 0]
    assert target["area"].tolist() == [200, 2400]
    assert target["image_id"].item() == 2
    assert {name: (tuple(value.shape), value.dtype) for name, value in empty.items()} == {
        "boxes": ((0, 4), torch.float32),
        "labels": ((0,), torch.int64),
        "image_id": ((), torch.int64),
        "area": ((0,), torch.float32),
        "iscrowd": ((0,), torch.int64),
    }
    assert data[1][0].shape == (3, 60, 40)  # upright
    with pytest.raises(IndexError):
        data[3]


def test_masks_and_key_points_are_targets_too(folder):
    import torch

    square = {"size": [40, 60], "counts": [2 * 40 + 1, 3, 37, 3, 2400 - 2 * 40 - 1 - 43]}
    rows = [
        ("a.png", "box", "cat", [1.0, 2, 3, 4], None),
        ("a.png", "polygon", "dog", [0.0, 0, 4, 4], [[[0, 0], [4, 0], [4, 4], [0, 4]]]),
        ("a.png", "mask", "cat", [2.0, 1, 2, 3], square),
        ("a.png", "keypoints", "dog", [5.0, 6, 2, 2], [[5, 6, 2], [0, 0, 0], [7, 8, 1]]),
        ("a.png", "keypoints", "cat", [1.0, 1, 0, 0], [[1, 1, 2]]),
    ]
    columns = ["image", "kind", "label", "x", "y", "width", "height"]
    placed = [(key, kind, name, *box) for key, kind, name, box, _ in rows]
    labels = pd.DataFrame(placed, columns=columns)
    labels["geometry"] = pd.Series([shape for *_, shape in rows], dtype=object)
    images = pd.DataFrame({"path": str(folder / "a.png"), "status": "done"}, index=["a.png"])
    dataset = nba.Dataset(labels, images, nba.Schema(["cat", "dog"]))

    _, target = dataset.to_torch(task="segment")[0]
    assert target["masks"].shape == (3, 40, 60) and target["masks"].dtype == torch.uint8
    assert target["area"].tolist() == [12, 16, 6] and target["labels"].tolist() == [1, 2, 1]
    assert target["masks"][2, 1:4, 2:4].all() and target["masks"][0, 2:6, 1:4].all()
    _, target = dataset.to_torch(task="pose")[0]
    assert target["keypoints"].tolist() == [
        [[5, 6, 2], [0, 0, 0], [7, 8, 1]], [[1, 1, 2], [0, 0, 0], [0, 0, 0]]
    ]  # fmt: skip
    assert target["boxes"].tolist() == [[5, 6, 7, 8], [1, 1, 1, 1]]
    with pytest.raises(LabelError, match="use one of detect, classify"):
        dataset.to_sklearn(task="segment")
    dataset.labels.at[dataset.labels.index[2], "geometry"] = {"size": [4, 6], "counts": [24]}
    with pytest.raises(LabelError, match="the mask's size is not that of the image"):
        dataset.to_torch(task="segment").target(0)


def test_a_detector_trains_on_it(dataset):
    import torch

    data = dataset.to_torch()
    loader = torch.utils.data.DataLoader(data, batch_size=2, collate_fn=data.collate)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
                              torch.nn.Linear(48, len(data.classes)))  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(40):
        for images, targets in loader:
            counts = torch.stack(
                [torch.bincount(t["labels"], minlength=len(data.classes)).float() for t in targets]
            )
            out = torch.stack([net(image[None])[0] for image in images])
            loss = torch.nn.functional.mse_loss(out, counts)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_worker_processes_can_read_it(dataset):
    import torch

    data = dataset.to_torch()
    loader = torch.utils.data.DataLoader(data, batch_size=3, collate_fn=data.collate, num_workers=2)
    [(images, targets)] = list(loader)

    assert [tuple(image.shape) for image in images] == [(3, 40, 60), (3, 60, 40), (3, 40, 60)]
    assert [len(target["boxes"]) for target in targets] == [0, 1, 2]


def test_a_transform_gets_the_picture_and_its_target(dataset):
    def flip(image, target):
        return image.size, target["boxes"] * 2

    size, boxes = dataset.to_torch(flip)[2]
    assert (size, boxes.tolist()) == ((60, 40), [[2, 4, 22, 44], [0, 0, 120, 80]])
    size, number = dataset.to_torch(lambda image: image.size, task="classify", tags="scene")[1]
    assert (size, number) == ((40, 60), 1)


def test_torch_gets_class_numbers_and_several_tags(dataset):
    single = dataset.to_torch(task="classify", tags="scene")
    several = dataset.to_torch(task="classify", tags="seen")

    assert single.classes == ["day", "night"]
    assert [single[place][1] for place in range(len(single))] == [0, 1, 0]
    assert several.targets.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_one_split_can_be_chosen(dataset):
    assert dataset.to_torch(split="train").keys == ["empty.png", "a.png"]
    assert dataset.to_torch(split="val").keys == ["b.jpg"]
    with pytest.raises(LabelError, match="in the split 'test' and reviewed"):
        dataset.to_torch(split="test")
    assert len(dataset.to_torch(only="all")) == 4


def test_a_picture_of_another_size_than_its_labels_is_refused(dataset, folder):
    images = dataset.images.assign(width=60, height=40)
    data = nba.Dataset(dataset.labels, images, dataset.schema).to_torch()

    with pytest.raises(ImageError, match=r"b\.jpg: .* has 40 × 60 pixels.* made on 60 × 40"):
        data[1]
    (folder / "a.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match="not an image"):
        dataset.to_torch()[2]


def test_images_that_are_no_files_are_refused_at_once(dataset):
    bare = nba.Dataset(dataset.labels, dataset.images.assign(path=None), dataset.schema)

    with pytest.raises(FormatError, match="say where relative paths start with root="):
        bare.to_torch()


def test_paths_start_where_it_is_said(dataset, folder):
    bare = nba.Dataset(dataset.labels, dataset.images.assign(path=None), dataset.schema)

    assert bare.to_torch(root=folder)[2][0].shape == (3, 40, 60)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"task": "count"}, "task='count' is unknown; use one of detect, segment, pose, classify"),
        ({"task": "classify"}, "tags=None is no tag group of the scheme; there are: 'scene', 'se"),
        ({"task": "classify", "tags": "x"}, "tags='x' is no tag group"),
        ({"task": "classify", "tags": "scene", "only": "all"}, "1 images have not one answer to "
         "'scene', such as 'todo.png'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(dataset, how, problem):
    with pytest.raises(LabelError, match=problem):
        dataset.to_torch(**how)


# Hugging Face


def test_huggingface_gets_typed_features(dataset):
    import datasets

    found = dataset.to_huggingface()
    assert isinstance(found, datasets.DatasetDict)
    assert list(found) == ["train", "validation"]
    train = found["train"]
    features = train.features
    assert features["image"] == datasets.Image()
    assert features["objects"]["category"].feature.names == ["cat", "NA"]
    assert features["scene"].names == ["day", "night"]
    assert features["seen"].feature.names == ["x", "y", "z"]
    assert train["image_id"] == ["empty.png", "a.png"]
    row = train[1]
    assert row["image"].size == (60, 40)
    assert row["objects"]["bbox"] == [[1, 2, 10, 20], [0, 0, 60, 40]]
    assert row["objects"]["category"] == [0, 1]
    assert row["objects"]["id"] == dataset.labels.index[[0, 2]].tolist()
    assert (row["scene"], row["seen"]) == (0, [0, 2])
    assert train[0]["objects"] == {"bbox": [], "category": [], "area": [], "id": []}
    assert found["validation"][0]["image"].size == (40, 60)  # upright


def test_an_image_that_has_tags_only_is_reviewed_too(dataset):
    labels = dataset.labels[dataset.labels["kind"].eq("tag")]
    images = dataset.images.assign(status="todo", split=None)
    found = nba.Dataset(labels, images, dataset.schema).to_huggingface()

    assert found["image_id"] == ["empty.png", "b.jpg", "a.png"]


# scikit-learn


def test_a_pipeline_of_scikit_learn_trains_on_crops(dataset):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    bunch = dataset.to_sklearn()
    assert bunch.target_names == ["cat", "NA"]
    assert bunch.target.tolist() == [1, 0, 1]
    model = make_pipeline(bunch.pixels, LogisticRegression(max_iter=1000))
    model.fit(bunch.data, bunch.target)
    assert model.predict(bunch.data).tolist() == [1, 0, 1]


def test_a_crop_is_what_the_box_touches(dataset, folder):
    shapes = []
    dataset.to_sklearn(lambda pixels: shapes.append(pixels.shape) or [0])
    assert shapes == [(6 + 1, 5 + 1, 3), (20, 10, 3), (40, 60, 3)]

    crop = dataset.to_sklearn(lambda pixels: pixels[0, 0]).data[1]
    assert crop.tolist() == list(Image.open(folder / "a.png").getpixel((1, 2)))


def test_scikit_learn_gets_images_with_one_tag_or_several(dataset):
    single = dataset.to_sklearn(task="classify", tags="scene")
    several = dataset.to_sklearn(np.mean, task="classify", tags="seen")

    assert single.data["image"].tolist() == ["empty.png", "b.jpg", "a.png"]
    assert single.target.tolist() == [0, 1, 0]
    assert single.pixels.fit_transform(single.data).shape == (3, 32 * 32 * 3)
    assert several.target.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert several.data.shape == (3, 1)


def test_the_reading_step_can_be_cloned_and_cross_validated(dataset):
    from sklearn.base import clone
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    bunch = dataset.to_sklearn(task="classify", tags="scene")
    assert clone(bunch.pixels.set_params(size=(4, 4))).size == (4, 4)
    pipeline = make_pipeline(bunch.pixels, DummyClassifier())
    scores = cross_val_score(pipeline, bunch.data, bunch.target, cv=[([0, 1], [2]), ([1, 2], [0])])
    assert len(scores) == 2


# supervision


def test_supervision_reads_the_same_boxes_and_pixels(dataset):
    found = dataset.to_supervision()

    assert found.classes == ["cat", "NA"]
    assert len(found) == 3
    rows = {path.rpartition("/")[2]: (image.shape, boxes) for path, image, boxes in found}
    assert {name: shape for name, (shape, _) in rows.items()} == {
        "empty.png": (40, 60, 3), "b.jpg": (60, 40, 3), "a.png": (40, 60, 3)
    }  # fmt: skip
    boxes = rows["a.png"][1]
    assert boxes.xyxy.tolist() == [[1, 2, 11, 22], [0, 0, 60, 40]]
    assert boxes.class_id.tolist() == [0, 1]
    assert boxes.data["label_id"].tolist() == dataset.labels.index[[0, 2]].tolist()
    assert boxes.confidence is None
    assert len(rows["empty.png"][1]) == 0


def test_supervision_gets_scores_where_all_have_one(dataset):
    labels = dataset.labels.assign(score=0.5)
    found = nba.Dataset(labels, dataset.images, dataset.schema).to_supervision()

    assert [boxes.confidence.tolist() for _, _, boxes in found] == [[], [0.5], [0.5, 0.5]]


def test_supervision_gets_one_class_an_image_and_no_more(dataset):
    found = dataset.to_supervision(task="classify", tags="scene")

    assert [int(answer.class_id[0]) for _, _, answer in found] == [0, 1, 0]
    with pytest.raises(LabelError, match="may bear several tags of 'seen'"):
        dataset.to_supervision(task="classify", tags="seen")
