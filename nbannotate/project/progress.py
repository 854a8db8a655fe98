"""How far the work is: the status of each image and numbers of labels, kept as edits come in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nbannotate.core.assignment import COUNTED, Assignment, image_changes, is_verdict
from nbannotate.core.edits import Batch, Edit
from nbannotate.images import ImageSource
from nbannotate.store import Reader


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Parameters
    ----------
    done, skipped, flagged, total
        Numbers of images. For an annotator who is blind to others: of their own, and in all
        those that are left for them.
    seconds_per_image
        Active time an image that is no longer to do has taken; NaN before the first.
    """

    done: int
    skipped: int
    flagged: int
    total: int
    seconds_per_image: float

    @property
    def todo(self) -> int:
        """Number of images left."""
        return self.total - self.done - self.skipped - self.flagged

    @property
    def seconds_left(self) -> float:
        """Active time that the images left will take at this pace."""
        return self.todo * self.seconds_per_image


class Standing:
    """Statuses and numbers of a project.

    Parameters
    ----------
    source
        The images.
    reader
        What the annotator sees of the store.
    annotator
        Who they are.
    assignment
        How the work is given to annotators.
    """

    def __init__(
        self,
        source: ImageSource,
        reader: Reader,
        annotator: str | None,
        assignment: Assignment | None,
    ) -> None:
        self._source = source
        self._reader = reader
        self._annotator = annotator
        self._is_blind = assignment is not None and assignment.is_blind
        self._hands = assignment.overlap if assignment is not None and self._is_blind else 0
        self._counts = Counter(reader.counts())
        self._seconds = reader.seconds()
        self._by_status: Counter[str] = Counter()
        self._own: dict[str, str] | None = None
        self._others: Counter[str] = Counter()  # how many of the others are done with an image
        self._closed: set[str] = set()  # images that others alone have finished

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        self._statuses()
        done, skipped, flagged = (self._by_status[s] for s in ("done", "skipped", "flagged"))
        finished = done + skipped + flagged
        pace = self._seconds / finished if finished else float("nan")
        total = len(self._source.keys) - len(self._closed)
        return Progress(done, skipped, flagged, total, pace)

    @property
    def counts(self) -> dict[int, int]:
        """How many labels each class and tag has, by id; none for those without any."""
        return {class_id: count for class_id, count in self._counts.items() if count}

    def status(self, image: str) -> str:
        """Status of an image."""
        return self._statuses().get(image, "todo")

    def take_in(self, batch: Batch) -> None:
        """Count a batch that was committed, of which the annotator sees these edits."""
        if not self._is_blind or batch.annotator == self._annotator:
            self._seconds += batch.seconds
        for edit in batch.edits:
            self._count(edit)

    def take_in_others(self, edits: tuple[Edit, ...]) -> None:
        """Count edits that the annotator does not see: they may leave less to do."""
        if self._own is None:
            return
        for edit in edits:
            if is_verdict(edit.label_id):
                before, after = ((row or {}).get("text") for row in (edit.before, edit.after))
                self._others[edit.image] += (after in COUNTED) - (before in COUNTED)
                self._close(edit.image)

    def _statuses(self) -> dict[str, str]:
        # All of them, so they are read when they are first asked for, and not to open a project.
        if self._own is None:
            self._own = self._reader.statuses()
            here = (s for image, s in self._own.items() if self._source.has(image))
            self._by_status.update(here)
            if self._hands:
                self._others = Counter(self._reader.finished_by_others())
                for image in self._others:
                    self._close(image)
        return self._own

    def _count(self, edit: Edit) -> None:
        self._counts.update(edit.class_steps())
        if edit.op == "reconcile":  # what was said goes with its image; read again when asked for
            self._own = None
            for numbers in (self._by_status, self._others, self._closed):
                numbers.clear()
        if self._own is None or "status" not in image_changes(edit):
            return
        image = edit.image
        status = str(image_changes(edit)["status"])
        if not self._is_blind and is_verdict(edit.label_id):
            status = self._reader.status_of(image)  # which depends on all that was said of it
        if self._source.has(image):
            # Not what the edit has as before: the statuses may be read after it was made.
            self._by_status[self.status(image)] -= 1
            self._by_status[status] += 1
        self._own[image] = status
        self._close(image)

    def _close(self, image: str) -> None:
        is_closed = (
            self._hands > 0
            and self._others[image] >= self._hands
            and self._source.has(image)
            and self.status(image) == "todo"
        )
        (self._closed.add if is_closed else self._closed.discard)(image)
