"""Pictures with their labels, without a widget: one, or a sheet of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, ImageDraw

from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import BOX, PLACED_KINDS
from nbannotate.errors import ImageError, LabelError
from nbannotate.formats.shared.files import opened, source
from nbannotate.images.decoding import decode, open_header
from nbannotate.report.drawing import Sheet, font_of

_MOST_ENLARGED = 8
_NAMED = 250  # shapes; nobody could read the names of more
_CAPTION, _GAP = 20, 8  # px
_PAPER, _INK = "#ffffff", "#333333"


def show(
    data: Dataset | pd.DataFrame,
    image: str | None = None,
    *,
    images: pd.DataFrame | None = None,
    root: str | Path | None = None,
    size: tuple[int, int] = (960, 720),
    names: bool = True,
) -> Image.Image:
    """A picture with its labels, as the widget shows it; a notebook displays it by itself.

    Parameters
    ----------
    data
        A dataset, or a labels table.
    image
        The key of the image; None: the first one.
    images
        The images table, if `data` is a labels table.
    root
        Folder from which relative image paths start.
    size
        The most that width and height may be, in pixels. Small pictures are enlarged.
    names
        Whether shapes bear the names of their classes.

    Raises
    ------
    LabelError
        If there is no such image.
    ImageError
        If it cannot be read.
    """
    dataset = _dataset(data, images)
    keys = dataset.images.index
    if image is None and len(keys):
        image = str(keys[0])
    if image not in keys:
        raise LabelError(
            f"there is no image {image!r}; there are {len(keys)}"
            + (f", such as {str(keys[0])!r}" if len(keys) else "")
        )
    return _drawn(dataset, str(image), root, size, names)


def contact_sheet(
    data: Dataset | pd.DataFrame,
    keys: Iterable[str] | None = None,
    *,
    images: pd.DataFrame | None = None,
    root: str | Path | None = None,
    columns: int = 4,
    size: tuple[int, int] = (240, 180),
    names: bool = True,
) -> Image.Image:
    """Pictures with their labels in rows and columns, each above its name.

    Parameters
    ----------
    data
        A dataset, or a labels table.
    keys
        The images, in their order; None: the first forty.
    images
        The images table, if `data` is a labels table.
    root
        Folder from which relative image paths start.
    columns
        How many stand side by side.
    size
        The room that each has, in pixels.
    names
        Whether shapes bear the names of their classes.

    Raises
    ------
    LabelError
        If there is no such image.
    """
    dataset = _dataset(data, images)
    chosen = list(dataset.images.index[:40] if keys is None else keys)
    unknown = [key for key in chosen if key not in dataset.images.index]
    if unknown or not chosen or columns < 1:
        what = f"image {unknown[0]!r}" if unknown else "image to show, or no column"
        raise LabelError(f"there is no {what}; give keys of dataset.images, and columns from 1 up")
    columns = min(columns, len(chosen))
    wide, high = size[0] + _GAP, size[1] + _CAPTION + _GAP
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * wide + _GAP, rows * high + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, key in enumerate(chosen):
        left, top = _GAP + number % columns * wide, _GAP + number // columns * high
        try:
            picture = _drawn(dataset, key, root, size, names)
        except ImageError:
            picture = Image.new("RGB", size, "#eeeeee")
            middle, font = (size[0] / 2, size[1] / 2), font_of(12, bold=False)
            ImageDraw.Draw(picture).text(
                middle, "cannot be read", fill=_INK, font=font, anchor="mm"
            )
        # In the middle of its room, so that the captions of a row stand on one line.
        place = left + (size[0] - picture.width) // 2, top + (size[1] - picture.height) // 2
        sheet.paste(picture, place)
        caption = _shortened(draw, key, size[0])
        draw.text((left, top + size[1] + 3), caption, fill=_INK, font=font_of(12, bold=False))
    return sheet


def _dataset(data: Dataset | pd.DataFrame, images: pd.DataFrame | None) -> Dataset:
    return data if isinstance(data, Dataset) else Dataset(data, images)


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: float) -> str:
    """The end of the text that has room: names of files differ there."""
    font = font_of(12, bold=False)
    shown = text
    while len(shown) > 1 and draw.textlength(shown, font=font) > room:
        shown = f"…{shown[2:]}"
    return shown


def _drawn(
    dataset: Dataset, key: str, root: str | Path | None, size: tuple[int, int], names: bool
) -> Image.Image:
    picture = _read(dataset, key, root)
    scale = min(size[0] / picture.width, size[1] / picture.height, _MOST_ENLARGED)
    fitted = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    sheet = Sheet(picture.resize(fitted, how), scale)
    labels = dataset.labels[dataset.labels["image"] == key]
    classes = {item.name: (item, place) for place, item in enumerate(dataset.schema.classes)}
    placed = labels[labels["kind"].isin(PLACED_KINDS)]
    few = names and len(placed) <= _NAMED
    rows: Sequence[Any] = list(
        zip(placed["kind"], placed["label"], placed[BOX].to_numpy().tolist(), placed["geometry"],
            placed.index, strict=True)
    )  # fmt: skip
    for kind, name, box, geometry, label_id in rows:
        item, place = classes[str(name)]
        try:
            sheet.shape(str(kind), box, geometry, item, place, name=few)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise LabelError(f"label {label_id!r}: {kind}: {error}; mend or delete it") from error
    said = set(labels.loc[labels["kind"].eq("tag"), "label"].astype(str))
    return sheet.picture(tag for tag in dataset.schema.tag_choices if tag.name in said)


def _read(dataset: Dataset, key: str, root: str | Path | None) -> Image.Image:
    row = dataset.images.loc[key]
    where: Any = row["path"]
    path = source(key if pd.isna(where) else str(where), None if root is None else Path(root))
    try:
        with opened(path) as file:
            raw = file.read()
    except OSError as error:
        raise ImageError(
            f"{key}: {path} cannot be read ({error}); check the path, or say where relative ones "
            "start with root=…"
        ) from error
    picture = decode(open_header(raw, key), raw, key)
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGB")
    width, height = row["width"], row["height"]
    if pd.notna(width) and pd.notna(height) and (width, height) != picture.size:
        raise ImageError(
            f"{key}: {path} has {picture.width} × {picture.height} pixels, its labels were made "
            f"on {width} × {height}; put the former file back"
        )
    return picture
