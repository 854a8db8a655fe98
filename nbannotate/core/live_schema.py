"""A scheme as it is in a store, with what edits it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nbannotate.core import schema_edits as plans
from nbannotate.core.attributes import Value
from nbannotate.core.schema import Schema
from nbannotate.core.schema_edits import Planner, SchemaChange, SchemaPlan
from nbannotate.core.schema_record import SchemaRecord


class Edits(Protocol):
    """Makes edits of the scheme."""

    def __call__(self, planner: Planner, *, dry_run: bool) -> SchemaChange:
        """Make an edit, or in a dry run only say what it would do."""
        ...


class LiveSchema(Schema):
    """A `Schema` that can be edited where it came from.

    It does not change itself: ask for it again after an edit. Each edit is one step that one undo
    takes back, labels included, and gives the `SchemaChange`: how many labels and images it
    concerns. With ``dry_run=True`` it changes nothing and gives the same numbers. Names are those
    of classes, or else of tags; where a class and a tag share a name, ``kind="tag"`` means the
    tag.

    Parameters
    ----------
    schema
        The scheme.
    edits
        Makes the edits.

    Examples
    --------
    >>> import nbannotate as nba
    >>> ann = nba.BoxAnnotator({"a.png": bytes()}, classes=["car", "van", "bike"], store=None)
    >>> ann.schema.merge(["car", "van"], into="vehicle", dry_run=True)
    dry run: merge 'car', 'van' into 'vehicle': 0 labels on 0 images
    >>> change = ann.schema.merge(["car", "van"], into="vehicle")
    >>> [item.name for item in ann.schema.classes]
    ['vehicle', 'bike']
    >>> ann.undo()
    >>> [item.name for item in ann.schema.classes]
    ['car', 'van', 'bike']
    """

    def __init__(self, schema: Schema, edits: Edits) -> None:
        super().__init__(schema.classes, schema.tags, schema.attributes)
        self._edits = edits

    def __reduce__(self) -> tuple[Callable[..., Schema], tuple[Any, ...]]:
        return Schema.from_dict, (self.to_dict(),)  # a copy has no store behind it

    def add(
        self,
        name: str,
        *,
        group: str | None = None,
        color: str | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> SchemaChange:
        """Add a class of shapes, or a tag; it comes last.

        Parameters
        ----------
        name
            Its name.
        group
            The group of tags that it belongs to, made where there is none; None: it is a class,
            or a tag where the scheme has one group of tags and no classes.
        color
            ``#rrggbb``; None: one that is free.
        key
            A letter or digit that picks it.
        dry_run
            Whether only to say what it would do.
        """
        return self._edit(plans.add_class, dry_run, name, group=group, color=color, key=key)

    def rename(
        self, name: str, to: str, *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Give a class or tag another name; its labels stay as they are."""
        return self._edit(plans.rename_class, dry_run, name, to, kind=kind)

    def merge(
        self, names: Sequence[str], into: str, *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Make one class of several; their labels get it.

        Parameters
        ----------
        names
            The classes, or tags of one group.
        into
            One of them, another class, or a new name: then it is a new class with an id of its
            own, and colour, key and place of the first.
        kind
            ``"tag"`` for a tag that shares its name with a class.
        dry_run
            Whether only to say what it would do.
        """
        return self._edit(plans.merge_classes, dry_run, names, into, kind=kind)

    def split(
        self, name: str, into: Sequence[str], *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Offer several new classes in place of one; images that bear it are to do again.

        Its labels stay with it until someone relabels them, for nobody has said which of the new
        ones each is; it is retired, unless its own name is among the new ones.
        """
        return self._edit(plans.split_class, dry_run, name, into, kind=kind)

    def retire(self, name: str, *, kind: str | None = None, dry_run: bool = False) -> SchemaChange:
        """Offer a class no longer; its labels stay."""
        return self._edit(plans.retire_class, dry_run, name, retired=True, kind=kind)

    def unretire(
        self, name: str, *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Offer a class again."""
        return self._edit(plans.retire_class, dry_run, name, retired=False, kind=kind)

    def remove(
        self,
        name: str,
        move_to: str | None = None,
        *,
        kind: str | None = None,
        dry_run: bool = False,
    ) -> SchemaChange:
        """Remove a class or tag; its labels go to another one.

        Parameters
        ----------
        name
            Its name.
        move_to
            The class, or the tag of the same group, that its labels get.
        kind
            ``"tag"`` for a tag that shares its name with a class.
        dry_run
            Whether only to say what it would do; labels then stand against nothing.

        Raises
        ------
        SchemaError
            If labels bear it and there is no `move_to`; the message has their number.
        """
        return self._edit(plans.remove_class, dry_run, name, move_to=move_to, kind=kind)

    def reorder(
        self, names: Sequence[str], *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Put these classes first, in this order, and the others after them."""
        return self._edit(plans.reorder_classes, dry_run, names, kind=kind)

    def recolor(
        self, name: str, color: str, *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Give a class another colour, as ``#rrggbb``."""
        return self._edit(plans.color_class, dry_run, name, color, kind=kind)

    def rekey(
        self, name: str, key: str | None, *, kind: str | None = None, dry_run: bool = False
    ) -> SchemaChange:
        """Give a class another key; None for none of its own."""
        return self._edit(plans.key_class, dry_run, name, key, kind=kind)

    def add_attribute(
        self, name: str, spec: Any = bool, *, default: Value = None, dry_run: bool = False
    ) -> SchemaChange:
        """Add an attribute of shapes.

        Parameters
        ----------
        name
            Its name.
        spec
            Its type, as `Attribute.parse` takes it: ``bool``, a list of choices, a range …
        default
            What every shape gets, those that are there and new ones; None for nothing.
        dry_run
            Whether only to say what it would do.
        """
        return self._edit(plans.add_attribute, dry_run, name, spec, default=default)

    def rename_attribute(self, name: str, to: str, *, dry_run: bool = False) -> SchemaChange:
        """Give an attribute another name; shapes keep its values."""
        return self._edit(plans.rename_attribute, dry_run, name, to)

    def remove_attribute(self, name: str, *, dry_run: bool = False) -> SchemaChange:
        """Remove an attribute from the scheme and its values from all shapes."""
        return self._edit(plans.remove_attribute, dry_run, name)

    def _edit(
        self, plan: Callable[..., SchemaPlan], dry_run: bool, *args: Any, **more: Any
    ) -> SchemaChange:
        # The planner gets the scheme as it is when the edit is made, not as it was read here.
        def planner(record: SchemaRecord) -> SchemaPlan:
            return plan(record, *args, **more)

        return self._edits(planner, dry_run=dry_run)
