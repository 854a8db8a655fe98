"""Where labels live: a history and its tables in one database, changed together or not at all."""

from nbannotate.store.salvage import salvage
from nbannotate.store.store import Store, open_store
from nbannotate.store.upkeep import Report, restore

__all__ = ["Report", "Store", "open_store", "restore", "salvage"]
