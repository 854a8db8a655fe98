"""The reader of OpenImages CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from nbannotate.core.collector import collector_off
from nbannotate.core.dataset import Dataset
from nbannotate.core.tables import BOX
from nbannotate.errors import FormatError
from nbannotate.formats.shared.files import upright_size
from nbannotate.formats.shared.json_files import LARGEST_FILE, blamed, check_side
from nbannotate.formats.shared.reading import images_by_stem, read_text
from nbannotate.formats.shared.rows import scheme
from nbannotate.formats.shared.side import read_side, texts
from nbannotate.formats.shared.tables import SPLIT_NAMES, OnError, Problems

FLAGS = {
    "occluded": "IsOccluded",
    "truncated": "IsTruncated",
    "group_of": "IsGroupOf",
    "depiction": "IsDepiction",
    "inside": "IsInside",
}
"""The column of each attribute that has one; 1 yes, 0 no, -1 not known."""

CORNERS = ("XMin", "XMax", "YMin", "YMax")
_SEEN_BY_PEOPLE = ("xclick", "freeform", "activemil", "verification", "crowdsource-verification")
META = "images.meta"
_META_LINE = re.compile(r"(.*\S) +([0-9]{1,6}) +([0-9]{1,6}) *")
_SUBSET = re.compile(r"(?:oidv[0-9]+-)?([a-z]+)-.*")


@collector_off()
def read(
    path: str | Path,
    *,
    on_error: OnError = "raise",
    images: str | Path | None = None,
    size: tuple[int, int] | None = None,
) -> Dataset:
    """Read OpenImages: boxes, and labels of whole images as tags.

    The flags become the attributes ``occluded``, ``truncated``, ``group_of``, ``depiction`` and
    ``inside``, but for those not known. Names come from ``class-descriptions*.csv``, splits and
    the column ``rotation`` from the lists of images. Labels of whole images that were verified to
    be absent (confidence 0) are left out, as are masks.

    Parameters
    ----------
    path
        A CSV file; the folder that holds such, or holds ``annotations``.
    on_error
        ``"raise"`` at the first bad row, or ``"skip"`` bad ones and list them in
        ``dataset.labels.attrs["nbannotate.skipped"]``, after a warning.
    images
        Folder of the images; None: ``images`` beside the files or a folder above, or their own.
    size
        Width and height in pixels of the images that are not there: places are fractions of them.

    Raises
    ------
    FormatError
        Naming the file, the row, counted from 1 below the header, and the mend.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(path, "", "there is no such file or folder; check the path")
    problems = Problems(path, on_error)
    with blamed(path):
        return problems.finish(_Reader(path, problems, images, size).dataset())


def header(file: Path) -> list[str]:
    """The columns that the first line of a CSV file names."""
    with file.open("rb") as content:
        line = content.readline(4096).decode("utf-8-sig", "replace")
    return [name.strip().strip('"') for name in line.split(",")]


def label_files(path: Path) -> list[Path]:
    """The files of boxes and of labels of whole images that `path` leads to."""
    if path.is_file():
        files = [path]
    else:
        inner = path / "annotations"
        files = sorted((inner if inner.is_dir() else path).glob("*.csv"))
    return [file for file in files if {"ImageID", "LabelName", "Confidence"} <= set(header(file))]


