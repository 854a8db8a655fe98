"""The annotators as Jupyter widgets; everything below this package works without them."""

from nbannotate.widgets.annotator import Annotator
from nbannotate.widgets.box import BoxAnnotator
from nbannotate.widgets.tag import TagAnnotator

__all__ = ["Annotator", "BoxAnnotator", "TagAnnotator"]
