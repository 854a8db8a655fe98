"""WebDataset: tar files of samples, in each an image, its labels as JSON and its class, if any.

A sample is the members with the same name up to the first dot: ``000001.jpg``, ``000001.json``,
``000001.cls``. The JSON is one of our records (`nbannotate.formats.shared.records`), with ``x``,
``y``, ``width``, ``height`` in pixels of the upright image; ``.cls`` is the number of the only tag.
Splits are shards of their own, ``train-000000.tar``; ``nbannotate.json`` holds the scheme.

Source: github.com/webdataset/webdataset, "The WebDataset Format".
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.tables import KINDS
from nbannotate.errors import FormatError
from nbannotate.formats.shared.extras import losses
from nbannotate.formats.shared.files import SUFFIXES, header_size, new_folder, opened, upright_png
from nbannotate.formats.shared.json_files import blamed, check_side
from nbannotate.formats.shared.names import distinct
from nbannotate.formats.shared.pictures import Pictures, plan_pictures
from nbannotate.formats.shared.records import Records, records
from nbannotate.formats.shared.side import SIDE_FILE, read_side, refuse_other_export, write_side
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Only,
    Problems,
    Split,
    on_images,
    reviewed,
    split_names,
)

_MOST = 64 * 2**20  # bytes of the JSON or text of a sample
_SHARD = re.compile(r"(.*?)[-_]?\d+")
_KEY = re.compile(r"((?:.*/)?[^./][^.]*)\.([^/]*)", re.DOTALL)


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Literal["link", "copy"] = "copy",
    only: Only = "reviewed",
    root: str | Path | None = None,
    overwrite: bool = False,
    per_shard: int = 10_000,
) -> WriteReport:
    """Write tar files for streaming.

    Parameters
    ----------
    dataset
        What to write: all labels.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, all shards are called ``data``.
    seed, by
        As in `Dataset.split`.
    copy
        Images are always inside the tar files, whichever of the two it is.
    only
        ``"reviewed"``: images that are done or have labels; ``"all"``: those to do as well.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.
    per_shard
        How many samples a tar file has.

    Raises
    ------
    FormatError
        If an image is no file, a number is not finite, or the folder holds other things.
    """
    path = Path(path)
    if per_shard < 1:
        raise FormatError(path, "", f"per_shard={per_shard}; a shard has 1 sample or more")
    refuse_other_export(path, "webdataset")
    chosen = dataset.images[reviewed(dataset, KINDS, only)]
    labels = on_images(dataset, chosen)
    part = Dataset(labels, chosen, dataset.schema)
    splits = split_names(dataset, chosen, split, seed=seed, by=by, path=path)
    if splits is not None:
        part.images["split"] = pd.Series(splits, index=chosen.index, dtype="string")
    pictures = plan_pictures(chosen, None if root is None else Path(root), path, copy)
    # The name of a sample ends at its first dot.
    keys = distinct([re.sub(r"[.\s]", "_", stem) or "_" for stem in pictures.stems])
    numbers = {c.name: n for group in dataset.schema.tags for n, c in enumerate(group.choices)}
    samples: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for row, record in enumerate(records(part, path)):
        name = "data" if splits is None else str(splits[row])
        samples.setdefault(name, []).append((row, record))
    owned = [file.name for file in path.glob("*.tar")] if path.is_dir() else []
    with new_folder(path, [*owned, SIDE_FILE], SIDE_FILE, overwrite=overwrite) as out:
        for name, rows in samples.items():
            for number, start in enumerate(range(0, len(rows), per_shard)):
                with tarfile.open(out / f"{name}-{number:06}.tar", "w") as tar:
                    for row, record in rows[start : start + per_shard]:
                        for suffix, content in _members(pictures, row, record, numbers, path):
                            _add(tar, f"{keys[row]}.{suffix}", content)
        write_side(out, "webdataset", dataset.schema, keys={}, names={})
    lost = losses(
        dataset, chosen, labels, "WebDataset", kinds=KINDS, label_columns=labels.columns,
        image_columns=chosen.columns,
    )  # fmt: skip
    lost = {why: count for why, count in lost.items() if "column" not in why}
    return WriteReport(path, len(chosen), len(labels), lost, tuple(pictures.notes))


def _members(
    pictures: Pictures,
    row: int,
    record: dict[str, Any],
    numbers: dict[str, int],
    path: Path,
) -> Iterator[tuple[str, bytes]]:
    where = (pictures.files or [])[row]
    if pictures.converted[row]:
        yield "png", upright_png(where)
    else:
        with opened(where) as file:
            yield pictures.names[row].rpartition(".")[2].lower(), file.read()
    try:
        yield "json", msgspec.json.encode(record)
    except UnicodeEncodeError as error:
        raise FormatError(path, "", f"a name is not Unicode text ({error}); rename it") from error
    tags = [label["label"] for label in record["labels"] if label["kind"] == "tag"]
    if len(tags) == 1:
        yield "cls", str(numbers[tags[0]]).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # No time and no owner: the same labels give the same bytes.
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read WebDataset tar files; nothing is unpacked, images stay where they are.

    A sample of others gives an image with a tag for its ``cls`` and a text for its ``txt``.

    Parameters
    ----------
    path
        A tar file, or a folder of them.
    on_error
        ``"raise"`` at the first bad sample, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the tar file, the member and the mend.
    """
    path = Path(path)
    files = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise FormatError(path, "", "is no tar file or folder of such; check the path")
    problems = Problems(path, on_error)
    found = Records("webdataset", path, problems)
    side = read_side(files[0].parent)
    with blamed(path):
        for file in files:
            prefix = _SHARD.fullmatch(file.stem)
            split = SPLIT_NAMES.get(prefix[1].lower()) if prefix else None
            for key, sample in _samples(file, problems):
                record = _record(key, sample, file, split)
                if record is not None:
                    found.add(record, "" if "json" in sample else key)
        return found.dataset(side.get("schema") if side.get("format") == "webdataset" else None)


