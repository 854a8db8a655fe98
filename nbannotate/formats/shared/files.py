"""Files of an export: images placed by link or copy, their sizes, nothing half-written."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO, Literal

import fsspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nbannotate.errors import FormatError

Copy = Literal["link", "copy", "none"]

SUFFIXES = frozenset(
    f".{name}"
    for name in ("jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp", "gif", "jp2", "avif", "mpo")
)
_ORIENTATION = 274
_SWAPS_SIDES = (5, 6, 7, 8)
# What Windows refuses in a name, so that an export made elsewhere can be copied there.
_AT_ONCE = 500  # files


def write_atomic(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write the file, all of it or its parts, so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                _write_parts(file, content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for the owner only; an export is meant to be shared.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_parts(file: IO[bytes], parts: Iterable[bytes]) -> None:
    """Write the parts; a thread does so while the next one is made."""
    with ThreadPoolExecutor(1) as thread:
        writing: Future[int] | None = None
        for part in parts:
            if writing is not None:
                writing.result()
            writing = thread.submit(file.write, part)
        if writing is not None:
            writing.result()


def write_many(files: Iterable[tuple[str, str]]) -> None:
    """Write many small files, each of a path and a text, in folders that are there.

    A thread writes while the next texts are made: making a file takes the system's time, not
    Python's.
    """
    made = iter(files)
    with ThreadPoolExecutor(1) as thread:
        writing: Future[None] | None = None
        while some := list(islice(made, _AT_ONCE)):
            if writing is not None:
                writing.result()
            writing = thread.submit(_write_some, some)
        if writing is not None:
            writing.result()


def _write_some(files: list[tuple[str, str]]) -> None:
    for path, text in files:
        # Path.open takes twice as long.
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123
            content = memoryview(text.encode())
            while content:
                content = content[file.write(content) :]


@contextlib.contextmanager
def new_folder(path: Path, owned: Iterable[str], marker: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, whose entries come to `path` once all of them are written.

    Parameters
    ----------
    path
        Where the export goes. It is new or empty, or holds an earlier export.
    owned
        Entries of the earlier export that the new one replaces; what else is there stays.
    marker
        The file that tells an earlier export.
    overwrite
        Whether an earlier export may be replaced.
    """
    if path.is_file():
        raise FormatError(path, "", "is a file; give the name of a folder")
    if path.is_dir() and any(path.iterdir()):
        if not (path / marker).is_file():
            raise FormatError(path, "", "holds other files; give a new or an empty folder")
        if not overwrite:
            raise FormatError(
                path, "", "holds an earlier export; give overwrite=True to replace it"
            )
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".writing-") as name:
        fresh = Path(name)
        yield fresh
        for entry in {*owned, *(item.name for item in fresh.iterdir())}:
            old = path / entry
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        for item in fresh.iterdir():
            item.rename(path / item.name)


def source(path: str, root: Path | None) -> str:
    """Where the image is: a URI as it is, a relative path from `root` or the working folder."""
    if "://" in path:
        return path
    local = Path(path).expanduser()
    return str(local if root is None else root / local)


@contextlib.contextmanager
def opened(where: str) -> Iterator[IO[bytes]]:
    """The image's bytes, from a file or from wherever fsspec reaches."""
    if "://" in where:
        with fsspec.open(where, "rb") as file:
            yield file
    else:
        with Path(where).open("rb") as file:
            yield file


def open_image(file: IO[bytes], formats: list[str] | None = None) -> Image.Image:
    """Open an image with Pillow; `OSError` if it is none that Pillow reads."""
    try:
        return Image.open(file, formats=formats)
    except ImportError as error:  # ultralytics, once imported, has Pillow ask for more readers
        raise UnidentifiedImageError(f"cannot identify the image: {error}") from error


def upright_size(where: str) -> tuple[int, int]:
    """Width and height in pixels of the image with its EXIF orientation applied.

    Raises
    ------
    OSError, ValueError
        If it cannot be read as an image.
    """
    if "://" in where:
        with opened(where) as file:
            return header_size(file)
    with open(where, "rb") as local:  # noqa: PTH123  a Path each takes as long as to read it
        return header_size(local)


def header_size(file: IO[bytes]) -> tuple[int, int]:
    """As `upright_size`, of an image that is open or in memory."""
    plain = _png_size(file)
    if plain is not None:
        return plain
    try:
        with open_image(file) as image:
            # Pillow's size is that of the stored picture; OpenCV and browsers turn it first.
            turned = _orientation(image) in _SWAPS_SIDES
            return (image.height, image.width) if turned else image.size
    except Image.DecompressionBombError as error:
        raise ValueError(f"{error}; set Image.MAX_IMAGE_PIXELS of Pillow to read it") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, struct.error, ValueError, TypeError, KeyError, OSError, OverflowError):
        return 1  # a damaged EXIF block turns nothing, as in other readers


