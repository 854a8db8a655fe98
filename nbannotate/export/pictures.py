"""Pictures made for a data set, by an executor, each whole or not at all, so that work goes on.

They are made in a folder beside the export and get names by what they are made of: what is there
already is not made again, after a crash or a full disk too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from tqdm.auto import tqdm

from nbannotate.errors import FormatError, NbannotateError
from nbannotate.formats.shared.files import open_image, opened

Progress = bool | Callable[[int, int], None]

_BATCH = 16  # pictures that go to a worker at once
_AHEAD = 64  # batches under way; more would only wait
_SAVED_AS = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WEBP", "BMP": "BMP", "TIFF": "TIFF"}
_QUALITY = 95
_PLAIN = ("L", "RGB", "RGBA", "I;16")


@dataclass(frozen=True)
class Job:
    """One picture to make.

    Parameters
    ----------
    source
        File or URL.
    size
        Width and height of the upright source, in pixels; None: as it is.
    crop
        Left, top, right and bottom of what is kept of it, in pixels; None: all.
    fitted
        Width and height of the result, in pixels. If it is that of the source and nothing is cut
        off, the file is copied as it is.
    """

    source: str
    size: tuple[int, int] | None = None
    crop: tuple[int, int, int, int] | None = None
    fitted: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """A name for the result, another for another picture."""
        stamp: tuple[int, ...] = ()
        if "://" not in self.source:
            with contextlib.suppress(OSError):
                found = os.stat(self.source)  # noqa: PTH116  a Path each is slow
                stamp = (found.st_mtime_ns, found.st_size)
        recipe = repr((astuple(self), stamp))
        suffix = Path(self.source).suffix if len(Path(self.source).suffix) < 8 else ""
        return hashlib.sha256(recipe.encode("utf-8", "surrogateescape")).hexdigest()[:40] + suffix


def make(job: Job, folder: Path) -> None:
    """Make the picture in the folder, under its name.

    Raises
    ------
    FormatError
        If the source cannot be read, or has another size than was said.
    """
    target = folder / job.name
    if target.exists():
        return
    handle, name = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file, opened(job.source) as source:
            if job.crop is None and job.fitted == job.size:
                shutil.copyfileobj(source, file)
            else:
                with open_image(source) as picture:
                    _changed(picture, job).save(
                        file,
                        format=_SAVED_AS.get(picture.format or "", "PNG"),
                        quality=_QUALITY,
                        icc_profile=picture.info.get("icc_profile"),
                    )
        os.replace(name, target)  # noqa: PTH105
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise FormatError(job.source, "", f"cannot be made anew: {error.strerror}") from error
        raise FormatError(
            job.source, "", f"cannot be read as an image ({error}); leave it out or mend it"
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _changed(picture: Image.Image, job: Job) -> Image.Image:
    upright = ImageOps.exif_transpose(picture)
    if job.size is not None and upright.size != job.size:
        width, height = upright.size
        raise FormatError(
            job.source,
            "",
            f"has {width} × {height} pixels, but the images table says "
            f"{job.size[0]} × {job.size[1]}; labels would lie beside their things. Set its width "
            "and height right, or bring back the picture that was labelled",
        )
    if upright.mode not in _PLAIN:
        # Palettes and CMYK are not resized as colours.
        clear = "transparency" in upright.info or upright.mode in ("LA", "PA", "RGBa", "La")
        upright = upright.convert("RGBA" if clear else "RGB")
    changed = upright if job.crop is None else upright.crop(job.crop)
    if job.fitted is not None and changed.size != job.fitted:
        changed = changed.resize(job.fitted, Image.Resampling.LANCZOS)
    changed.info.pop("exif", None)
    return changed


def make_all(
    jobs: Sequence[Job],
    folder: Path,
    *,
    executor: Any = None,
    progress: Progress = True,
) -> None:
    """Make the pictures that are not there yet.

    Parameters
    ----------
    jobs
        What to make.
    folder
        Where they go; workers of an executor on other machines see it under the same path.
    executor
        Where they are made: any `concurrent.futures.Executor`; a ``dask.distributed.Client``; the
        module ``ray``. None: threads of this process.
    progress
        Whether a bar is shown if it takes more than a second; or a function that is told how many
        are made, of how many.

    Raises
    ------
    FormatError
        Of the first picture that cannot be made. Those made before stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batches = [list(jobs[start : start + _BATCH]) for start in range(0, len(jobs), _BATCH)]
    with _told(len(jobs), progress) as tell, contextlib.ExitStack() as stack:
        if executor is None:
            threads = ThreadPoolExecutor(thread_name_prefix="pictures")
            pool: Executor = stack.enter_context(threads)
        else:
            pool = executor_of(executor)
        waiting: deque[Future[int]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(_make_batch, batch, folder))
                if len(waiting) >= _AHEAD:
                    tell(waiting.popleft().result())
            while waiting:
                tell(waiting.popleft().result())
        finally:
            for future in waiting:
                future.cancel()


def executor_of(given: Any) -> Executor:
    """The executor that is meant.

    Parameters
    ----------
    given
        A `concurrent.futures.Executor`, a Dask client, or the module ``ray``.

    Raises
    ------
    NbannotateError
        If it is none of them.
    """
    if isinstance(given, Executor):
        return given
    if callable(getattr(given, "get_executor", None)):
        found: Executor = given.get_executor()
        return found
    if callable(getattr(given, "remote", None)) and callable(getattr(given, "get", None)):
        return _Ray(given)
    raise NbannotateError(
        f"executor={given!r:.60} is no concurrent.futures.Executor, no Dask client and not the "
        "module ray; give one of these, or leave it out for threads"
    )


class _Ray(Executor):
    """Ray's tasks as an executor; what a task raises is raised as it was, without Ray's wrap."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Start a task."""
        inner: Future[Any] = self._ray.remote(function).remote(*args, **options).future()
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()

        def hand_on(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                outer.set_result(done.result())
            else:
                outer.set_exception(getattr(error, "cause", None) or error)

        inner.add_done_callback(hand_on)
        return outer


def _make_batch(jobs: list[Job], folder: Path) -> int:
    for job in jobs:
        make(job, folder)
    return len(jobs)


@contextlib.contextmanager
def _told(total: int, progress: Progress) -> Iterator[Callable[[int], None]]:
    """Tell of progress: a function that is told how many more are made."""
    if callable(progress):
        made = 0

        def tell(more: int) -> None:
            nonlocal made
            made += more
            progress(made, total)

        yield tell
        return
    with tqdm(total=total, unit="image", delay=1, disable=not progress, leave=False) as bar:
        yield lambda more: bar.update(more) and None
