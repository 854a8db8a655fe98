"""Readers and writers of label files, one module a format, found through entry points."""

from __future__ import annotations

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
