"""Fifty images labelled in a notebook by mouse and keys, and read by four trainers as they are."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbannotate.core.dataset import Dataset

from .annotating import draw, opened, press, wait_saved, wait_shown

pytestmark = pytest.mark.browser

COUNT = 50
SIZE = (160, 120)
BOX = ["x", "y", "width", "height"]
CLASSES = ["blue", "red"]
PIXELS = {"blue": (40, 60, 220), "red": (220, 50, 40)}
CELL = """
import nbannotate as nba
ann = nba.Annotator("../fifty", classes=["blue", "red"], tags={"light": ["day", "night"]})
ann
"""
DAY, NIGHT = "3", "4"  # their keys; those of the classes are 1 and 2

Thing = tuple[str, tuple[int, int, int, int]]


def scene(number: int) -> tuple[bool, list[Thing]]:
    """Whether it is day, and what is to be seen where: class and x, y, width, height."""
    random = np.random.default_rng(number)
    things = []
    for left in (8, 84)[: number % 3]:  # every third image is a negative
        x, y = left + int(random.integers(0, 12)), int(random.integers(8, 50))
        size = int(random.integers(30, 60)), int(random.integers(30, 60))
        things.append((CLASSES[int(random.integers(0, 2))], (x, y, *size)))
    return bool(random.integers(0, 2)), things


def save(folder: Path) -> list[str]:
    """Write the images; their names."""
    folder.mkdir(parents=True)
    names = []
    for number in range(COUNT):
        is_day, things = scene(number)
        random = np.random.default_rng(1000 + number)
        pixels = random.integers(0, 40, (SIZE[1], SIZE[0], 3)) + (190 if is_day else 20)
        for name, (x, y, width, height) in things:
            pixels[y : y + height, x : x + width] = PIXELS[name]
        names.append(f"{number:02}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(folder / names[-1])
    return names


def test_fifty_images_labelled_by_hand_train_in_four_libraries(
    notebook, jupyter_server, tmp_path, monkeypatch
):
    names = save(jupyter_server.root / "fifty")
    one = notebook([CELL])
    for number, name in enumerate(names):
        wait_shown(one, name)
        is_day, things = scene(number)
        for label, (x, y, width, height) in things:
            press(one, str(CLASSES.index(label) + 1))
            draw(one, x, y, x + width, y + height)
        press(one, DAY if is_day else NIGHT, "Enter")
    wait_saved(one)

    with opened(one) as store:
        dataset = store.dataset.split((0.6, 0.2, 0.2))
    check_labels(dataset, names)
    train_with_torch(dataset)
    train_with_sklearn(dataset)
    read_with_huggingface(dataset, tmp_path)
    monkeypatch.setenv("YOLO_CONFIG_DIR", os.environ.get("YOLO_CONFIG_DIR", str(tmp_path / "cfg")))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    read_with_ultralytics(dataset, tmp_path)


def check_labels(dataset: Dataset, names: list[str]) -> None:
    """All that was drawn and pressed is there, to a pixel."""
    assert dataset.images["status"].eq("done").all() and len(dataset.images) == COUNT
    for number, name in enumerate(names):
        is_day, things = scene(number)
        mine = dataset.labels[dataset.labels["image"] == name].sort_values("x", na_position="last")
        boxes = mine[mine["kind"] == "box"]
        assert boxes["label"].tolist() == [label for label, _ in things]
        np.testing.assert_allclose(boxes[BOX], np.reshape([b for _, b in things], (-1, 4)), atol=1)
        tags = mine.loc[mine["kind"] == "tag", "label"].tolist()
        assert tags == ["day" if is_day else "night"]


def train_with_torch(dataset: Dataset) -> None:
    """A loop over a DataLoader learns how many things of each class an image holds."""
    import torch

    torch.manual_seed(0)
    parts = {name: dataset.to_torch(split=name) for name in ("train", "val")}
    assert sum(map(len, parts.values())) + len(dataset.to_torch(split="test")) == COUNT
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, len(parts["train"].classes)),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 0.02)

    def loss_of(data: torch.utils.data.Dataset, learn: bool) -> float:
        losses = []
        for images, targets in torch.utils.data.DataLoader(
            data, batch_size=8, shuffle=learn, collate_fn=data.collate
        ):
            wanted = torch.stack([
                torch.bincount(target["labels"], minlength=len(data.classes)).float()
                for target in targets
            ])  # fmt: skip
            loss = torch.nn.functional.mse_loss(net(torch.stack(list(images))), wanted)
            losses.append(loss.item())
            if learn:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return float(np.mean(losses))

    before = loss_of(parts["val"], learn=False)
    for _ in range(40):
        loss_of(parts["train"], learn=True)
    assert loss_of(parts["val"], learn=False) < before / 3


def train_with_sklearn(dataset: Dataset) -> None:
    """Pipelines tell the classes of the things, and day from night, on images not seen before."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    for task in ("detect", "classify"):
        train, other = (dataset.to_sklearn(task=task, split=part) for part in ("train", "test"))
        model = make_pipeline(train.pixels, LogisticRegression(max_iter=1000))
        model.fit(train.data, train.target)
        assert model.score(other.data, other.target) >= 0.9, task


def read_with_huggingface(dataset: Dataset, folder: Path) -> None:
    """As a dataset in memory and as a folder on disk: types, boxes and pictures."""
    import datasets

    made = dataset.to_huggingface()
    dataset.to_hf_imagefolder(folder / "hf")
    loaded = datasets.load_dataset(str(folder / "hf"), cache_dir=str(folder / "cache"))
    assert made.keys() == loaded.keys() == {"train", "validation", "test"}
    for rows, category in ((made, "category"), (loaded, "categories")):
        assert sum(map(len, rows.values())) == COUNT
        features = rows["train"].features
        assert features["objects"][category].feature.names == CLASSES
        assert features["light"].names == ["day", "night"]
        boxes = [box for part in rows.values() for row in part for box in row["objects"]["bbox"]]
        wanted = dataset.labels.loc[dataset.labels["kind"] == "box", BOX]
        np.testing.assert_allclose(sorted(boxes), sorted(wanted.to_numpy().tolist()), atol=1e-4)
        assert rows["train"][0]["image"].size == SIZE


def read_with_ultralytics(dataset: Dataset, folder: Path) -> None:
    """Its checker and its dataset class find every image and every box where it was drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ultralytics.data.dataset import YOLODataset
        from ultralytics.data.utils import check_det_dataset

    dataset.to_yolo(folder / "yolo")
    data = check_det_dataset(str(folder / "yolo/data.yaml"), autodownload=False)
    assert list(data["names"].values()) == CLASSES
    parts = [YOLODataset(img_path=data[name], data=data, task="detect", imgsz=160)
             for name in ("train", "val", "test")]  # fmt: skip
    rows = {Path(row["im_file"]).name: row for part in parts for row in part.labels}
    assert len(rows) == COUNT
    for name, row in rows.items():
        mine = dataset.labels[dataset.labels["image"].eq(name) & dataset.labels["kind"].eq("box")]
        centres = row["bboxes"] * [*SIZE, *SIZE]
        corners = centres[:, :2] - centres[:, 2:] / 2
        np.testing.assert_allclose(np.hstack([corners, centres[:, 2:]]), mine[BOX], atol=1e-3)
        assert row["cls"].ravel().tolist() == [CLASSES.index(label) for label in mine["label"]]
    batch = parts[0].collate_fn([parts[0][0], parts[0][1]])
    assert batch["img"].shape[:2] == (2, 3)
