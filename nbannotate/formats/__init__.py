"""Readers and writers of label files, one module a format, found through entry points."""

from __future__ import annotations

import sys
from types import ModuleType

import pandas as pd

from nbannotate.core import registry


def formats() -> pd.DataFrame:
    """The formats installed.

    Returns
    -------
    One row a format: format, kinds, reads, writes, cannot_carry.
    """
    found = [registry.find(name) for name in registry.names()]
    return pd.DataFrame(
        [
            {
                "format": item.name,
                "kinds": ", ".join(item.kinds),
                "reads": item.read is not None,
                "writes": item.write is not None,
                "cannot_carry": item.cannot_carry,
            }
            for item in found
        ],
        columns=["format", "kinds", "reads", "writes", "cannot_carry"],
    )


class _Formats(ModuleType):
    """The package itself, which answers to ``nbannotate.formats()`` as well: both bear one name."""

    def __call__(self) -> pd.DataFrame:
        return formats()


sys.modules[__name__].__class__ = _Formats
