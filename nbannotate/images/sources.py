"""Images by key, wherever they are: a folder, pattern, list, table, zip, URL or pictures in memory.

`open_source` finds out what it was given, lists it without opening a file, and hands back an
`ImageSource`; the bytes are read by one of the readers in `nbannotate.images.readers`.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from PIL import Image

from nbannotate.errors import ImageError
from nbannotate.images.listing import (
    EXTENSIONS,
    is_image_name,
    is_pattern,
    list_folder,
    list_pattern,
)
from nbannotate.images.readers import (
    FolderReader,
    Item,
    ItemsReader,
    Raw,
    Reader,
    RemoteReader,
    ZipReader,
    absolute,
    check_array,
    is_url,
)

__all__ = ["ImageSource", "Images", "Indexes", "Raw", "open_source"]

Images: TypeAlias = Item | Iterable[Item] | Mapping[str, Item] | pd.DataFrame
Indexes: TypeAlias = int | str | slice | Iterable[int | str | bool]

PATH_COLUMNS = ("path", "file", "filename", "image", "image_path", "filepath", "file_name")

_ACCEPTED = (
    "a folder, a pattern such as 'photos/**/*.jpg', a file, a zip archive, a URL, a list or dict "
    "of paths, bytes, arrays or PIL images, or a DataFrame with a path column"
)
_SUFFIXES = ", ".join(sorted(EXTENSIONS))


class ImageSource:
    """Images in a fixed order, each under a key of its own.

    Made by `open_source`. All methods may be called from any thread.

    Parameters
    ----------
    keys
        One for each image, each different.
    reader
        Reads an image by its key.
    root
        Folder or URL that the keys start from; empty if there is none.
    name
        What the images are, for messages: ``folder photos``.
    """

    def __init__(self, keys: Iterable[str], reader: Reader, root: str, name: str) -> None:
        self.keys: Sequence[str] = tuple(keys)
        self.root = root
        self._reader = reader
        self._name = name
        self._whole: ImageSource | None = None
        self._given: str | Path | None = None  # what it was listed from
        self._positions = {key: i for i, key in enumerate(self.keys)}
        if len(self._positions) < len(self.keys):
            twice = [key for key, n in Counter(self.keys).items() if n > 1]
            raise ImageError(f"{name}: {_some(twice)} given more than once. Name each image once.")
        _check_text(self.keys, name)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"<ImageSource: {self.describe()}>"

    def describe(self) -> str:
        """Say what this is in a few words, such as ``folder photos, 120 images``."""
        return f"{self._name}, {len(self)} {'image' if len(self) == 1 else 'images'}"

    def has(self, key: str) -> bool:
        """Whether an image has this key."""
        return key in self._positions

    def position(self, key: str) -> int:
        """Place of an image in the order, from 0."""
        try:
            return self._positions[key]
        except (KeyError, TypeError):
            close = difflib.get_close_matches(str(key), self.keys[:10_000], n=1)
            hint = f" Did you mean {close[0]!r}?" if close else " See .keys for what there is."
            raise ImageError(f"{key!r} is not an image of {self.describe()}.{hint}") from None

    def load(self, key: str) -> Raw:
        """Image as it is stored: the bytes of its file, or the picture in memory.

        Raises
        ------
        ImageError
            If there is no such image or it cannot be read; says which, why, and the mend.
        """
        self.position(key)
        return self._reader.load(key)

    def path(self, key: str) -> str | None:
        """Local path or URI of an image; None if it is only in memory."""
        self.position(key)
        return self._reader.path(key)

    def n_bytes(self, key: str) -> int | None:
        """Number of bytes of an image as it is stored; None if only reading it would tell."""
        self.position(key)
        return self._reader.n_bytes(key)

    @property
    def whole(self) -> ImageSource:
        """All images, where these are a subset of them."""
        return self if self._whole is None else self._whole

    def anew(self) -> ImageSource:
        """All images as they are listed now; of a list or table the same again.

        Raises
        ------
        ImageError
            If there are none any more.
        """
        given = self.whole._given
        return self.whole if given is None else open_source(given)

    def subset(self, indexes: Indexes) -> ImageSource:
        """Some of the images in the order given, under the same keys.

        Parameters
        ----------
        indexes
            A position (negative: from the end) or key, several of them, a slice, or one boolean
            for each image.

        Examples
        --------
        >>> import numpy as np
        >>> source = open_source([np.zeros((2, 2), np.uint8)] * 3)
        >>> source.subset([-1, "image-0001"]).keys
        ('image-0003', 'image-0001')
        """
        if isinstance(indexes, slice):
            keys = list(self.keys[indexes])
        elif isinstance(indexes, int | np.integer | str):
            keys = [self._key_at(indexes)]
        else:
            chosen = list(indexes)
            if chosen and all(isinstance(i, bool | np.bool_) for i in chosen):
                if len(chosen) != len(self):
                    raise ImageError(
                        f"indexes: {len(chosen)} booleans for {len(self)} images. Give one for "
                        "each image, or positions or keys."
                    )
                keys = [key for key, wanted in zip(self.keys, chosen, strict=True) if wanted]
            else:
                keys = [self._key_at(i) for i in chosen]
        if not keys:
            raise ImageError(
                f"indexes selects none of {self.describe()}. Give at least one position or key."
            )
        part = ImageSource(keys, self._reader, self.root, self._name)
        part._whole = self.whole
        return part

    def _key_at(self, index: Any) -> str:
        if isinstance(index, str):
            return self.keys[self.position(index)]
        if isinstance(index, bool | np.bool_) or not isinstance(index, int | np.integer):
            raise ImageError(
                f"indexes: {index!r} is neither a position nor a key. Give whole numbers, keys, "
                "a slice, or one boolean for each image."
            )
        if not -len(self) <= index < len(self):
            raise ImageError(
                f"indexes: there is no image {index} in {self.describe()}. "
                f"Positions go from 0 to {len(self) - 1}."
            )
        return self.keys[int(index)]


def open_source(images: Images, *, indexes: Indexes | None = None) -> ImageSource:
    """Open images, whatever they are given as; lists them and reads none.

    Parameters
    ----------
    images
        A folder (with all folders below it), a pattern such as ``photos/**/*.jpg``, a file, a zip
        archive, a URL of one of these, a picture (bytes, uint8 array, PIL image), a list of paths,
        URLs and pictures, a dict of them by key, or a DataFrame with a path column.
    indexes
        Some of the images only; see `ImageSource.subset`.

    Raises
    ------
    ImageError
        If there are no images there; says what was looked for, where, and the mend.

    Examples
    --------
    >>> import numpy as np
    >>> open_source({"black": np.zeros((2, 2), np.uint8)}).keys
    ('black',)
    """
    source = _open(images)
    if isinstance(images, str | Path):
        # Listed again it is to be the same, in whatever folder the process is by then.
        has_place = _has_scheme(images) or not str(images)
        source._given = images if has_place else absolute(images)
    return source if indexes is None else source.subset(indexes)


def _open(images: Any) -> ImageSource:
    if isinstance(images, ImageSource):
        return images
    if isinstance(images, str | Path):
        return _open_url(images) if _has_scheme(images) else _open_path(images)
    if isinstance(images, np.ndarray):
        return _open_list(list(images) if images.ndim == 4 else [images])
    if isinstance(images, bytes | Image.Image):
        return _open_list([images])
    if isinstance(images, pd.DataFrame):
        return _open_table(images)
    if isinstance(images, Mapping):
        items = {str(key): _checked(item, str(key)) for key, item in images.items()}
        if len(items) < len(images):
            raise ImageError("dict of images: two keys are the same as text. Use strings.")
        return _filled(ImageSource(items, ItemsReader(items), "", "dict of images"))
    if isinstance(images, Iterable):
        return _open_list(list(images))
    raise ImageError(f"images: cannot open {type(images).__name__}. Give {_ACCEPTED}.")


def _has_scheme(images: str | Path) -> bool:
    return isinstance(images, str) and is_url(images)


def _open_path(images: str | Path) -> ImageSource:
    given = str(images)
    if not given:
        raise ImageError(f"images: the path is empty. Give {_ACCEPTED}.")
    path = Path(absolute(images))
    if path.is_dir():
        keys = list_folder(str(path))
        if not keys:
            raise ImageError(
                f"folder {given} holds no images ({_SUFFIXES}). Check the path: it was looked for "
                f"at {path}."
            )
        return ImageSource(keys, FolderReader(str(path)), str(path), f"folder {given}")
    if path.is_file():
        if path.suffix.lower() == ".zip":
            return _open_zip(str(path), f"zip archive {given}")
        root = str(path.parent)
        return ImageSource([path.name], FolderReader(root), root, f"file {given}")
    if is_pattern(given):
        root, keys = list_pattern(str(Path(given).expanduser()))
        root = absolute(root)
        if not keys:
            raise ImageError(
                f"no image ({_SUFFIXES}) matches {given}, looked for from {Path.cwd()}. "
                "Check the pattern; ** stands for any folders."
            )
        return ImageSource(keys, FolderReader(root), root, f"files {given}")
    raise ImageError(
        f"there is no file or folder {given}, looked for at {path}. Check the path, or the folder "
        "that the notebook runs in."
    )


def _open_zip(location: str, name: str) -> ImageSource:
    reader = ZipReader(location)
    keys = reader.list()
    if not keys:
        raise ImageError(f"{name} holds no images ({_SUFFIXES}). Check which archive it is.")
    return ImageSource(keys, reader, location, name)


def _open_url(images: str | Path) -> ImageSource:
    url = str(images)
    bare = url.split("?")[0].split("#")[0] if url.startswith("http") else url
    if "*" in bare:
        folder, _, pattern = bare.partition("*")
        root, _, start = folder.rpartition("/")
        reader = RemoteReader(root if not root.endswith(":/") else root + "/")
        keys = reader.list(f"{start}*{pattern}")
        if not keys:
            raise ImageError(f"no image ({_SUFFIXES}) matches {url}. Check the pattern.")
        return ImageSource(keys, reader, root, f"files {url}")
    if bare.lower().endswith(".zip") and "::" not in bare:
        return _open_zip(url, f"zip archive {url}")
    # The name decides where it can: asking would cost a round trip before anything is shown
    if is_image_name(bare.rpartition("/")[2]) and not bare.endswith("/") and "::" not in bare:
        return _open_list([url])
    reader = RemoteReader(url)
    if not url.endswith("/") and reader.is_file():
        return _open_list([url])
    keys = reader.list()
    if not keys:
        raise ImageError(
            f"{url} holds no images ({_SUFFIXES}), or does not exist. Check the address; where "
            "folders cannot be listed, give a list of URLs."
        )
    return ImageSource(keys, reader, url, f"folder {url}")


def _open_list(items: list[Any]) -> ImageSource:
    width = max(4, len(str(len(items))))
    local: list[str] = []
    given: list[tuple[str, Item]] = []  # key and item; the keys of local paths come after
    for number, item in enumerate(items, 1):
        key = f"image-{number:0{width}}"
        item = _checked(item, key)
        if isinstance(item, str | Path):
            if not is_url(str(item)):
                local.append(str(item))
            key = str(item)
        given.append((key, item))
    root, names = _below_common_parent(local)
    keys = [names.get(key, key) for key, _ in given]
    what = "file" if len(local) == len(items) else "picture"
    name = f"{what} {keys[0]}" if len(items) == 1 else f"list of {what}s"
    reader = ItemsReader(dict(zip(keys, (item for _, item in given), strict=True)))
    return _filled(ImageSource(keys, reader, root, name))


def _below_common_parent(paths: list[str]) -> tuple[str, dict[str, str]]:
    if not paths:
        return "", {}
    try:
        root = os.path.commonpath({os.path.dirname(path) for path in paths})  # noqa: PTH120
    except ValueError:  # Windows: files on several drives have no parent in common
        return "", {path: path.replace(os.sep, "/") for path in paths}
    cut = len(root) if root.endswith(os.sep) else len(root) + 1
    return root, {path: path[cut:].replace(os.sep, "/") for path in paths}


def _open_table(table: pd.DataFrame) -> ImageSource:
    column = next((name for name in PATH_COLUMNS if name in table.columns), None)
    if column is None:
        raise ImageError(
            f"the DataFrame has no path column: it has {_some(list(map(str, table.columns)))}. "
            f"Rename the one with the paths to 'path' (or {', '.join(PATH_COLUMNS[1:])})."
        )
    cells = table[column]
    missing = cells.isna().to_numpy().nonzero()[0]
    if len(missing):
        raise ImageError(
            f"the DataFrame's column {column!r} is empty in {_some([f'row {i}' for i in missing])}."
            f" Leave these rows out with df.dropna(subset=[{column!r}])."
        )
    if table.index.name == "image":  # the images table of a dataset brings its own keys
        keys = [str(key) for key in table.index]
        items = {key: _checked(item, key) for key, item in zip(keys, cells, strict=True)}
        name = "DataFrame of images"
        return _filled(ImageSource(keys, ItemsReader(items), "", name))
    return _open_list(list(cells))


def _checked(item: Any, key: str) -> Item:
    if isinstance(item, np.ndarray):
        check_array(item, key)
        return item
    if isinstance(item, bytes | Image.Image):
        return item
    if isinstance(item, bytearray | memoryview):
        return bytes(item)
    if isinstance(item, str | Path):
        if not str(item):
            raise ImageError(f"{key}: the path is empty. Give a path, or leave it out.")
        return str(item) if _has_scheme(item) else absolute(item)
    raise ImageError(
        f"{key}: cannot open {type(item).__name__}. Give a path, a URL, bytes, a uint8 array or a "
        "PIL image."
    )


def _filled(source: ImageSource) -> ImageSource:
    if not source.keys:
        raise ImageError(f"{source.describe()}: there is nothing to open. Give {_ACCEPTED}.")
    return source


def _check_text(keys: Sequence[str], name: str) -> None:
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        bad = next(key for key in keys if not key.isascii() and _is_broken(key))
        # Neither SQLite nor JSON can hold the lone surrogates that stand for such bytes
        raise ImageError(
            f"{name}: the file name {bad!a} is not valid UTF-8. Rename it (convmv does many)."
        ) from None


def _is_broken(key: str) -> bool:
    return any(0xD800 <= ord(c) <= 0xDFFF for c in key)


def _some(names: Sequence[str], limit: int = 5) -> str:
    """First few names, and how many more there are."""
    shown = ", ".join(map(str, names[:limit]))
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
