"""What was written on this machine, brought to where fsspec reaches, and seen there when whole."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import SUFFIXES

_WORKERS = 16  # uploads at once; they wait for the network


def refuse_present(address: str, *, overwrite: bool) -> None:
    """`FormatError` if something is there that may not be replaced."""
    files, place = url_to_fs(address)
    if not overwrite and files.exists(place) and (files.isfile(place) or files.ls(place)):
        raise FormatError(address, "", "is there already; give overwrite=True to replace it")


def upload(local: Path, address: str) -> None:
    """Bring a file or a folder to an address, which has it as a whole or not at all.

    It goes to a place beside that first. Pictures that an upload which was cut off has brought
    there are not sent again.

    Raises
    ------
    FormatError
        If the other side refuses something.
    """
    files, place = url_to_fs(address)
    place = place.rstrip("/")
    sent = [local] if local.is_file() else sorted(p for p in local.rglob("*") if p.is_file())
    beside = f"{place}.writing-{_digest(sent, local)}"
    try:
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="upload") as threads:
            for _ in threads.map(lambda file: _send(files, file, local, beside), sent):
                pass
        with contextlib.suppress(FileNotFoundError):
            files.rm(place, recursive=True)
        files.mv(beside, place, recursive=local.is_dir())
    except OSError as error:
        raise FormatError(
            address, "", f"cannot be written there ({error}); mend that and write again, pictures "
            "that are there already are not sent again"
        ) from error  # fmt: skip


def _send(files: fsspec.AbstractFileSystem, file: Path, local: Path, beside: str) -> None:
    target = beside if file == local else f"{beside}/{file.relative_to(local).as_posix()}"
    if file.suffix.lower() in SUFFIXES and _size(files, target) == file.stat().st_size:
        return
    files.makedirs(target.rpartition("/")[0], exist_ok=True)
    files.put_file(str(file), target)


def _size(files: Any, target: str) -> int | None:
    try:
        return int(files.info(target)["size"])
    except (FileNotFoundError, KeyError, TypeError):
        return None


def _digest(sent: list[Path], local: Path) -> str:
    """A name for these pictures: another upload of the same ones goes on where this one ends."""
    parts = [
        (file.relative_to(local).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for file in sent
        if file.suffix.lower() in SUFFIXES
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
