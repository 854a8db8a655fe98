"""Image classification as folders: one a tag, below train, val and test if there are splits.

``classes.json`` beside them holds what folder names cannot: the tags' true names and ids, the
scheme, and the keys of images whose file is called otherwise. Readers of image folders
(torchvision, Keras, scikit-learn, ultralytics) look at folders only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import SPLITS, Dataset
from nbannotate.core.registry import Format, WriteReport
from nbannotate.core.schema import Schema, TagGroup
from nbannotate.errors import FormatError, SchemaError
from nbannotate.formats.shared.files import (
    SUFFIXES,
    Copy,
    new_folder,
    open_image,
    opened,
    place,
    require_files,
    upright_size,
)
from nbannotate.formats.shared.json_files import blamed, put_aside
from nbannotate.formats.shared.names import distinct, inside, safe_component, safe_paths
from nbannotate.formats.shared.reading import has_label_files
from nbannotate.formats.shared.side import SIDE_FILE
from nbannotate.formats.shared.tables import (
    SPLIT_NAMES,
    OnError,
    Problems,
    Split,
    extra_columns,
    split_names,
)

CLASSES_FILE = "classes.json"


@collector_off()
def write(
    dataset: Dataset,
    path: str | Path,
    *,
    split: Split = None,
    seed: int = 0,
    by: str | None = None,
    copy: Copy = "link",
    group: str | None = None,
    root: str | Path | None = None,
    overwrite: bool = False,
) -> WriteReport:
    """Write images into folders named after their tag.

    Parameters
    ----------
    dataset
        What to write: images with exactly one tag; the others are counted as left out.
    path
        The folder.
    split
        Fractions of train, val and test. None: the splits in ``dataset.images``; if there are
        none, tags' folders come directly below `path`.
    seed, by
        As in `Dataset.split`.
    copy
        ``"link"``: hard links, else symbolic links, else copies; or ``"copy"``.
    group
        The tag group to write; None: the only one.
    root
        Folder from which relative image paths start.
    overwrite
        Whether to replace an earlier export in the folder.

    Raises
    ------
    FormatError
        If an image is no file, the group is not clear, or the folder holds other things.
    """
    path = Path(path)
    if copy not in ("link", "copy"):
        raise FormatError(path, "", f"copy={copy!r}; use 'link' or 'copy'")
    chosen_group = _group(dataset.schema, group, path)
    tags, lost = _tags(dataset, chosen_group)
    images = dataset.images.loc[dataset.images.index.isin(tags.index)]
    names = split_names(dataset, images, split, seed=seed, by=by, path=path)
    files = require_files(images, None if root is None else Path(root), path)
    folder_of = _folders(chosen_group, avoid_splits=names is None)
    # Nested keys become flat: scikit-learn and Hugging Face look at one level only.
    flat = distinct(
        _with_suffix(key.replace("/", "__"), file)
        for key, file in zip(safe_paths(images.index), files, strict=True)
    )
    top = [""] * len(images) if names is None else [f"{name}/" for name in names]
    tag = tags.loc[images.index].tolist()
    written = [f"{a}{folder_of[b]}/{c}" for a, b, c in zip(top, tag, flat, strict=True)]

    earlier = _classes_file(path)
    owned = [*SPLITS, *map(str, earlier.get("folders", ()))]
    used = [name for name in folder_of if name in set(tag)]
    with new_folder(
        path, [inside(path, name).name for name in owned], CLASSES_FILE, overwrite=overwrite
    ) as out:
        for start in dict.fromkeys(top):
            # Each split has the same folders: loaders number classes by the folders they see.
            for name in used:
                (out / f"{start}{folder_of[name]}").mkdir(parents=True, exist_ok=True)
        for where, target in zip(files, written, strict=True):
            place(where, inside(out, target, path), copy)
        content = {
            "version": 1,
            "group": chosen_group.name,
            "split": names is not None,
            "folders": {
                folder_of[c.name]: {"name": c.name, "id": c.id} for c in chosen_group.choices
            },
            "schema": dataset.schema.to_dict(),
            "keys": {
                target: key
                for target, key in zip(written, images.index, strict=True)
                if target.rpartition("/")[2] != key
            },
        }
        text = json.dumps(content, ensure_ascii=True, indent=1)
        (out / CLASSES_FILE).write_text(text, encoding="utf-8")
    return WriteReport(path, len(images), len(images), lost)


def _with_suffix(name: str, file: str) -> str:
    """The name with the suffix that loaders know an image by."""
    if os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122  a Path each is slow
        return name
    try:
        with opened(file) as content, open_image(content) as image:
            return f"{name}.{(image.format or 'jpg').lower()}"
    except OSError as error:
        raise FormatError(file, "", f"cannot be read as an image ({error}); mend it") from error


def _group(schema: Schema, name: str | None, path: Path) -> TagGroup:
    found = [group for group in schema.tags if name is None or group.name == name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(repr(group.name) for group in schema.tags) or "none"
    mend = f"say which with group=…; the scheme has {known}"
    if not schema.tags:
        mend = "an image folder takes tags of whole images, and the scheme has none"
    raise FormatError(path, "", mend)


def _tags(dataset: Dataset, group: TagGroup) -> tuple[pd.Series[Any], dict[str, int]]:
    """The tag of each image that has exactly one, and what is left out."""
    lost = extra_columns(dataset)
    labels = dataset.labels
    mine = labels["kind"].eq("tag") & labels["label"].isin([c.name for c in group.choices])
    others = int((~mine).sum())
    if others:
        lost["labels other than tags of the group"] = others
    rows = labels[mine].drop_duplicates(["image", "label"])
    count = rows["image"].value_counts()
    several = int((count > 1).sum())
    if several:
        lost["images with several tags"] = several
    untagged = len(dataset.images) - len(count)
    if untagged:
        lost["images without a tag"] = untagged
    single = rows[rows["image"].isin(count.index[count == 1])]
    return single.set_index("image")["label"].astype(object), lost


def _folders(group: TagGroup, *, avoid_splits: bool) -> dict[str, str]:
    names = [c.name for c in group.choices]
    safe = [safe_component(name) for name in names]
    if avoid_splits:
        # A tag called "train" beside others must not look like a split.
        safe = [f"{name}_" if name.lower() in SPLIT_NAMES else name for name in safe]
    return dict(zip(names, distinct(safe), strict=True))


@collector_off()
def read(path: str | Path, *, on_error: OnError = "raise") -> Dataset:
    """Read a tree of one folder a tag, with or without splits, ours or anybody's.

    Parameters
    ----------
    path
        The folder.
    on_error
        ``"raise"`` at the first image that cannot be read, or ``"skip"`` such and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.

    Raises
    ------
    FormatError
        Naming the file and the mend.
    """
    path = Path(path)
    if not path.is_dir():
        raise FormatError(path, "", "is no folder; give the one that holds the tags' folders")
    problems = Problems(path, on_error)
    with blamed(path):
        content = _classes_file(path)
        listed = content.get("folders")
        known: dict[str, Any] = listed if isinstance(listed, dict) else {}
        found = _listing(path, content.get("split"))
        if not found:
            raise FormatError(path, "", "has no folders with images; it needs one folder a tag")
        schema = _schema(content, known, sorted({tag for _, _, tag in found}), path)
        ours = content.get("keys")
        keys, rows = [], []
        for file, split, tag in found:
            relative = file.relative_to(path).as_posix()
            # In our own exports a file that is not listed is called like its key.
            key = ours.get(relative, file.name) if isinstance(ours, dict) else relative
            try:
                width, height = upright_size(str(file))
            except (OSError, ValueError) as error:
                problems.add("", f"cannot be read as an image ({error}); mend it", file)
                continue
            keys.append(key)
            rows.append((str(file), width, height, split, _name(known, tag)))
        if len(set(keys)) < len(keys):  # files were added to an export of ours
            keys = [Path(row[0]).relative_to(path).as_posix() for row in rows]
        columns = ["path", "width", "height", "split", "label"]
        table = pd.DataFrame(rows, columns=columns, index=keys)
        table["status"] = "done"
        labels = pd.DataFrame({"image": keys, "label": table["label"].to_numpy()})
        labels["kind"] = "tag"
        labels["source"] = "import:imagefolder"
        return problems.finish(Dataset(labels, table.drop(columns="label"), schema))


def _classes_file(path: Path) -> dict[str, Any]:
    return put_aside(path / CLASSES_FILE)


def _name(known: dict[str, Any], folder: str) -> str:
    entry = known.get(folder)
    return str(entry["name"]) if isinstance(entry, dict) and "name" in entry else folder


def _schema(
    content: dict[str, Any], known: dict[str, Any], folders: list[str], path: Path
) -> Schema:
    try:
        names = [_name(known, folder) for folder in folders]
        try:
            schema = Schema.from_dict(content["schema"])
        except (KeyError, TypeError, AttributeError):
            schema = Schema()
        new = [name for name in names if name not in {c.name for c in schema.tag_choices}]
        group = str(content.get("group", "tag"))
        return schema.extended(Schema(tags={group: new} if new else {}))
    except SchemaError as error:
        raise FormatError(path, CLASSES_FILE, str(error)) from error


def _listing(path: Path, divided: Any) -> list[tuple[Path, str | None, str]]:
    """Each image with its split and its tag's folder; `divided` None: told by the names."""
    tops = sorted(item for item in path.iterdir() if item.is_dir() and item.name[0] != ".")
    if divided is None:
        divided = all(top.name.lower() in SPLIT_NAMES for top in tops)
    if divided:
        pairs = [
            (SPLIT_NAMES[top.name.lower()], item)
            for top in tops
            if top.name.lower() in SPLIT_NAMES
            for item in sorted(top.iterdir())
            if item.is_dir() and item.name[0] != "."
        ]
        return [(file, split, tag.name) for split, tag in pairs for file in _images(tag)]
    return [(file, None, tag.name) for tag in tops for file in _images(tag)]


def _images(folder: Path) -> list[Path]:
    return sorted(
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  a Path each is slow
    )


def sniff(path: Path) -> bool:
    """Whether the path is a folder of folders of images, and no YOLO data set."""
    if not path.is_dir():
        return False
    if (path / CLASSES_FILE).is_file() and "folders" in _classes_file(path):
        return True
    if (path / SIDE_FILE).is_file() or (path / "masks").is_dir() or (path / "ann_dir").is_dir():
        return False  # an export in another format, or masks
    if any(path.glob("*.yaml")) or (path / "labels").is_dir() or any(path.glob("*/labels")):
        return False
    if has_label_files(path):
        return False
    names = [
        os.path.splitext(name)[1].lower()  # noqa: PTH122  a Path each is slow
        for top in path.iterdir()
        if top.is_dir() and top.name != "images"
        for _, _, files in os.walk(top)
        for name in files
    ]
    # Label files among the images: another format's folder.
    return not {".json", ".xml"} & set(names) and any(name in SUFFIXES for name in names)


FORMAT = Format(
    name="imagefolder",
    kinds=("tag",),
    read=read,
    write=write,
    sniff=sniff,
    cannot_carry="anything but one tag an image; who and when; images without a tag",
)
