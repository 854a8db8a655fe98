"""Calls made as from the place where a widget was made, whatever thread or message asks for them.

Since 7.4, ipykernel hands what the browser sends to a widget to the subshell from which the widget
was told something last (``BaseComm.publish_msg``). A background thread has no message of its own
and passes for the one that came last, which may be of a subshell that the front end deletes a
moment later; from then on each gesture would be refused. A widget's own cell runs in the main
shell, which lives as long as the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Origin:
    """The place where it is made."""

    def __init__(self) -> None:
        self._context = copy_context()

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call as from there; safe on any thread and within another such call."""
        return self._context.copy().run(call, *args, **kwargs)
