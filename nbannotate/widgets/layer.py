"""The gesture layer's kernel side: its traits, and its messages handed on as they come.

What the traits hold and what the messages say is in `nbannotate.widgets.messages` and, for the
browser's side, in ``browser/types.js``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from nbannotate.widgets import bundle

SLOTS = 12
"""Most stages that a ring can have; ``browser/session.js`` has the same number."""


def _slots() -> type[traitlets.HasTraits]:
    # Two traits a stage: a change to one image's labels sends neither those of the others nor a
    # picture again, and a picture comes in one message with what is on it.
    traits: dict[str, Any] = {}
    for number in range(SLOTS):
        traits[f"slot_{number}"] = traitlets.Dict().tag(sync=True)
        traits[f"picture_{number}"] = traitlets.Bytes().tag(sync=True)
    return type("_Slots", (traitlets.HasTraits,), traits)


class Layer(anywidget.AnyWidget, _slots()):  # type: ignore[misc]  # traits made in a loop
    """Everything that is seen and moves: pictures, shapes, handles, palette, keys.

    Parameters
    ----------
    receive
        Called with each message of the browser.
    """

    _esm = bundle.script()
    _css = bundle.style()
    config = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    acked = traitlets.Dict().tag(sync=True)
    resend = traitlets.Int().tag(sync=True)
    conflicts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    overlay = traitlets.Unicode().tag(sync=True)
    crisp = traitlets.Dict().tag(sync=True)
    crisp_picture = traitlets.Bytes().tag(sync=True)

    def __init__(self, receive: Callable[[Any], object], **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(lambda _widget, content, _buffers: receive(content))

    def set_slot(self, number: int, slot: dict[str, Any], picture: bytes) -> None:
        """Say what a stage shows: ``{}`` for nothing, and no bytes while there is no picture.

        To be called under `hold_sync`, so that both come in one message.
        """
        setattr(self, f"slot_{number}", slot)
        setattr(self, f"picture_{number}", picture)