def _samples(file: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """The samples of a tar file: texts by suffix, and of the image its member and size."""
    key, sample = "", dict[str, Any]()
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                match = _KEY.fullmatch(member.name)
                if not member.isfile() or match is None:
                    continue  # links and folders are no samples
                if match[1] != key:
                    if sample:
                        yield key, sample
                    key, sample = match[1], {}
                content = tar.extractfile(member)
                assert content is not None
                _take(sample, match[2].lower(), member, content, file, problems)
            if sample:
                yield key, sample
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        problems.add("", f"is no whole tar file ({error}); write it anew", file)


def _take(
    sample: dict[str, Any],
    suffix: str,
    member: tarfile.TarInfo,
    content: IO[bytes],
    file: Path,
    problems: Problems,
) -> None:
    if f".{suffix}" in SUFFIXES:
        try:
            width, height = header_size(content)
        except (OSError, ValueError) as error:
            problems.add(member.name, f"cannot be read as an image ({error}); mend it", file)
            return
        if why := check_side(width, height):
            problems.add(member.name, why, file)
            return
        sample["image"] = {"path": member.name, "width": width, "height": height}
    elif suffix in ("json", "cls", "txt"):
        if member.size > _MOST:
            problems.add(member.name, f"has over {_MOST >> 20} MB; it is no label", file)
            return
        sample[suffix] = content.read()


def _record(key: str, sample: dict[str, Any], file: Path, split: str | None) -> bytes | None:
    """The sample as one of our records."""
    image = sample.get("image")
    if image is not None:
        image = {**image, "path": f"tar://{image['path']}::{file}"}
    try:
        ours = msgspec.json.decode(sample.get("json", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(sample["json"])  # where its error is told
    if isinstance(ours, dict) and isinstance(ours.get("labels"), list) and "image" in ours:
        return msgspec.json.encode(ours | ({"path": image["path"]} if image else {}))
    labels: list[dict[str, Any]] = []
    if "cls" in sample and (name := sample["cls"].decode("utf-8", "replace").strip()):
        labels.append({"kind": "tag", "label": name})
    if "txt" in sample:
        labels.append({"kind": "text", "text": sample["txt"].decode("utf-8", "replace")})
    if image is None and not labels:
        return None
    return msgspec.json.encode({"image": key, "split": split, **(image or {}), "labels": labels})


def sniff(path: Path) -> bool:
    """Whether the file is a tar file, or the folder holds some, with an image and its labels."""
    if path.is_dir():
        file = next(iter(sorted(path.glob("*.tar"))), None)
        return file is not None and sniff(file)
    if path.suffix.lower() != ".tar":
        return False
    try:
        with tarfile.open(path, "r:") as tar:
            names = [member.name for member, _ in zip(tar, range(3), strict=False)]
    except (tarfile.TarError, EOFError, OSError, ValueError):
        return False
    suffixes = {name.rpartition(".")[2].lower() for name in names}
    return bool(suffixes & {"json", "cls", "txt"}) or bool({f".{s}" for s in suffixes} & SUFFIXES)


FORMAT = Format(
    name="webdataset",
    kinds=KINDS,
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="names of images and folders in the names of samples (they are in the JSON)",
)
