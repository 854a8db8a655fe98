"""A scheme, images and a store joined into one thing that can be edited: the only way in."""

from nbannotate.core.events import Event
from nbannotate.project.order import Order
from nbannotate.project.progress import Progress
from nbannotate.project.project import Project, reconcile

__all__ = ["Event", "Order", "Progress", "Project", "reconcile"]
