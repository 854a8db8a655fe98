"""Where labels live: a history and its tables in one database, changed together or not at all."""

from nbannotate.store.blind import BlindReader
from nbannotate.store.leases import LEASE_SECONDS, Leases
from nbannotate.store.merging import MergeReport, merge, read_parts
from nbannotate.store.opening import open_store
from nbannotate.store.people import annotator_name
from nbannotate.store.reading import Reader
from nbannotate.store.salvage import salvage
from nbannotate.store.store import Store
from nbannotate.store.upkeep import Report, restore

__all__ = [
    "LEASE_SECONDS",
    "BlindReader",
    "Leases",
    "MergeReport",
    "Reader",
    "Report",
    "Store",
    "annotator_name",
    "merge",
    "open_store",
    "read_parts",
    "restore",
    "salvage",
]
