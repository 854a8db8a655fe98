"""Class colours that people with colour-blindness can tell apart, and that show on photos."""

from __future__ import annotations

import colorsys
import re

# Okabe & Ito, Color Universal Design, 2008; without black, which does not show on dark photos.
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_GOLDEN_ANGLE = 0.618033988749895
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def is_color(text: str) -> bool:
    """Whether the text is a colour as ``#rrggbb``."""
    return _HEX.fullmatch(text) is not None


def color_of(number: int) -> str:
    """Colour of the class in place `number` (from 0): Okabe-Ito first, then generated hues."""
    if number < len(OKABE_ITO):
        return OKABE_ITO[number]
    step = number - len(OKABE_ITO)
    hue = (0.13 + step * _GOLDEN_ANGLE) % 1
    # Lightness alternates, so that neighbours in hue differ in a second way as well.
    red, green, blue = colorsys.hls_to_rgb(hue, (0.45, 0.6, 0.72)[step % 3], 0.7)
    return f"#{round(red * 255):02X}{round(green * 255):02X}{round(blue * 255):02X}"
