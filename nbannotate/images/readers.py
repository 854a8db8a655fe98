"""Where the bytes of an image come from: a folder, items in hand, a zip archive, a remote store."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageMode

from nbannotate.errors import ImageError
from nbannotate.images.listing import is_hidden, is_image_name, natural_sort

Raw: TypeAlias = bytes | Image.Image | NDArray[Any]
Item: TypeAlias = str | Path | bytes | Image.Image | NDArray[Any]

MAX_FILE_BYTES = 4 << 30  # a zip member says how large it unpacks: a few kB can claim terabytes

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+(://|::)")


class Reader(Protocol):
    """Reads one image of a source. All methods may be called from any thread."""

    def load(self, key: str) -> Raw:
        """Return the image as it is stored."""

    def path(self, key: str) -> str | None:
        """Return its local path or URI; None if it is only in memory."""

    def n_bytes(self, key: str) -> int | None:
        """Return its number of bytes; None if only reading it would tell."""


def is_url(text: str) -> bool:
    """Whether a string has a scheme, such as ``s3://`` or ``zip::``; ``C:/`` has none."""
    return _URL.match(text) is not None


def read_file(path: str, key: str) -> bytes:
    """Read a local file, or say what keeps it from being read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(
            f"{key}: there is no file {path}. Put it back, or open the images again without it."
        ) from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{key}: {path} is a folder. Open the folder on its own, or list its files."
        ) from error
    except PermissionError as error:
        raise ImageError(
            f"{key}: no permission to read {path}. Make the file readable for this user."
        ) from error
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{key}: {path} cannot be read: {error}. Check the disk or the name."
        ) from error


def read_url(url: str, key: str) -> bytes:
    """Read a file through fsspec, or say what keeps it from being read."""
    import fsspec  # 25 ms that images on this machine do without; below as well

    try:
        with fsspec.open(url, "rb") as file:
            data = file.read()
    except Exception as error:  # each fsspec back end raises errors of its own
        raise _remote_error(url, key, error) from error
    return bytes(data)


def _remote_error(url: str, key: str, error: Exception) -> ImageError:
    if isinstance(error, ImportError):
        mend = "Install the package that it names."
    elif isinstance(error, FileNotFoundError):
        mend = "Check the address."
    else:
        mend = "Check the address, the connection and your rights."
    why = str(error) or type(error).__name__
    where = url if key == url else f"{key}: {url}"
    return ImageError(f"{where} cannot be read: {why.rstrip('.')}. {mend}")


def check_array(array: NDArray[Any], key: str) -> None:
    """Refuse an array that is not a picture of 8-bit gray, RGB or RGBA."""
    shape = array.shape
    if array.dtype != np.uint8:
        raise ImageError(
            f"{key}: the array holds {array.dtype}, pictures are uint8. Convert it, for example "
            "(255 * (a - a.min()) / (a.max() - a.min())).astype('uint8')."
        )
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))) or 0 in shape:
        raise ImageError(
            f"{key}: an array of shape {shape} is not one picture: gray is (height, width), RGB "
            "(height, width, 3), RGBA (height, width, 4). For several pictures pass list(array)."
        )


def file_bytes(path: str) -> int | None:
    """Number of bytes of a local file; None if it cannot be looked at."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - asked of a hundred thousand files
    except (OSError, ValueError):
        return None


def memory_bytes(picture: bytes | Image.Image | NDArray[Any]) -> int:
    """Number of bytes of a picture in memory, without decoding it."""
    if isinstance(picture, bytes):
        return len(picture)
    if isinstance(picture, np.ndarray):
        return picture.nbytes
    band = np.dtype(ImageMode.getmode(picture.mode).typestr).itemsize
    return picture.width * picture.height * len(picture.getbands()) * band


class FolderReader:
    """Files below a local folder; a key is the path from there."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def path(self, key: str) -> str:
        """Return the local path."""
        return str(self._root / key)

    def load(self, key: str) -> bytes:
        """Return the bytes of the file."""
        return read_file(self.path(key), key)

    def n_bytes(self, key: str) -> int | None:
        """Return the number of bytes of the file."""
        return file_bytes(f"{self._root}/{key}")


class ItemsReader:
    """Items that the caller named one by one: paths, URLs and pictures in memory."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = items

    def path(self, key: str) -> str | None:
        """Return the path or URL of the item; None for a picture in memory."""
        item = self._items[key]
        return str(item) if isinstance(item, str | Path) else None

    def load(self, key: str) -> Raw:
        """Return the picture in memory, or the bytes of the file."""
        item = self._items[key]
        if not isinstance(item, str | Path):
            return item
        return read_url(str(item), key) if is_url(str(item)) else read_file(str(item), key)

    def n_bytes(self, key: str) -> int | None:
        """Return the number of bytes of the file or picture; None for a URL."""
        item = self._items[key]
        if not isinstance(item, str | Path):
            return memory_bytes(item)
        return None if is_url(str(item)) else file_bytes(str(item))


