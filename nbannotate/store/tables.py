"""The database's tables, and how a label or image row is stored in them.

Times are whole microseconds since 1970 in UTC. Classes are stored by their id, so that a rename
touches no label. `images` has rows only for images that someone has touched. What an annotator
says of an image whose others are blind to it is a label of the kind `VERDICT`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

VERSION = 1
"""Version of this layout, kept in the database."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("label_id", String, primary_key=True),
    Column("image", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("class_id", BigInteger),
    Column("x", Float),
    Column("y", Float),
    Column("width", Float),
    Column("height", Float),
    Column("geometry", JSON(none_as_null=True)),
    Column("attributes", JSON, nullable=False),
    Column("text", String),
    Column("score", Float),
    Column("frame", BigInteger),
    Column("track", BigInteger),
    Column("source", String, nullable=False),
    Column("annotator", String),
    Column("seconds", Float),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Index("labels_by_image", "image"),
    Index("labels_by_class", "class_id", "image"),
    Index("labels_by_kind", "kind", "annotator", "class_id"),
)

images = Table(
    "images",
    metadata,
    Column("image", String, primary_key=True),
    Column("path", String),
    Column("width", Integer),
    Column("height", Integer),
    Column("status", String, nullable=False, default="todo"),
    Column("split", String),
    Column("annotator", String),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("updated", BigInteger),
    Column("note", String),
    Column("unsure", Boolean, nullable=False, default=False),
    Column("bytes", BigInteger),
    Column("hash", String),
    Index("images_by_status_and_key", "status", "image"),
)

history = Table(
    "history",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("reverses", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("annotator", String),
    Column("seconds", Float),
    Column("op", String, nullable=False),
    Column("label_id", String),
    Column("image", String, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("facts", JSON(none_as_null=True)),  # what became known of the image
    Index("history_by_batch", "batch"),
    Index("history_by_label", "label_id"),
    Index("history_by_annotator", "annotator", "batch"),
    sqlite_autoincrement=True,
)

clients = Table(
    "clients",
    metadata,
    Column("client", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
"""The last message of each browser that took effect, so that none takes effect twice."""

tallies = Table(
    "tallies",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Float, nullable=False),
)
"""Sums over the other tables, kept up to a batch; see `nbannotate.store.tallies`."""

queue = Table(
    "queue",
    metadata,
    Column("image", String, primary_key=True),
    Column("place", BigInteger, nullable=False),
    Index("queue_by_place", "place", unique=True),
)
"""The images that are handed out, in the order of that; see `nbannotate.store.leases`."""

leases = Table(
    "leases",
    metadata,
    Column("image", String, primary_key=True),
    Column("annotator", String, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index("leases_by_annotator", "annotator"),
)
"""Who has which images in hand, and until when; over that nobody else is given them."""

members = Table(
    "members",
    metadata,
    Column("login", String, primary_key=True),
    Column("annotator", String, nullable=False, unique=True),
)
"""Whose name is whose, where a server guards the store; see `nbannotate.store.guard`."""

LABEL_FIELDS = tuple(column.name for column in labels.columns)
IMAGE_FIELDS = tuple(column.name for column in images.columns)
