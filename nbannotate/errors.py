"""The errors that nbannotate raises on purpose: each says what is wrong, where, and the mend."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any


class NbannotateError(Exception):
    """The root of every error that nbannotate raises on purpose."""


class SchemaError(NbannotateError, ValueError):
    """A label scheme that contradicts itself, or a label that the scheme does not allow."""


class LabelError(NbannotateError, ValueError):
    """A labels or images table that does not hold what its columns promise."""


class ImageError(NbannotateError):
    """An image or a source of images that cannot be found, read or shown."""


class StoreError(NbannotateError):
    """A store that cannot be opened, read or written."""


class ConflictError(NbannotateError):
    """A label or image that someone else has changed since it was read.

    Parameters
    ----------
    text
        What was changed, and what to do.
    label_id
        The label; None for an image.
    theirs
        The label as it is now, by column; None if it was deleted.
    """

    def __init__(
        self, text: str, label_id: str | None = None, theirs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(text)
        self.label_id = label_id
        self.theirs = theirs


class StaleSchemaError(ConflictError):
    """A label that was given a class which someone has taken out of the scheme meanwhile."""


class RightsError(NbannotateError):
    """What a login may not do in a store that its server guards, though others may."""


class FormatError(NbannotateError, ValueError):
    """A label file that cannot be read or written.

    Parameters
    ----------
    path
        The file or folder in question.
    where
        The place in it, such as ``annotations[1204]`` or ``line 7``; may be empty.
    why
        What is wrong there, and the mend.
    """

    def __init__(self, path: str | PathLike[str], where: str, why: str) -> None:
        self.path = fspath(path)
        self.where = where
        self.why = why
        super().__init__(f"{self.path}, {where}: {why}" if where else f"{self.path}: {why}")

    def __reduce__(self) -> tuple[type[FormatError], tuple[str, str, str]]:
        return type(self), (self.path, self.where, self.why)