class ZipReader:
    """Members of a zip archive, local or remote, read one by one and never unpacked to disk."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._lock = threading.Lock()  # one file handle: reads take turns
        import fsspec

        try:
            opened: Any = fsspec.open(location, "rb").open() if is_url(location) else location
            self._file: IO[bytes] | None = opened if is_url(location) else None
            self._archive = zipfile.ZipFile(opened)
        except zipfile.BadZipFile as error:
            raise ImageError(
                f"{location} is not a complete zip archive: {error}. Copy or download it again."
            ) from error
        except Exception as error:  # each fsspec back end raises errors of its own
            raise _remote_error(location, location, error) from error

    def list(self) -> list[str]:
        """Names of the members that look like images, in natural order."""
        names = [m.filename for m in self._archive.infolist() if not m.is_dir()]
        return natural_sort(n for n in names if is_image_name(n) and not is_hidden(n))

    def path(self, key: str) -> str:
        """Return the URI of the member, as fsspec reads it."""
        return f"zip://{key}::{self._location}"

    def n_bytes(self, key: str) -> int | None:
        """Return how many bytes the member unpacks to."""
        try:
            return self._archive.getinfo(key).file_size
        except KeyError:
            return None

    def load(self, key: str) -> bytes:
        """Return the bytes of the member."""
        try:
            member = self._archive.getinfo(key)
            if member.file_size > MAX_FILE_BYTES:
                raise ImageError(
                    f"{key}: unpacks to {member.file_size / 1e9:.0f} GB, more than the limit of "
                    f"{MAX_FILE_BYTES / 1e9:.0f}. Unpack {self._location} and open the folder."
                )
            with self._lock:
                return self._archive.read(member)
        except ImageError:
            raise
        except Exception as error:  # a damaged member: zlib.error, BadZipFile, RuntimeError, ...
            raise ImageError(
                f"{key}: cannot be read from {self._location}: {error}. "
                "Check the archive (unzip -t), or unpack it and open the folder."
            ) from error


class RemoteReader:
    """Files below a folder that fsspec reaches; a key is the path from there."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._url = url.rstrip("/") if not url.endswith("://") else url
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self._url)
        except Exception as error:  # an unknown scheme, a package that is missing
            raise _remote_error(url, url, error) from error
        self._n_bytes: dict[str, int] = {}

    def is_file(self) -> bool:
        """Whether the URL names a file."""
        try:
            return bool(self._fs.isfile(self._root))
        except Exception as error:  # each fsspec back end raises errors of its own
            raise _remote_error(self._url, self._url, error) from error

    def list(self, pattern: str | None = None) -> list[str]:
        """Keys of all images below the URL, or of those that match, in natural order."""
        try:
            prefix = self._root.rstrip("/") + "/"
            # a listing kept from before would hide images that came since
            self._fs.invalidate_cache()
            found: dict[str, Any] = (
                self._fs.glob(prefix + pattern, detail=True)
                if pattern
                else self._fs.find(self._root, detail=True)
            )
        except FileNotFoundError:
            return []
        except Exception as error:  # each fsspec back end raises errors of its own
            raise _remote_error(self._url, self._url, error) from error
        infos = {str(name).removeprefix(prefix): info for name, info in found.items()}
        keys = [k for k in infos if is_image_name(k) and not is_hidden(k)]
        self._n_bytes = {k: size for k in keys if isinstance(size := infos[k].get("size"), int)}
        return natural_sort(keys)

    def n_bytes(self, key: str) -> int | None:
        """Return the number of bytes of the file as the listing had it."""
        return self._n_bytes.get(key)

    def path(self, key: str) -> str:
        """Return the URI of the file."""
        return f"{self._url}/{key}" if not self._url.endswith("/") else self._url + key

    def load(self, key: str) -> bytes:
        """Return the bytes of the file."""
        try:
            return bytes(self._fs.cat_file(f"{self._root.rstrip('/')}/{key}"))
        except Exception as error:  # each fsspec back end raises errors of its own
            raise _remote_error(self.path(key), key, error) from error


def absolute(path: str | Path) -> str:
    """Absolute form of a local path, ``~`` expanded, so that a later chdir changes nothing."""
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - resolves no links
