"""Labels, images and their scheme together: what readers return, writers take and people query."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nbannotate.core import registry
from nbannotate.core.geometry import SMALLEST_SIDE
from nbannotate.core.schema import Schema
from nbannotate.core.tables import BOX, PLACED_KINDS, images_table, infer_schema, labels_table
from nbannotate.errors import LabelError, SchemaError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Report:
    """What `Dataset.validate` found.

    Parameters
    ----------
    problems
        One row a problem: label_id, image, problem, mend.
    """

    problems: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return self.problems.empty

    def __str__(self) -> str:
        if self.ok:
            return "no problems"
        counts = self.problems["problem"].value_counts()
        return "\n".join(f"{count} × {problem}" for problem, count in counts.items())


class Dataset:
    """Labels and images as two tables, and the scheme that they keep to.

    Parameters
    ----------
    labels
        One row a label. Only ``image`` is required, and ``label`` for tags and shapes; the rest
        is filled (see `nbannotate.core.tables.labels_table`).
    images
        One row an image, keyed by index or by a column ``image``; or just the keys. Images of
        the labels that it lacks are an error. None: the images of the labels.
    schema
        None: the one that the labels carry, else one of the names in them.

    Raises
    ------
    LabelError
        If a table does not hold what its columns promise; the message names the row.
    """

    def __init__(
        self,
        labels: pd.DataFrame,
        images: pd.DataFrame | Iterable[str] | None = None,
        schema: Schema | None = None,
    ) -> None:
        self.schema = infer_schema(labels) if schema is None else schema
        self.labels = labels_table(labels, self.schema)
        keys = self.labels["image"].drop_duplicates()
        self.images = images_table(keys if images is None else images)
        missing = keys[~keys.isin(self.images.index)]
        if len(missing):
            raise LabelError(
                f"row {missing.index[0]!r}: image {missing.iloc[0]!r} is not in the images table; "
                "add it there, or leave images out to take those of the labels"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Dataset({len(self.labels)} labels on {len(self.images)} images, {self.schema!r})"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("to_") and name[3:] in registry.names():
            write = registry.writer(name[3:])

            def to_format(path: str | Path, **options: Any) -> registry.WriteReport:
                return write(self, Path(path).expanduser(), **options)

            to_format.__doc__ = write.__doc__
            return to_format
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(f"to_{name}" for name in registry.names())})

    def write(self, path: str | Path, *, format: str, **options: Any) -> registry.WriteReport:
        """Write the dataset.

        Parameters
        ----------
        path
            File or folder, as the format has it.
        format
            Name of the format, as in ``nbannotate.formats()``.
        **options
            Passed to the format's writer: ``split``, ``seed``, ``copy`` and more.
        """
        return registry.writer(format)(self, Path(path).expanduser(), **options)

    def select(
        self,
        *,
        images: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        status: Iterable[str] | str | None = None,
        split: str | None = None,
        where: str | None = None,
    ) -> Dataset:
        """The part of the dataset that fits all conditions given.

        Parameters
        ----------
        images, status, split
            Keys, statuses and split of the images to keep.
        kinds, labels
            Kinds and class names of the labels to keep; images without any stay.
        where
            A pandas query on the labels, such as ``"width * height > 100"``.
        """
        kept = self.images
        if images is not None:
            kept = kept.loc[kept.index.isin(list(images))]
        if status is not None:
            kept = kept.loc[kept["status"].isin([status] if isinstance(status, str) else status)]
        if split is not None:
            kept = kept.loc[kept["split"].eq(split).fillna(False).astype(bool)]
        rows = self.labels[self.labels["image"].isin(kept.index)]
        if kinds is not None:
            rows = rows[rows["kind"].isin(list(kinds))]
        if labels is not None:
            rows = rows[rows["label"].isin(list(labels))]
        if where is not None:
            rows = rows.query(where)
        return Dataset(rows, kept, self.schema)

    def split(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        *,
        seed: int = 0,
        by: str | None = None,
    ) -> Dataset:
        """The dataset with each image put into ``train``, ``val`` or ``test``.

        An image keeps its split when others come or go: it depends on a hash of its group only,
        but for a split that would stay empty, which gets the nearest group.

        Parameters
        ----------
        fractions
            Of train, val and test; their sum is 1.
        seed
            Another seed gives another split.
        by
            Column of the images whose equal values stay together (video, patient); None: each
            image is its own group.
        """
        if not 1 <= len(fractions) <= 3 or abs(sum(fractions) - 1) > 1e-6 or min(fractions) < 0:
            raise LabelError(
                f"split fractions {tuple(fractions)} are not 1 to 3 parts of 1; try (.8, .1, .1)"
            )
        images = self.images.copy()
        groups = images.index.to_series() if by is None else images[by].astype("string")
        places = {group: _place(seed, group) for group in groups.unique()}
        names = _divide(places, dict(zip(SPLITS, fractions, strict=False)))
        images["split"] = groups.map(names).astype("string")
        return Dataset(self.labels, images, self.schema)

    def merge(self, other: Dataset) -> Dataset:
        """Both datasets as one; of a label or image that both have, the newer row.

        The scheme keeps this dataset's ids and gets the classes that only `other` has.
        """
        schema = self.schema.extended(other.schema)
        labels = pd.concat([_plain(self.labels), _plain(other.labels)])
        images = pd.concat([_plain(self.images), _plain(other.images)])
        return Dataset(_newest(labels), _newest(images), schema)

    def join(
        self,
        frame: pd.DataFrame,
        *,
        on: str = "image",
        how: Literal["left", "inner", "right", "outer"] = "left",
    ) -> pd.DataFrame:
        """The labels beside the columns of the user's own table, none of them lost.

        Parameters
        ----------
        frame
            One row an image, or several.
        on
            Its column with image keys or paths.
        how
            As in ``pandas.merge``: with ``left``, rows without labels stay.

        Returns
        -------
        One row for each pair of a row and a label of its image. Columns of the labels whose
        names the table has already end with ``_label``.
        """
        if on not in frame:
            raise LabelError(f"the table has no column {on!r}; it has {list(frame.columns)}")
        paths = self.images["path"].dropna()
        keys = pd.Series(paths.index, index=paths.astype(str))
        given = frame[on].astype(str)
        # Keys come first: a path may be relative to another folder than the key is.
        found = given.where(
            given.isin(self.images.index), given.map(keys[~keys.index.duplicated()])
        )
        labels = self.labels.reset_index().rename(
            columns={c: f"{c}_label" for c in ["label_id", *self.labels] if c in frame.columns}
        )
        key = "image_label" if "image" in frame.columns else "image"
        labels[key] = labels[key].astype(object)
        joined = frame.assign(**{"\0key": found.astype(object)}).merge(
            labels, left_on="\0key", right_on=key, how=how
        )
        return joined.drop(columns=["\0key"])

    def validate(self) -> Report:
        """What is allowed but likely wrong: boxes outside or tiny, duplicates, bad attributes."""
        labels = self.labels
        placed = labels[labels["kind"].isin(PLACED_KINDS)]
        size = (
            self.images[["width", "height"]]
            .astype("float64")
            .rename(columns={"width": "image_width", "height": "image_height"})
        )
        placed = placed.join(size, on="image")
        right = placed["x"] + placed["width"]
        bottom = placed["y"] + placed["height"]
        outside = (
            (placed["x"] < -1e-3)
            | (placed["y"] < -1e-3)
            | (right > placed["image_width"] + 1e-3)
            | (bottom > placed["image_height"] + 1e-3)
        )
        tiny = (placed[["width", "height"]] < SMALLEST_SIDE).any(axis=1)
        twice = placed.duplicated(["image", "kind", "label", *BOX]) & placed["kind"].eq("box")
        found = [
            (placed[outside], "reaches outside its image", "clamp it to the image"),
            (placed[tiny], f"has a side under {SMALLEST_SIDE:g} px", "delete or redraw it"),
            (placed[twice], "is an exact duplicate", "delete one of the two"),
            (labels.loc[self._bad_attributes()], "has attributes the scheme forbids", "mend them"),
        ]
        return Report(
            pd.DataFrame(
                [
                    {"label_id": label_id, "image": image, "problem": problem, "mend": mend}
                    for rows, problem, mend in found
                    for label_id, image in rows["image"].items()
                ],
                columns=["label_id", "image", "problem", "mend"],
            )
        )

    def _bad_attributes(self) -> list[Any]:
        bad = []
        for label_id, values in self.labels["attributes"].items():
            try:
                self.schema.check_attributes(values)
            except SchemaError:
                bad.append(label_id)
        return bad


def _place(seed: int, group: str) -> float:
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _divide(places: dict[str, float], fractions: dict[str, float]) -> dict[str, str]:
    wanted = [name for name, fraction in fractions.items() if fraction > 0]
    names: dict[str, str] = {}
    for group, place in places.items():
        edge = 0.0
        names[group] = wanted[-1]
        for name in wanted:
            edge += fractions[name]
            if place < edge:
                names[group] = name
                break
    for name in wanted:
        sizes = {w: sum(1 for n in names.values() if n == w) for w in wanted}
        fullest = max(wanted, key=lambda w: sizes[w])
        if sizes[name] == 0 and sizes[fullest] > 1:
            # The group nearest to the next split moves, so that the choice is stable too.
            moved = max((g for g in names if names[g] == fullest), key=lambda g: places[g])
            names[moved] = name
    return names


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    # Categories of two schemes and differing attrs do not concatenate; plain texts do.
    plain = frame.astype(
        {c: "string" for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)}
    )
    plain.attrs = {}
    return plain


def _newest(frame: pd.DataFrame) -> pd.DataFrame:
    ordered = frame.sort_values("updated", kind="stable", na_position="first")
    kept = ordered[~ordered.index.duplicated(keep="last")]
    order = frame.index[~frame.index.duplicated()]
    return kept.loc[order]
