"""Answers to prompts, compared and rated: where they stand in the tables.

An item is a row of the images table with two columns more. ``prompt`` is a text, or messages, a
list of dicts with ``role`` and ``content``; ``answers`` a list of texts, or of lists of messages.

A label of the kind ``choice`` has the geometry ``{"ranks": [2, 1, 2]}``: the rank of each answer,
the best one first; equal ranks are a tie. One of the kind ``rating`` has ``{"answer": 0,
"step": 3, "value": True}``: of which answer and, in a stepwise rating, of which of its lines, both
counted from 0; the value is yes or no, or a number. ``label`` is the criterion, if there are
several, and ``text`` the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

PROMPT, ANSWERS = "prompt", "answers"


def ranks_of(geometry: Any) -> list[float]:
    """The rank of each answer in a choice; `ValueError` says what is wrong."""
    ranks = geometry.get("ranks") if isinstance(geometry, dict) else None
    if not isinstance(ranks, (list, tuple)) or not all(map(_is_number, ranks)):
        raise ValueError("its geometry is not {'ranks': [1, 2, …]}")
    return [float(rank) for rank in ranks]


def pairs_of(ranks: list[float]) -> list[tuple[int, int]]:
    """All pairs of a better and a worse answer, by their places; the widest apart come first."""
    pairs = [
        (one, other)
        for one, rank in enumerate(ranks)
        for other, worse in enumerate(ranks)
        if rank < worse
    ]
    return sorted(pairs, key=lambda pair: ranks[pair[0]] - ranks[pair[1]])


@dataclass(frozen=True)
class Rating:
    """What a rating says.

    Parameters
    ----------
    value
        Yes or no, or a number.
    answer
        The place of the answer, from 0.
    step
        The place of its step, from 0; None: it is of the whole answer.
    """

    value: bool | float
    answer: int = 0
    step: int | None = None


def rating_of(geometry: Any) -> Rating:
    """What a rating says; `ValueError` says what is wrong."""
    found = geometry if isinstance(geometry, dict) else {}
    value, answer, step = found.get("value"), found.get("answer", 0), found.get("step")
    places = [answer] if step is None else [answer, step]
    known = all(
        isinstance(place, int) and not isinstance(place, bool) and place >= 0 for place in places
    )
    if value is None or not (isinstance(value, bool) or _is_number(value)) or not known:
        raise ValueError("its geometry is not {'answer': 0, 'value': True}")
    return Rating(value, answer, step)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
