"""Verdicts in the database: kept apart from people's labels, and made into an image's status."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import sqlalchemy as sa

from nbannotate.core.assignment import VERDICT, from_dict, overall
from nbannotate.core.edits import Row
from nbannotate.store import tables
from nbannotate.store.meta import ASSIGNMENT, value_of

_LABELS = tables.labels.c

IS_LABEL = _LABELS.kind != VERDICT
"""Whether a row of the labels table is one of people's labels."""

IS_VERDICT = _LABELS.kind == VERDICT


def needed(connection: sa.Connection) -> int:
    """How many annotators an image needs now."""
    assignment = from_dict(value_of(connection, ASSIGNMENT))
    return 1 if assignment is None else assignment.overlap


def statuses(connection: sa.Connection, image: str | None = None) -> dict[str, str]:
    """The status that each image with verdicts has by them; of one image only, or of all."""
    query = sa.select(_LABELS.image, _LABELS.text).where(IS_VERDICT)
    if image is not None:
        query = query.where(_LABELS.image == image)
    return overalls(connection, [(key, str(text)) for key, text in connection.execute(query)])


def new_statuses(connection: sa.Connection) -> dict[str, str]:
    """The status by verdicts of the images that are no longer to do by them alone."""
    found = {image: status for image, status in statuses(connection).items() if status != "todo"}
    if not found:
        return found
    column = tables.images.c
    closed = set(connection.scalars(sa.select(column.image).where(column.status != "todo")))
    return {image: status for image, status in found.items() if image not in closed}


def overalls(connection: sa.Connection, said: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The status that each image has by pairs of its key and the status of a verdict."""
    given: dict[str, list[str]] = {}
    for image, status in said:
        given.setdefault(image, []).append(status)
    count = needed(connection) if given else 1
    return {image: overall(statuses, count) for image, statuses in given.items()}


def split(rows: Iterable[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows of the labels table without verdicts; and of those pairs as `overalls` takes them."""
    labels, said = [], []
    for row in rows:
        if row["kind"] == VERDICT:
            said.append((row["image"], row["text"]))
        else:
            labels.append(row)
    return labels, said


def with_statuses(images: pd.DataFrame, found: dict[str, str]) -> pd.DataFrame:
    """Columns of the images table, with those statuses where its own is still to do."""
    if found:
        said = images["image"].map(found)
        is_open = (images["status"] == "todo") & said.notna()
        images["status"] = images["status"].mask(is_open, said)
    return images