def _load(file: Path, names: list[str] | None = None) -> pd.DataFrame:
    """All columns as texts."""
    if file.stat().st_size > LARGEST_FILE:
        raise FormatError(file, "", f"has over {LARGEST_FILE >> 30} GB; split it")
    columns = header(file) if names is None else names
    if len(set(columns)) < len(columns):
        raise FormatError(file, "header", "a column stands twice; rename or drop one")
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), null_values=[], strings_can_be_null=False
    )
    options = pa_csv.ReadOptions(column_names=columns, skip_rows=0 if names else 1)
    try:
        table = pa_csv.read_csv(
            file, options, pa_csv.ParseOptions(newlines_in_values=True), convert
        )
        return pd.DataFrame(
            {name: pd.Series(table[name].to_pylist(), dtype=object) for name in columns}
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if names is None and "Empty CSV" in str(error):
            return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
        raise FormatError(file, "", f"{error}; mend the row or the encoding (UTF-8)") from error


class _Reader:
    """The files of a data set."""

    def __init__(
        self,
        path: Path,
        problems: Problems,
        images: str | Path | None,
        size: tuple[int, int] | None,
    ) -> None:
        self.path, self.problems, self.size = path, problems, size
        if size is not None and (why := check_side(*size)):
            raise FormatError(path, f"size={size}", why)
        self.files = label_files(path)
        self.folder = self.files[0].parent if self.files else path
        if (path / "annotations").is_dir():
            self.folder = path / "annotations"
        root = self.folder.parent if self.folder.name == "annotations" else self.folder
        side = read_side(root)
        self.side = side if side.get("format") == "openimages" else {}
        self.pictures_folder = _pictures_folder(root, images)
        self.names = self._descriptions()
        self.listed = self._lists()
        if not self.files and self.listed.empty:
            raise FormatError(
                path, "", "leads to no CSV file with ImageID, LabelName and Confidence; give the "
                "folder of annotations"
            )  # fmt: skip

    def _descriptions(self) -> dict[str, str]:
        """The names of the classes by their ids, such as /m/01yrx."""
        named: dict[str, str] = {}
        for file in sorted(self.folder.glob("*class-descriptions*.csv")):
            table = _load(file, ["LabelName", "DisplayName"])
            for label, name in zip(table["LabelName"], table["DisplayName"], strict=True):
                if name.strip():
                    named.setdefault(label.removeprefix("\ufeff"), name)
        return named

    def _lists(self) -> pd.DataFrame:
        """The lists of images: split and rotation by their ids."""
        parts = []
        kinds = ("*with-rotation.csv", "*image_ids_and_rotation.csv")
        for file in (file for kind in kinds for file in sorted(self.folder.glob(kind))):
            if file.is_file() and "ImageID" in header(file):
                table = _load(file).drop_duplicates("ImageID").set_index("ImageID")
                parts.append(table.reindex(columns=["Subset", "Rotation"]))
        if not parts:
            return pd.DataFrame(columns=["Subset", "Rotation"], dtype=object)
        whole = pd.concat(parts)
        return whole[~whole.index.duplicated()]

    def dataset(self) -> Dataset:
        """All of it."""
        parts = [part for part in map(self._rows, self.files) if len(part)]
        columns = ["ImageID", "LabelName", "Confidence", "split", "attributes", *CORNERS]
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
        images = self._images(rows)
        rows = rows[rows["ImageID"].isin(images.index)]
        sides = images[["width", "height"]].loc[rows["ImageID"]].to_numpy(dtype=np.float64)
        place = rows[list(CORNERS)].to_numpy(dtype=np.float64)
        corners = place[:, [0, 2, 1, 3]] * np.tile(sides, 2)
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        labels = pd.DataFrame(boxes, columns=BOX)
        keys = images["image"].to_dict()
        labels["image"] = [keys[one] for one in rows["ImageID"]]
        labels["label"] = [self.names.get(one, one) for one in rows["LabelName"]]
        labels["kind"] = np.where(np.isnan(place[:, 0]), "tag", "box")
        labels["score"] = rows["Confidence"].to_numpy(dtype=np.float64)
        labels["attributes"] = pd.Series(rows["attributes"].tolist(), dtype=object)
        labels["source"] = "import:openimages"
        schema = scheme(labels, self.path, saved=self.side.get("schema"))
        return Dataset(labels, images.set_index("image"), schema)

    def _rows(self, file: Path) -> pd.DataFrame:
        """The rows of a file; those that are bad are told."""
        table: pd.DataFrame = _load(file)
        is_box = "XMin" in table
        numeric = ["Confidence", *(CORNERS if is_box else ())]
        missing = [name for name in numeric if name not in table]
        if missing:
            raise FormatError(file, "header", f"has no column {missing[0]}; add it")
        numbers = table[numeric].apply(pd.to_numeric, errors="coerce").astype(np.float64)
        values = numbers.to_numpy()
        with np.errstate(invalid="ignore"):
            checks = [
                (~np.isfinite(values).all(axis=1), "has no number in " + " or ".join(numeric)),
                ((values[:, 0] < 0) | (values[:, 0] > 1), "has a Confidence outside 0 … 1"),
                (table["ImageID"].eq("").to_numpy(bool), "has no ImageID"),
                (~table["LabelName"].str.strip().ne("").to_numpy(bool), "has no LabelName"),
            ]
            if is_box:
                turned = (values[:, 2] < values[:, 1]) | (values[:, 4] < values[:, 3])
                checks.append((turned, "has XMax < XMin or YMax < YMin; the order is XMin, XMax, "
                               "YMin, YMax"))  # fmt: skip
                checks.append(((np.abs(values[:, 1:]) > 100).any(axis=1),
                               "is not in fractions of the image's sides"))  # fmt: skip
        bad = np.zeros(len(table), dtype=bool)
        for wrong, why in checks:
            for row in np.flatnonzero(wrong & ~bad).tolist():
                self.problems.add(f"row {row + 1}", f"{why}; mend it", file)
            bad |= wrong
        table["attributes"] = pd.Series(_attributes(table), dtype=object)
        source = table.get("Source", pd.Series("", index=table.index)).isin(_SEEN_BY_PEOPLE)
        certain = source.to_numpy(bool) & (values[:, 0] == 1)
        absent = source.to_numpy(bool) & (values[:, 0] == 0) & (not is_box)
        table["Confidence"] = np.where(certain, np.nan, values[:, 0])
        for name in CORNERS:
            table[name] = numbers[name] if is_box else np.nan
        match = _SUBSET.fullmatch(file.name.lower())
        table["split"] = SPLIT_NAMES.get(match[1]) if match else None
        good: pd.DataFrame = table[~bad & ~absent]
        return good

    def _images(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Key, path, size, status, split and rotation of each image, by its id."""
        files = images_by_stem(self.pictures_folder)
        by_id = {stem.rpartition("/")[2]: name for stem, name in files.items()}
        by_id |= {stem.partition("/")[2]: name for stem, name in files.items() if "/" in stem}
        labelled = rows.drop_duplicates("ImageID").set_index("ImageID")["split"].to_dict()
        known = dict.fromkeys([*labelled, *self.listed.index])
        used = {by_id[one] for one in known if one in by_id}
        if self.path.is_dir():
            known |= {stem.rpartition("/")[2]: None for stem, n in files.items() if n not in used}
        keys, sizes = texts(self.side, "keys"), self.side.get("sizes")
        subsets, turns = self.listed["Subset"].to_dict(), self.listed["Rotation"].to_dict()
        own_sizes = self._meta() | (sizes if isinstance(sizes, dict) else {})
        split_is_ours = self.side.get("split") is not False
        found = []
        for one in known:
            name = by_id.get(one)
            file = None if name is None else (self.pictures_folder or Path()) / name
            width, height = self._size(one, file, own_sizes.get(one), one in labelled)
            if width is None and one in labelled:
                continue
            subset = subsets.get(one)
            split = SPLIT_NAMES.get(subset.lower()) if isinstance(subset, str) else None
            turn = str(turns.get(one) or "").removesuffix(".0")
            is_ours = bool(self.side) and one in subsets  # whose key may be its id
            key = keys.get(one, one if is_ours else name or f"{one}.jpg")
            found.append(
                {
                    "ImageID": one, "image": key, "path": key if file is None else str(file),
                    "width": width, "height": height,
                    "status": "done" if one in labelled or is_ours else "todo",
                    "split": (split or labelled.get(one)) if split_is_ours else None,
                    "rotation": int(turn) if turn in ("90", "180", "270") else None,
                }
            )  # fmt: skip
        columns = ["ImageID", "image", "path", "width", "height", "status", "split", "rotation"]
        table = pd.DataFrame(found, columns=columns).set_index("ImageID")
        if table["rotation"].isna().all():
            return table.drop(columns="rotation")
        return table.astype({"rotation": "Int64"})

    def _meta(self) -> dict[str, Any]:
        """Sizes in ``images.meta``, as CVAT and datumaro write it: id, height and width a line."""
        file = self.folder / META
        found: dict[str, Any] = {}
        for line in read_text(file).splitlines() if file.is_file() else ():
            match = _META_LINE.fullmatch(line)
            if match:
                name = match[1].strip()
                quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
                found[name[1:-1] if quoted else name] = [int(match[3]), int(match[2])]
        return found

    def _size(
        self, one: str, file: Path | None, own: Any, is_needed: bool
    ) -> tuple[int | None, int | None]:
        """Width and height, None where they are not known; an image that is bad is told."""
        where = f"image {one!r}"
        try:
            if file is not None:
                width, height = upright_size(str(file))
            elif isinstance(own, list) and len(own) == 2:
                width, height = own
            elif self.size is not None:
                width, height = self.size
            else:
                if is_needed:
                    self.problems.add(where, "is not there, and places are fractions of its size; "
                                      "give images=… or size=…")  # fmt: skip
                return None, None
        except (OSError, ValueError) as error:
            self.problems.add(where, f"cannot be read as an image ({error}); mend it", file)
            return None, None
        if why := check_side(width, height):
            self.problems.add(where, why, file)
            return None, None
        return width, height


def _attributes(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(len(table))]
    for name, column in FLAGS.items():
        if column in table:
            for flag, is_set in (("1", True), ("0", False)):
                for row in np.flatnonzero(table[column].eq(flag).to_numpy(bool)).tolist():
                    rows[row][name] = is_set
    return rows


def _pictures_folder(root: Path, images: str | Path | None) -> Path | None:
    if images is not None:
        return Path(images)
    candidates: Iterable[Path] = (root / "images", root.parent / "images", root)
    return next((folder for folder in candidates if folder.is_dir()), None)
