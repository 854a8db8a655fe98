"""Tells the user of images that are not what they were: renamed, or with other content.

Their content is known by the way, as pictures are read to be shown; the search for renamed ones
goes on in the background once the first picture is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from nbannotate.errors import ImageError, StoreError
from nbannotate.images import Identity
from nbannotate.project import Project
from nbannotate.project.reconciling import find_renamed


class Recognition:
    """Finds out which images are not what they were, each told once.

    Parameters
    ----------
    project
        The images and what is known of them.
    tell
        Called, on any thread, when there may be something to say: then ask for `notice`.
    """

    def __init__(self, project: Project, tell: Callable[[], object]) -> None:
        self._project = project
        self._tell = tell
        self._lock = threading.Lock()  # guards all that follows
        self._changed: set[str] = set()
        self._told: set[str] = set()
        self._renamed: tuple[str, str] | None = None
        self._search: threading.Thread | None = None
        self._ended = threading.Event()

    def take(self, image: str, identity: Identity) -> None:
        """Take in the content of an image that was read."""
        self._project.note_identity(image, identity)
        with suppress(StoreError):  # told by what the user does with it
            if self._project.has_changed(image):
                with self._lock:
                    self._changed.add(image)
                self._tell()

    def search(self) -> None:
        """Look for renamed images in the background; only the first call does."""
        with self._lock:
            if self._search is not None or self._ended.is_set():
                return
            name = "nbannotate looks for renamed images"
            self._search = threading.Thread(target=self._find, name=name, daemon=True)
            self._search.start()

    def notice(self, image: str | None) -> ImageError | None:
        """What is to be said while this image is shown; None if nothing is, or it was said."""
        with self._lock:
            if self._renamed is not None:
                (old, new), self._renamed = self._renamed, None
                return ImageError(
                    f"{old!r} is {new!r} now: ann.reconcile() brings the labels of images that "
                    "were renamed to where they are"
                )
            if image is None or image not in self._changed or image in self._told:
                return None
            self._told.add(image)
            return ImageError(
                f"{image!r} has changed since it was labelled; where labels still fit, "
                "ann.reconcile(accept_changed=True) records the files as they are now"
            )

    def forget(self, images: Iterable[str]) -> None:
        """Take these images as in order, after someone has set them right."""
        with self._lock:
            self._changed.difference_update(images)
            self._told.difference_update(images)
            self._renamed = None

    def close(self) -> None:
        """End the search."""
        self._ended.set()

    def _find(self) -> None:
        with suppress(StoreError):
            found = find_renamed(self._project.store, self._project.source, self._ended)
            if found is not None and not self._ended.is_set():
                with self._lock:
                    self._renamed = found
                self._tell()
