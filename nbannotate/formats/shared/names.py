"""Names of an export's files: safe on any system, distinct, and below its folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from nbannotate.errors import FormatError

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)

_LONGEST = 200  # bytes; file systems take 255, and suffixes are added


def inside(root: Path, relative: str, blame: Path | None = None) -> Path:
    """The path below `root`; `FormatError` if it leads out of it, through a link as well."""
    target = root / relative
    if not target.resolve().is_relative_to(root.resolve()):
        raise FormatError(
            root if blame is None else blame, "", f"{relative!r} leads out of the folder; rename it"
        )
    return target


def safe_component(name: str) -> str:
    """The name as that of one file or folder on any system."""
    safe = _UNSAFE.sub("_", name)
    # A leading dot hides the file from the readers' glob; Windows drops trailing dots and spaces.
    if safe.startswith("."):
        safe = "_" + safe[1:]
    safe = re.sub(r"[. ]+$", lambda match: "_" * len(match[0]), safe)
    if not safe or _RESERVED.fullmatch(safe):
        safe = f"{safe}_" if "." not in safe else "_" + safe
    while len(safe.encode()) > _LONGEST:
        stem, dot, suffix = safe.rpartition(".")
        safe = f"{stem[:-8]}{dot}{suffix}" if dot and len(suffix) < 8 else safe[:-8]
    return safe


def distinct(names: Iterable[str], *, stems: bool = False) -> list[str]:
    """The names, each with a number added that another would be taken for.

    Names that differ in case or Unicode normal form only are one file on some systems.

    Parameters
    ----------
    names
        Names or relative paths.
    stems
        Whether ``a.jpg`` and ``a.png`` clash too, as with labels in ``a.txt``.
    """

    def folded(name: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

    def split(name: str) -> tuple[str, str]:
        # As pathlib does, in a tenth of its time.
        dot = name.rfind(".")
        first = name.rfind("/") + 1
        return (name[:dot], name[dot:]) if first < dot < len(name) - 1 else (name, "")

    given = list(names)
    keys = [folded(split(name)[0] if stems else name) for name in given]
    if len(set(keys)) == len(keys):
        return given
    # A name that is unique as given stays, so numbered ones keep clear of all given names.
    given_keys, taken, result = set(keys), set[str](), list[str]()
    for name, key in zip(given, keys, strict=True):
        if key in taken:
            stem, suffix = split(name)
            number = 2
            while True:
                name = f"{stem}_{number}{suffix}"
                key = folded(split(name)[0] if stems else name)
                if key not in taken and key not in given_keys:
                    break
                number += 1
        taken.add(key)
        result.append(name)
    return result


def safe_paths(keys: Iterable[str], avoid: frozenset[str] = frozenset()) -> list[str]:
    """Image keys as relative paths that stay below any folder.

    Parameters
    ----------
    keys
        Image keys: relative or absolute paths or URIs.
    avoid
        Folder names that get a ``_``.
    """
    return [_safe_path(key, avoid) for key in keys]


def _safe_path(key: str, avoid: frozenset[str]) -> str:
    parts = [safe_component(part) for part in key.split("/") if part not in ("", ".")]
    if not parts:
        return "_"
    folders = [f"{part}_" if part.casefold() in avoid else part for part in parts[:-1]]
    return "/".join([*folders, parts[-1]])
