"""Labels, images and their scheme together: what readers return, writers take and people query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbannotate.core import registry
from nbannotate.core.conversion import Target, converted
from nbannotate.core.geometry import SMALLEST_SIDE
from nbannotate.core.schema import Schema
from nbannotate.core.splitting import SPLITS as SPLITS
from nbannotate.core.splitting import (
    classes_of,
    fractions_of,
    grouped,
    split_by_hash,
    split_stratified,
)
from nbannotate.core.tables import BOX, PLACED_KINDS, images_table, infer_schema, labels_table
from nbannotate.errors import LabelError, SchemaError


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
                return write(self, path, **options)

            to_format.__doc__ = write.__doc__
            return to_format
        if name.startswith("to_") and name[3:] in registry.libraries():
            return partial(registry.converter(name[3:]), self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        names = (*registry.names(), *registry.libraries())
        return sorted({*super().__dir__(), *(f"to_{name}" for name in names)})

    def write(self, path: str | Path, *, format: str, **options: Any) -> registry.WriteReport:
        """Write the dataset.

        Parameters
        ----------
        path
            File or folder, as the format has it; or a URL that fsspec writes to, such as
            ``s3://bucket/set``.
        format
            Name of the format, as in ``nbannotate.formats()``.
        **options
            Passed to the format's writer: ``split``, ``seed``, ``copy`` and more. Where it takes
            pictures along, they are made by these:

            ``copy="crop"``
                Each label with a place becomes a picture of its own, tagged with its class.
            ``margin``
                What a crop has on each side beyond its label: a fraction of width and height.
            ``resize``
                The longest side in pixels, or a pair of width and height that upright pictures
                are made to fit, labels scaled along. None is enlarged.
            ``executor``
                A `concurrent.futures.Executor` that makes the pictures; threads without it.
            ``progress``
                Whether a bar is shown; or a function that is told how many are made, of how many.
        """
        return registry.writer(format)(self, path, **options)

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
        by: str | pd.Series[Any] | Sequence[str | pd.Series[Any]] | None = None,
        stratify: bool | str = False,
        keep: bool = False,
    ) -> Dataset:
        """The dataset with each image put into ``train``, ``val`` or ``test``.

        Without `stratify` an image keeps its split when others come or go: it depends on a hash
        of its group only, but for a split that would stay empty, which gets the nearest group.

        Parameters
        ----------
        fractions
            Of train, val and test; their sum is 1.
        seed
            Another seed gives another split.
        by
            What stays together: a column of the images (video, patient), or a Series by image
            key such as `nbannotate.near_duplicates` gives, or several of them. None: each image
            is its own group.
        stratify
            Whether each class and tag is divided as the fractions are; or the column of the
            images whose values are. Of single labels and of several on an image.
        keep
            Whether images that have a split keep it, and only the others are divided: so a
            stratified split stays as it was when images come.

        Raises
        ------
        LabelError
            If the fractions are none, a column is not there, or images of one group have been
            given to several splits that they are to keep.
        """
        wanted = fractions_of(fractions)
        images = self.images.copy()
        groups = grouped(images, list(by) if isinstance(by, tuple) else by)
        given = _given(images, groups, wanted) if keep else {}
        if stratify is False:
            names = {**split_by_hash(groups.unique(), wanted, seed), **given}
        else:
            if isinstance(stratify, str) and stratify not in images:
                raise LabelError(f"stratify={stratify!r} is no column of the images")
            strata = images[stratify] if isinstance(stratify, str) else None
            counts = classes_of(images.index, self.labels, strata)
            codes, unique = pd.factorize(groups.to_numpy(dtype=object))
            sums = np.zeros((len(unique), counts.shape[1]), dtype=np.int64)
            np.add.at(sums, codes, counts)
            names = split_stratified([str(name) for name in unique], sums, wanted, seed, given)
        images["split"] = groups.map(names).astype("string")
        return Dataset(self.labels, images, self.schema)

    def balance(self) -> pd.DataFrame:
        """How the images and classes are divided among the splits.

        Returns
        -------
        One row for the images and one for each kind and class: how many images of each split
        bear it, and which part of them that is (``train %`` …), from 0 to 100.
        """
        splits = self.images["split"].astype(object).fillna("none")
        names = [name for name in (*SPLITS, "none") if splits.eq(name).any()]
        pairs = self.labels[["image", "kind", "label"]].astype(object).drop_duplicates()
        pairs["label"] = pairs["label"].fillna("")
        every = pd.DataFrame({"image": self.images.index, "kind": "images", "label": ""})
        rows = pd.concat([every.astype(object), pairs], ignore_index=True)
        rows["split"] = rows["image"].map(splits)
        table = rows.groupby(["kind", "label"], sort=False)["split"].value_counts().unstack("split")
        table = table.reindex(columns=names).fillna(0).astype("int64")
        table.columns.name = None
        shares = table.div(table.sum(axis=1).clip(lower=1), axis=0).mul(100).round(1)
        return table.join(shares.add_suffix(" %"))

    def convert(self, to: Target, *, tolerance: float = 0.0) -> Dataset:
        """The dataset with its shapes as boxes, polygons or masks.

        Parameters
        ----------
        to
            ``"box"``: all shapes as their bounding boxes. ``"polygon"``: masks by their outlines,
            boxes and rotated boxes by their corners. ``"mask"``: shapes that cover pixels as those
            whose centre is inside. Lines and key points stay what they are for the latter two.
        tolerance
            How far the outline of a mask may be from its pixels, in pixels. 0: it is exact; with 1
            it has some ten times fewer points.

        Returns
        -------
        A new dataset with the same ids; the tables of this one are not changed.

        Raises
        ------
        LabelError
            If a shape is damaged, or an image's size is needed and not known.
        """
        labels = converted(self.labels, self.images, to, tolerance)
        return Dataset(labels, self.images, self.schema)

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


def _given(images: pd.DataFrame, groups: pd.Series[str], wanted: Iterable[str]) -> dict[str, str]:
    """The split that the images of a group have already, of those that are wanted."""
    there = images["split"].isin(list(wanted))
    pairs = pd.DataFrame({"group": groups[there], "split": images.loc[there, "split"]})
    pairs = pairs.drop_duplicates()
    twice = pairs["group"].duplicated()
    if twice.any():
        raise LabelError(
            f"images of the group {pairs.loc[twice, 'group'].iloc[0]!r} are in several splits; "
            "put them into one, or split anew without keep=True"
        )
    return dict(zip(pairs["group"], pairs["split"], strict=True))


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
