"""Which image files a folder, a pattern or a list of names holds, in the order a person expects."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator

from nbannotate.errors import ImageError

EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"})

_NUMBER = re.compile("0*([0-9]+)")


def is_image_name(name: str) -> bool:
    """Whether a file name ends like that of an image."""
    return name.rpartition(".")[2].lower() in EXTENSIONS and "." in name


def is_hidden(key: str) -> bool:
    """Whether a part of a key starts with a dot, or is the shadow folder of macOS archives."""
    if "." not in key and "__MACOSX" not in key:
        return False
    parts = key.split("/")
    return any(p[:1] == "." and p not in (".", "..") for p in parts) or parts[0] == "__MACOSX"


def natural_key(key: str) -> tuple[str, str]:
    """Sort key by which ``file2`` comes before ``file10`` and a folder's files stay together.

    Examples
    --------
    >>> sorted(["file10.jpg", "File2.jpg", "file1.jpg"], key=natural_key)
    ['file1.jpg', 'File2.jpg', 'file10.jpg']
    """
    # One plain string, for ten thousand nested keys keep the garbage collector busy. NUL sorts
    # below every character a name can have, so "a/x" comes before "a b/x"; numbers come next, the
    # shorter first, which needs no int(): Python refuses to convert thousands of digits.
    folded = key.casefold().replace("/", "\0")
    return _NUMBER.sub(_sortable, folded), key


def _sortable(match: re.Match[str]) -> str:
    number = match[1]
    return f"\1{chr(len(number))}{number}"


def natural_sort(keys: Iterable[str]) -> list[str]:
    """Sort keys as a person would; see `natural_key`."""
    return sorted(keys, key=natural_key)


def list_folder(root: str) -> list[str]:
    """Keys of all images below a folder, in natural order; opens no file.

    Hidden files and folders are left out. Linked folders are followed, never in circles.
    """
    return natural_sort(_walk(root))


def _walk(root: str) -> Iterator[str]:
    real_root = os.path.realpath(root)
    # folder, prefix of its keys, real path, real paths of the links on the way to it
    stack = [(root, "", real_root, frozenset({real_root}))]
    while stack:
        folder, prefix, real, entered = stack.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == ".":
                        continue
                    if not entry.is_dir():
                        if is_image_name(name):
                            yield prefix + name
                        continue
                    below = os.path.join(real, name)  # noqa: PTH118 - hot loop
                    links = entered
                    if entry.is_symlink():
                        below = os.path.realpath(entry.path)
                        if below in entered or (real + os.sep).startswith(below + os.sep):
                            continue
                        links = entered | {below}
                    stack.append((entry.path, f"{prefix}{name}/", below, links))
        except OSError as error:
            raise ImageError(
                f"folder {folder} cannot be listed: {error.strerror or error}. Make it readable, "
                "or name the images to open with a pattern such as 'photos/*.jpg'."
            ) from error


def is_pattern(text: str) -> bool:
    """Whether a local path holds one of ``* ? [``, and is not simply the name of a file."""
    return glob.has_magic(text) and not os.path.lexists(text)


def list_pattern(pattern: str) -> tuple[str, list[str]]:
    """Folder that a pattern starts from, and the keys of the images that it matches."""
    fixed: list[str] = []
    parts = pattern.replace(os.sep, "/").split("/")
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    root = "/".join(fixed) or ("/" if pattern.startswith("/") else ".")
    rest = "/".join(parts[len(fixed) :])
    found = glob.glob(rest, root_dir=root, recursive=True)  # noqa: PTH207 - needs root_dir
    keys = {name.replace(os.sep, "/") for name in found if is_image_name(name)}
    folders = {k for k in keys if os.path.isdir(os.path.join(root, k))}  # noqa: PTH112, PTH118
    return root, natural_sort(keys - folders)
