"""What went wrong while the user worked: kept for Python, the last of it told in the widget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nbannotate.errors import NbannotateError

_KEPT = 1000


@dataclass(frozen=True)
class Problem:
    """Something that went wrong while the user worked.

    Parameters
    ----------
    at
        When.
    text
        What, in words.
    error
        The exception.
    about
        The message or the event that it came from, so that nothing in it is lost.
    """

    at: pd.Timestamp
    text: str
    error: Exception
    about: Any

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.text}"


class Problems:
    """The problems so far, and what the widget says now."""

    def __init__(self) -> None:
        self.all: list[Problem] = []
        self.notice: dict[str, Any] | None = None
        """What the widget is to say, under a number that differs each time."""

    def report(self, error: Exception, about: Any) -> None:
        """Keep an error and tell the user."""
        ours = isinstance(error, NbannotateError)
        text = str(error) if ours else f"{type(error).__name__}: {error}"
        self.all.append(Problem(pd.Timestamp.now().floor("ms"), text, error, about))
        del self.all[:-_KEPT]
        self.say(text)

    def say(self, text: str) -> None:
        """Tell the user something that is no error of ours."""
        self.notice = {"number": time.time_ns(), "text": text}
