"""The order in which images are shown, the filter on them, and the place of the one shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Keep = Callable[[str], bool]


class Walk:
    """A walk through image keys, some of which a filter leaves out.

    Parameters
    ----------
    keys
        All keys, in the order of the walk.

    Notes
    -----
    The filter is applied when it is set, not at each step: an image that is done while "to do"
    is shown stays in the walk, so that its neighbours keep their places under the hands.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.all = keys
        self.shown: Sequence[str] = keys
        self.position = 0
        self._keep: Keep | None = None
        self._places: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def current(self) -> str | None:
        """Key of the image in place; None if the filter leaves none."""
        return self.shown[self.position] if self.shown else None

    def place(self, key: str) -> int | None:
        """Place of the key in what is shown, from 0; None if it is left out."""
        if self._places is None:
            self._places = {key: place for place, key in enumerate(self.shown)}
        return self._places.get(key)

    def keep(self, keep: Keep | None) -> None:
        """Show only the keys that `keep` is true of; None shows all.

        The image in place stays in place if it is kept, else the next one that is.
        """
        current = self.current
        order = {key: place for place, key in enumerate(self.all)} if current else {}
        self.shown = self.all if keep is None else [key for key in self.all if keep(key)]
        self._keep = keep
        self._places = None
        self.position = 0
        if current is not None and self.shown:
            start = order[current]
            later = (i for i, key in enumerate(self.shown) if order[key] >= start)
            self.position = next(later, len(self.shown) - 1)

    def extend(self, keys: Sequence[str]) -> None:
        """Go on, at the end, with further keys, of which those are shown that the filter keeps."""
        if keys:
            is_all = self._keep is None
            self.all = [*self.all, *keys]
            kept = [key for key in keys if self._keep is None or self._keep(key)]
            self.shown = self.all if is_all else [*self.shown, *kept]
            self._places = None

    def go(self, position: int) -> None:
        """Go to a place, or to the nearest end of the walk."""
        self.position = max(0, min(position, len(self.shown) - 1))

    def next_where(self, wanted: Keep) -> int | None:
        """Place of the next image after this one that is wanted, from the start after the end."""
        total = len(self.shown)
        for step in range(1, total + 1):
            place = (self.position + step) % total
            if wanted(self.shown[place]):
                return place
        return None

    def around(self, ahead: int) -> list[int]:
        """The places to keep ready: this one, the next `ahead`, the one before."""
        places = [self.position, *range(self.position + 1, self.position + 1 + ahead)]
        return [p for p in [*places, self.position - 1] if 0 <= p < len(self.shown)]
