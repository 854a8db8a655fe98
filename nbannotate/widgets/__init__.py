"""The annotators as Jupyter widgets; everything below this package works without them."""

from nbannotate.widgets.annotator import Annotator, BoxAnnotator, TagAnnotator

__all__ = ["Annotator", "BoxAnnotator", "TagAnnotator"]
