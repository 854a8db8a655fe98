"""The photographs that every contender shows, each marked with its number."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nbannotate import demo

WIDTH, HEIGHT = 900, 675
BITS = 10  # of the number, a black or white square each, from the top-left corner
SQUARE = 24  # pixels


def write(folder: Path, count: int) -> list[Path]:
    """Write `count` JPEG files of 900 by 675 pixels; the n-th, from 0, bears the number n + 1.

    The page reads the number back from what is on the screen, so that no contender can be taken
    for ready while it still shows the picture before.
    """
    originals = demo.photos(folder.with_name(folder.name + "-originals"))
    pictures = [_fitted(Image.open(path)) for path in sorted(originals.glob("*.jpg"))]
    folder.mkdir(parents=True)
    paths = []
    for place in range(count):
        picture = pictures[place % len(pictures)].copy()
        for bit in range(BITS):
            value = 255 if (place + 1) >> bit & 1 else 0
            picture.paste((value,) * 3, (bit * SQUARE, 0, (bit + 1) * SQUARE, SQUARE))
        path = folder / f"photo_{place:05}.jpg"
        picture.save(path, quality=88)
        paths.append(path)
    return paths


def write_same(folder: Path, count: int) -> None:
    """Write `count` files of one photograph: a folder that is only long."""
    (first,) = write(folder.with_name(folder.name + "-one"), 1)
    folder.mkdir(parents=True)
    for place in range(count):
        (folder / f"photo_{place:05}.jpg").hardlink_to(first)


def _fitted(photo: Image.Image) -> Image.Image:
    photo = photo.convert("RGB")
    scale = max(WIDTH / photo.width, HEIGHT / photo.height)
    width, height = round(photo.width * scale), round(photo.height * scale)
    left, top = (width - WIDTH) // 2, (height - HEIGHT) // 2
    return photo.resize((width, height)).crop((left, top, left + WIDTH, top + HEIGHT))