def _png_size(file: IO[bytes]) -> tuple[int, int] | None:
    """Width and height of a PNG that has no chunk that may turn it; None for other files.

    Pillow looks for such a chunk by decoding all pixels, for it may stand behind them.

    Source: W3C, Portable Network Graphics, third edition, 5.3 chunk layout, 11.2.1 IHDR.
    """
    head = file.read(29)
    size: tuple[int, int] | None = None
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR" and len(head) == 29:
        size = struct.unpack(">II", head[16:24])
        file.seek(33)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            start = file.read(min(length, 17)) if name in (b"tEXt", b"zTXt", b"iTXt") else b""
            if name == b"eXIf" or start.startswith((b"Raw profile type ", b"XML:com.adobe.xmp")):
                size = None
                break
            file.seek(length - len(start) + 4, io.SEEK_CUR)
    file.seek(0)
    most = Image.MAX_IMAGE_PIXELS or 0
    # Pillow is left to say what is wrong with other sizes.
    return size if size is not None and 0 < size[0] * size[1] <= most else None


def sizes(images: pd.DataFrame, root: Path | None, path: Path) -> NDArray[np.int64]:
    """Upright width and height of each image, shape (n, 2), from the table or else the file.

    Raises
    ------
    FormatError
        If a size is in neither; `path` is the file being written.
    """
    known = images[["width", "height"]].astype("float64").to_numpy(copy=True)
    for row in np.flatnonzero(~(known > 0).all(axis=1)).tolist():
        key, where = images.index[row], images["path"].iloc[row]
        try:
            known[row] = upright_size(source(key if pd.isna(where) else where, root))
        except (OSError, ValueError) as error:
            raise FormatError(
                path,
                f"image {key!r}",
                f"has no width and height, and they cannot be read from {where!r} ({error}); "
                "set them in dataset.images, or say where relative paths start with root=…",
            ) from error
    return known.astype(np.int64)


def needs_png(where: str, formats: frozenset[str], *, turns: frozenset[str]) -> bool:
    """Whether a consumer of images would show the file otherwise than upright, or not at all.

    Parameters
    ----------
    where
        The image.
    formats
        Suffixes and Pillow's names of the formats that it reads, in small letters.
    turns
        Those of them whose EXIF orientation it applies.
    """
    if where.rpartition(".")[2].lower() not in formats:
        return True
    with opened(where) as file:
        if "jpeg" in turns and file.read(3) == b"\xff\xd8\xff":
            return False
        file.seek(0)
        try:
            with open_image(file) as image:
                name = (image.format or "").lower()
                turned = _orientation(image) != 1
                return (turned and name not in turns) or name not in formats
        except OSError as error:
            raise FormatError(
                where, "", f"cannot be read as an image ({error}); leave it out or mend it"
            ) from error


def image_paths(names: list[str], path: Path, folder: str | Path | None) -> list[str]:
    """Where the images are that a label file names.

    Parameters
    ----------
    names
        Their names in the file.
    path
        The file.
    folder
        Where they are; None: beside the file or in ``images`` there, if the first one is, else as
        they are named.
    """
    if not names:
        return []
    if folder is not None:
        return [str(Path(folder) / name) for name in names]
    for base in (path.parent, path.parent / "images", path.parent.parent / "images"):
        with contextlib.suppress(OSError):  # a name that is too long
            if "://" not in names[0] and (base / names[0]).is_file():
                return [str(base / name) for name in names]
    return names


def place(where: str, target: Path, copy: Copy) -> None:
    """Put the image at `target`: a hard link, else a symbolic link, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if "://" in where:
        with opened(where) as remote, target.open("wb") as file:
            shutil.copyfileobj(remote, file)
        return
    real = Path(where).resolve()
    if copy == "link":
        with contextlib.suppress(OSError):
            target.hardlink_to(real)
            return
        with contextlib.suppress(OSError):
            target.symlink_to(real)
            return
    shutil.copyfile(real, target)


def convert_to_png(where: str, target: Path) -> None:
    """Write the image upright as PNG, of an animation the first frame."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(upright_png(where))


def upright_png(where: str) -> bytes:
    """The image upright as PNG, of an animation the first frame."""
    with opened(where) as file, open_image(file) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode not in ("L", "RGB", "RGBA", "I;16"):
            upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
        sink = io.BytesIO()
        upright.save(sink, format="PNG", exif=b"")
    return sink.getvalue()


def require_files(images: pd.DataFrame, root: Path | None, path: Path) -> list[str]:
    """Where each image is; `FormatError` if files are missing (`path` is what is written)."""
    where = [
        source(key if pd.isna(given) else given, root)
        for key, given in zip(images.index, images["path"], strict=True)
    ]
    missing = [
        key
        for key, file in zip(images.index, where, strict=True)
        if "://" not in file and not Path(file).is_file()
    ]
    if missing:
        raise FormatError(
            path,
            f"image {missing[0]!r}",
            f"is not a file, as {len(missing)} of {len(images)} images; say where relative paths "
            "start with root=…, save images from memory first and set dataset.images['path'], "
            "or leave them out with dataset.select(images=…)",
        )
    return where
