"""The order in which images are shown, as it is asked for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from nbannotate.errors import ImageError, NbannotateError
from nbannotate.images import ImageSource

Order = Literal["sequential", "random"] | Callable[[Sequence[str]], Iterable[str]]


def arranged(source: ImageSource, order: Order, seed: str) -> Sequence[str]:
    """The image keys in the order asked for.

    Parameters
    ----------
    source
        The images.
    order
        ``"sequential"``; ``"random"``, the same for one seed; or a callable that takes the keys
        and gives them back in its order, or some of them.
    seed
        What decides a random order.

    Raises
    ------
    ImageError
        If a callable gives what is no key, or one more than once.
    """
    keys = source.keys
    if callable(order):
        found = list(order(keys))
        unknown = [key for key in found if not source.has(key)]
        if unknown:
            raise ImageError(f"order gave {unknown[0]!r}, which is no key of the images")
        if len(set(found)) < len(found):
            twice = Counter(found).most_common(1)[0][0]
            raise ImageError(f"order gave {twice!r} more than once; give each image once")
        return found
    if order == "sequential":
        return keys
    if order == "random":
        shuffled = list(keys)
        random.Random(seed).shuffle(shuffled)
        return shuffled
    raise NbannotateError(f"order {order!r} is unknown; use 'sequential', 'random' or a callable")
