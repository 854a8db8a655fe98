"""The images of a store compared with those of a source: what was renamed, moved or changed.

Sizes are compared first, which costs no reading; the content of an image is read where that leaves
it open what it is.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from nbannotate.core.edits import Edit, Row
from nbannotate.core.moves import reconciling
from nbannotate.core.reconciliation import Known, Matches, Reconciliation, match
from nbannotate.errors import ConflictError, ImageError
from nbannotate.images import Identity, ImageSource, identify, size
from nbannotate.images.listing import natural_sort
from nbannotate.store import Store

_TRIES = 3  # while others move or record the same images
_WORKERS = 8  # threads that read files
_CHUNK = 500  # images looked at in the background at a time
_PAUSE = 0.01  # seconds that the background then leaves to gestures
_MOST_READ = 200  # images read in the background to find one that was renamed


class Content(NamedTuple):
    """What was read of an image.

    Parameters
    ----------
    identity
        Its bytes and hash.
    size
        Width and height of the upright image in pixels; None if it cannot be shown.
    """

    identity: Identity
    size: tuple[int, int] | None


def reconcile(
    store: Store,
    source: ImageSource,
    commit: Callable[[Edit], int | None],
    *,
    dry_run: bool = False,
    accept_changed: bool = False,
    choose: Mapping[str, str] | None = None,
    verify: bool = True,
) -> Reconciliation:
    """Bring the labels of images that were renamed to where these are now.

    Parameters
    ----------
    store
        Where labels live.
    source
        The images; all of them count, also those that indexes left out, as they are listed now.
    commit
        Commits an edit; gives the number of its batch.
    dry_run, accept_changed, choose, verify
        See `nbannotate.project.Project.reconcile`.
    """
    look = _Look(source.anew())
    for left in reversed(range(_TRIES)):
        known = store.known_images()
        known = {key: known[key] for key in natural_sort(known)}
        look.read(known, verify=verify)
        found = match(known, look.hashes, look.source.has, look.path, choose or {})
        news = look.unrecorded(known)
        edit = _edit(known, found, look, news, accept_changed=accept_changed)
        try:
            batch = None if dry_run or edit is None else commit(edit)
        except ConflictError:
            if not left:
                raise
            continue
        there = (*found.moved, *found.occupied, *found.ambiguous, *found.changed, *found.missing)
        apart = {*there, *news, *look.unreadable}
        return Reconciliation(
            source.whole.describe(),
            found.moved,
            found.set_aside,
            found.changed,
            found.missing,
            found.ambiguous,
            found.occupied,
            dict(look.unreadable),
            news,
            sum(not one.is_idle and key not in apart for key, one in known.items()),
            accept_changed and not dry_run,
            dry_run,
            batch,
        )
    raise AssertionError("the last try returns or raises")


def find_renamed(
    store: Store, source: ImageSource, stop: threading.Event
) -> tuple[str, str] | None:
    """An image of the store that is in the source under another name: its old and new key.

    The first one that is found; None if there is none. For the background: it takes the time of
    gestures in small pieces, and reads few files.

    Parameters
    ----------
    store
        Where labels live.
    source
        The images; all of them count, also those that indexes left out.
    stop
        Ends it when it is set.
    """
    source = source.whole
    there: set[str] = set()
    lost: dict[int, dict[str, str]] = defaultdict(dict)  # by bytes, then by hash
    for rows in store.contents():
        for key, n_bytes, content in rows:
            if source.has(key):
                there.add(key)
            elif n_bytes is not None and content is not None:
                lost[n_bytes][content] = key
        if stop.wait(_PAUSE):
            return None
    read = 0
    for number, key in enumerate(source.keys if lost else ()):
        if number % _CHUNK == 0 and stop.wait(_PAUSE):
            return None
        if key in there or (found := lost.get(source.n_bytes(key) or 0)) is None:
            continue
        with suppress(ImageError):
            content = identify(source.load(key), key).hash
            if content in found:
                return found[content], key
        read += 1
        if read == _MOST_READ:
            return None
    return None


class _Look:
    """What was read of the images of a source, each at most once.

    Parameters
    ----------
    source
        The images.
    """

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self.hashes: dict[str, str | None] = {}
        """Hash of each image that is known; None for content that nobody looks for."""
        self.contents: dict[str, Content] = {}
        self.unreadable: dict[str, str] = {}
        self._sizes: dict[str, int | None] = {}

    def path(self, key: str) -> str | None:
        return self.source.path(key)

    def read(self, known: Mapping[str, Known], *, verify: bool) -> None:
        """Read what it takes to tell which of the known images is where."""
        here = [key for key, one in known.items() if not one.is_idle and self.source.has(key)]
        alike = [key for key in here if self._may_be(key, known[key])]
        if verify:
            self._read(alike)
        self.hashes = {}
        for key in here:
            one = known[key]
            if key in self.contents:
                self.hashes[key] = self.contents[key].identity.hash
            elif not self._may_be(key, one):
                self.hashes[key] = None  # other content for sure
            elif one.hash is not None and key not in self.unreadable:
                self.hashes[key] = one.hash
        wanted = {
            one.bytes
            for key, one in known.items()
            if not one.is_idle and one.hash is not None and self._is_lost(key, one)
        }
        if not wanted:
            return
        settled = {key for key in here if self.hashes.get(key) is not None}
        open_keys = [key for key in self.source.keys if key not in settled]
        self._read(k for k in open_keys if (n := self._n_bytes(k)) is None or n in wanted)
        for key in open_keys:
            if key in self.contents:
                self.hashes[key] = self.contents[key].identity.hash

    def read_again(self, keys: Iterable[str]) -> None:
        """Read those whose content was not needed until now."""
        self._read(keys)

    def unrecorded(self, known: Mapping[str, Known]) -> tuple[str, ...]:
        """Keys of images whose content was read and was not known before."""
        return tuple(
            key
            for key, one in known.items()
            if one.hash is None and not one.is_idle and key in self.contents
        )

    def _is_lost(self, key: str, one: Known) -> bool:
        return not self.source.has(key) or self.hashes.get(key, one.hash) != one.hash

    def _may_be(self, key: str, one: Known) -> bool:
        """Whether its size is none that its content would not have."""
        return one.bytes is None or self._n_bytes(key) in (None, one.bytes)

    def _n_bytes(self, key: str) -> int | None:
        if key not in self._sizes:
            self._sizes[key] = self.source.n_bytes(key)
        return self._sizes[key]

    def _read(self, keys: Iterable[str]) -> None:
        wanted = [key for key in keys if key not in self.contents and key not in self.unreadable]
        pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="nbannotate-identity")
        try:
            for key, found in zip(wanted, pool.map(self._examine, wanted), strict=True):
                if isinstance(found, Content):
                    self.contents[key] = found
                else:
                    self.unreadable[key] = found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt waits for no more files

    def _examine(self, key: str) -> Content | str:
        try:
            raw = self.source.load(key)
            identity = identify(raw, key)
        except ImageError as error:
            return str(error)
        try:
            return Content(identity, size(raw, key))
        except ImageError:  # whatever it is, it is no image any more
            return Content(identity, None)


def _edit(
    known: Mapping[str, Known],
    found: Matches,
    look: _Look,
    news: Iterable[str],
    *,
    accept_changed: bool,
) -> Edit | None:
    """The edit that does all of it as one step; None if there is nothing to do."""
    facts: dict[str, Row] = {}
    back = {new: old for old, new in found.moves.items()}
    for new in found.moved.values():
        facts[new] = {"path": look.path(new)}
    for new in found.set_aside.values():
        facts[new] = {"path": None}  # that of another file by now
    for key in news:
        facts[key] = look.contents[key].identity._asdict()
    if accept_changed:
        look.read_again(found.changed)
        looked_for = {known[key].hash for key in (*found.occupied, *found.ambiguous)}
        for key in found.changed:
            # A picture that others' labels are of is not what these labels are of.
            if key in look.contents and look.contents[key].identity.hash not in looked_for:
                content = look.contents[key]
                facts[key] = {"path": look.path(key), **content.identity._asdict()}
                if content.size is not None:
                    facts[key] |= dict(zip(("width", "height"), content.size, strict=True))
    before = {key: one._asdict() for key, one in known.items()}
    facts = {
        key: values
        for key, fields in facts.items()
        if (values := {n: v for n, v in fields.items() if before[back.get(key, key)][n] != v})
    }
    if not found.moves and not facts:
        return None
    return reconciling(found.moves, facts, before)
