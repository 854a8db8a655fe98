"""Real photographs to try nbannotate on, without a download: `python -m nbannotate.demo FOLDER`."""

from __future__ import annotations

import argparse
import random
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from nbannotate.errors import NbannotateError

# name of the picture: (photograph, left, top, right, bottom), or the photograph as it is
PHOTOS: dict[str, tuple[str, int, int, int, int] | str] = {
    "astronaut": "astronaut",
    "astronaut_face": ("astronaut", 90, 0, 380, 290),
    "astronaut_helmet": ("astronaut", 232, 292, 512, 512),
    "cat": "chelsea",
    "cat_eyes": ("chelsea", 90, 60, 380, 200),
    "cat_nose": ("chelsea", 170, 140, 400, 300),
    "coffee": "coffee",
    "coffee_spoon": ("coffee", 260, 150, 530, 390),
    "coffee_table": ("coffee", 0, 0, 260, 400),
    "coins": "coins",
    "coins_bottom_rows": ("coins", 0, 150, 384, 303),
    "coins_top_rows": ("coins", 0, 0, 384, 150),
    "flower": "flower",
    "flower_centre": ("flower", 150, 70, 470, 370),
    "flower_leaves": ("flower", 0, 0, 200, 427),
    "galaxies": ("hubble_deep_field", 0, 0, 640, 480),
    "galaxies_right": ("hubble_deep_field", 500, 380, 1000, 872),
    "launch_pad": ("rocket", 60, 230, 580, 427),
    "pagoda": "china",
    "pagoda_lake": ("china", 320, 120, 640, 427),
    "pagoda_roofs": ("china", 60, 10, 400, 280),
    "pagoda_trees": ("china", 0, 220, 420, 427),
    "photographer": "camera",
    "photographer_camera": ("camera", 130, 40, 390, 300),
    "rocket": "rocket",
    "shuttle_model": ("astronaut", 350, 0, 512, 300),
}
TAGS = ("brick", "grass", "gravel")
TAG_PHOTOS = 20  # of each tag
TAG_SIZE = 102  # pixels: 5 by 5 squares in a photograph of 512 by 512


def photos(folder: str | PathLike[str]) -> Path:
    """Write some two dozen photographs as JPEG files.

    They come with scikit-image and scikit-learn; some are details cut from a larger one.

    Parameters
    ----------
    folder
        Where to write; made when it is missing. Files of the same names are replaced.

    Returns
    -------
    The folder.

    Examples
    --------
    >>> import nbannotate as nba
    >>> from nbannotate.demo import photos
    >>> annotator = nba.BoxAnnotator(photos("photos"), classes=["cat", "flower"])  # doctest: +SKIP
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    originals: dict[str, Image.Image] = {}
    for name, source in PHOTOS.items():
        original, *corners = (source,) if isinstance(source, str) else source
        if original not in originals:
            originals[original] = _photograph(str(original))
        picture = originals[original]
        if corners:
            left, top, right, bottom = corners
            picture = picture.crop((left, top, right, bottom))
        picture.save(folder / f"{name}.jpg", quality=92)
    return folder


def tag_photos(folder: str | PathLike[str]) -> pd.Series[str]:
    """Write 60 small photographs of brick, grass and gravel, in no order, and tell which is which.

    For a lesson on tags: tag a few, train a classifier, and compare it with the truth.

    Parameters
    ----------
    folder
        Where to write; made when it is missing. Files of the same names are replaced.

    Returns
    -------
    The true tag of each image; the index is the image key, its path relative to `folder`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    squares: list[tuple[str, Image.Image]] = []
    for tag in TAGS:
        photograph = _photograph(tag)
        for number in range(TAG_PHOTOS):
            top, left = (TAG_SIZE * step for step in divmod(number, photograph.width // TAG_SIZE))
            box = (left, top, left + TAG_SIZE, top + TAG_SIZE)
            squares.append((tag, photograph.crop(box)))
    random.Random(0).shuffle(squares)
    truth = {}
    for number, (tag, square) in enumerate(squares):
        key = f"photo_{number:02}.jpg"
        square.save(folder / key, quality=92)
        truth[key] = tag
    return pd.Series(truth, name="tag", dtype="string").rename_axis("image")


def _photograph(name: str) -> Image.Image:
    """A photograph that scikit-learn or scikit-image has in its wheel, by their name for it."""
    pixels: Any
    try:
        if name in ("china", "flower"):
            from sklearn.datasets import load_sample_image

            pixels = load_sample_image(f"{name}.jpg")
        else:
            import skimage.data

            pixels = getattr(skimage.data, name)()
    except ImportError as error:
        raise NbannotateError(
            f"The sample photographs come with scikit-image and scikit-learn, and {error.name} is "
            'not installed. Install them: pip install "nbannotate[demo]"'
        ) from error
    return Image.fromarray(pixels)


def main() -> None:
    """Write the photographs into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m nbannotate.demo", description="Write sample photographs as JPEG files."
    )
    parser.add_argument("folder", type=Path, help="made when it is missing")
    folder = photos(parser.parse_args().folder)
    print(f"{len(PHOTOS)} photographs in {folder}")


if __name__ == "__main__":
    main()
