"""Images from anywhere, decoded upright and sized for the browser.

`open_source` finds the images, `Pictures` has them ready ahead of time; `render`, `size` and `crop`
are for one image at a time.
"""

from nbannotate.images.ahead import Pictures
from nbannotate.images.duplicates import near_duplicates
from nbannotate.images.identity import Identity, identify
from nbannotate.images.readers import Raw
from nbannotate.images.rendering import Picture, render, size
from nbannotate.images.sources import Images, ImageSource, Indexes, open_source
from nbannotate.images.zoom import Decoded, DecodedCache, crop, decoded

__all__ = [
    "Decoded",
    "DecodedCache",
    "Identity",
    "ImageSource",
    "Images",
    "Indexes",
    "Picture",
    "Pictures",
    "Raw",
    "crop",
    "decoded",
    "identify",
    "near_duplicates",
    "open_source",
    "render",
    "size",
]
