"""Where labels live: a history and its tables in one database, changed together or not at all."""

from nbannotate.store.store import Store, open_store

__all__ = ["Store", "open_store"]
