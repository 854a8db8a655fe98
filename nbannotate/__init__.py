"""Annotate images with Jupyter widgets, and get tidy tables back.

Names are loaded when they are first used, so that reading and writing label files starts no
widget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbannotate.core import registry
from nbannotate.core.registry import read
from nbannotate.errors import (
    FormatError,
    ImageError,
    LabelError,
    NbannotateError,
    SchemaError,
    StoreError,
)

if TYPE_CHECKING:
    import pandas as pd

    from nbannotate.core.attributes import Attribute
    from nbannotate.core.dataset import Dataset
    from nbannotate.core.label_class import LabelClass
    from nbannotate.core.people import ANONYMOUS, PSEUDONYM
    from nbannotate.core.schema import Schema, TagGroup
    from nbannotate.environment import check
    from nbannotate.formats import formats
    from nbannotate.images import near_duplicates
    from nbannotate.project import reconcile
    from nbannotate.report import contact_sheet, show
    from nbannotate.store import Store
    from nbannotate.store import open_store as open
    from nbannotate.widgets import Annotator, BoxAnnotator, TagAnnotator

__version__ = "0.1.0"

_HOMES = {
    "ANONYMOUS": "nbannotate.core.people",
    "Annotator": "nbannotate.widgets",
    "Attribute": "nbannotate.core.attributes",
    "BoxAnnotator": "nbannotate.widgets",
    "Dataset": "nbannotate.core.dataset",
    "LabelClass": "nbannotate.core.label_class",
    "PSEUDONYM": "nbannotate.core.people",
    "Schema": "nbannotate.core.schema",
    "Store": "nbannotate.store",
    "TagAnnotator": "nbannotate.widgets",
    "TagGroup": "nbannotate.core.schema",
    "check": "nbannotate.environment",
    "contact_sheet": "nbannotate.report",
    "formats": "nbannotate.formats",
    "near_duplicates": "nbannotate.images",
    "open": "nbannotate.store",
    "reconcile": "nbannotate.project",
    "show": "nbannotate.report",
}
_OTHER_NAMES = {"open": "open_store"}

__all__ = [
    "ANONYMOUS",
    "PSEUDONYM",
    "Annotator",
    "Attribute",
    "BoxAnnotator",
    "Dataset",
    "FormatError",
    "ImageError",
    "LabelClass",
    "LabelError",
    "NbannotateError",
    "Schema",
    "SchemaError",
    "Store",
    "StoreError",
    "TagAnnotator",
    "TagGroup",
    "check",
    "contact_sheet",
    "formats",
    "near_duplicates",
    "open",
    "read",
    "reconcile",
    "show",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(import_module(_HOMES[name]), _OTHER_NAMES.get(name, name))
    elif name.startswith("read_") and name[5:] in registry.names():
        found = registry.reader(name[5:])
    elif name.startswith("to_") and name[3:] in registry.names():
        found = _table_writer(name[3:])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    formats = registry.names()
    return sorted({*__all__, *(f"read_{n}" for n in formats), *(f"to_{n}" for n in formats)})


def _table_writer(name: str) -> Callable[..., registry.WriteReport]:
    """``to_NAME`` for plain tables, which carry their scheme along or have one made of them."""
    write = registry.writer(name)

    def to_format(
        labels: pd.DataFrame | Dataset,
        path: str | Path,
        *,
        images: pd.DataFrame | Iterable[str] | None = None,
        schema: Schema | None = None,
        **options: Any,
    ) -> registry.WriteReport:
        from nbannotate.core.dataset import Dataset

        dataset = labels if isinstance(labels, Dataset) else Dataset(labels, images, schema)
        return write(dataset, path, **options)

    to_format.__name__ = f"to_{name}"
    to_format.__doc__ = (
        f"Write a labels table: ``to_{name}(labels, path, images=None, schema=None)``.\n\n"
        f"Other options are those of ``Dataset.to_{name}``:\n\n{write.__doc__}"
    )
    return to_format
