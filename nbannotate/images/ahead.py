"""Pictures rendered ahead of time by a few threads, and kept as long as there is room."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

from nbannotate.errors import ImageError
from nbannotate.images.decoding import MAX_PIXELS
from nbannotate.images.identity import Identity, identify
from nbannotate.images.readers import Raw
from nbannotate.images.rendering import BASE_PIXELS, Picture, render
from nbannotate.images.sources import ImageSource
from nbannotate.images.zoom import Box, DecodedCache, crop

_log = logging.getLogger(__name__)
_QUICK = 0.02
"""Seconds. A small local file takes a fraction of one thousandth, and several times that where
another thread is to do it."""


class Pictures:
    """Pictures of a source, ready before they are asked for. Safe between threads.

    Parameters
    ----------
    source
        Where the images come from.
    workers
        Threads that render in the background.
    ahead_bytes
        Room for rendered pictures. The newest one stays even if it is larger.
    base_pixels, max_pixels
        See `nbannotate.images.rendering.render`.
    decoded_bytes
        Room for large images kept decoded to `crop`.
    on_read
        Called with the key and the content of each image that was read, on a thread of its own,
        after those who wait for the picture have it.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        workers: int = 2,
        ahead_bytes: int = 256_000_000,
        base_pixels: int = BASE_PIXELS,
        max_pixels: int = MAX_PIXELS,
        decoded_bytes: int = 1_000_000_000,
        on_read: Callable[[str, Identity], object] | None = None,
    ) -> None:
        self.source = source
        self._base_pixels = base_pixels
        self._max_pixels = max_pixels
        self._ahead_bytes = ahead_bytes
        self._decoded = DecodedCache(decoded_bytes, max_pixels=max_pixels)
        self._lock = threading.Lock()  # guards all that follows
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._kept_bytes = 0
        self._failed: dict[str, str] = {}
        self._under_way: dict[str, Future[Picture]] = {}
        self._wanted: tuple[str, ...] = ()
        self._queue: deque[str] = deque()
        self._idle = workers
        self._last_took = math.inf  # seconds
        self._is_closed = False
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="nbannotate-images")
        self._on_read = on_read
        self._identifier = ThreadPoolExecutor(1, thread_name_prefix="nbannotate-identity")

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, key: str, *, retry: bool = False) -> Picture:
        """Return a picture: at once if it is ready, else rendered here and now.

        Parameters
        ----------
        key
            Key of the image.
        retry
            Try again what failed before; without it the same error is raised anew.

        Raises
        ------
        ImageError
            If the image cannot be read or shown, or after `close`.
        """
        with self._lock:
            if self._is_closed:
                raise ImageError(f"{key}: these pictures are closed. Open the images again.")
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if key in self._failed and not retry:
                raise ImageError(self._failed[key])
            self._failed.pop(key, None)
            under_way = self._under_way.get(key)
            if under_way is None:
                mine = self._under_way[key] = Future()
        if under_way is None:
            self._render(key, mine, is_asked_for=True)
            under_way = mine
        try:
            return under_way.result()
        except ImageError as error:
            # An exception shared by threads would gather the traceback of each
            raise ImageError(*error.args) from error.__cause__

    def want(self, keys: Iterable[str]) -> None:
        """Render these in the background, in this order; drops what was wanted before.

        What is under way goes on. It stops where the wanted pictures fill the room.
        """
        with self._lock:
            if self._is_closed:
                return
            self._wanted = tuple(dict.fromkeys(keys))
            self._queue = deque(self._wanted)
            for key in reversed(self._wanted):
                if key in self._kept:
                    self._kept.move_to_end(key)
        self._start()

    def ready(self, key: str) -> bool:
        """Whether `get` would return at once with a picture."""
        with self._lock:
            return key in self._kept

    def bring(self, key: str, seconds: float) -> bool:
        """Want this one only, and wait for it, but no longer than this; whether it is ready.

        If the last one that was rendered took next to no time, this one is rendered here.
        """
        is_quick = self._last_took < _QUICK
        self.want([] if is_quick else [key])
        with self._lock:
            under_way = self._under_way.get(key)
        if under_way is not None:
            futures.wait([under_way], seconds)
        elif is_quick:
            with suppress(ImageError):  # `get` tells it
                self.get(key)
        return self.ready(key)

    def failure(self, key: str) -> str | None:
        """Why rendering an image failed the last time; None if it did not."""
        with self._lock:
            return self._failed.get(key)

    def crop(self, key: str, box: Box, size: tuple[int, int]) -> bytes:
        """Render a region of an image crisply; see `nbannotate.images.zoom.crop`."""
        return crop(self._decoded.get(key, self.source.load), key, box, size)

    def close(self) -> None:
        """Forget everything and let the threads end; waits for nothing."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            self._kept.clear()
            self._kept_bytes = 0
        self._decoded.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._identifier.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give idle workers the next wanted pictures."""
        with self._lock:
            while self._idle > 0 and (key := self._next()) is not None:
                future: Future[Picture] = Future()
                self._under_way[key] = future
                self._idle -= 1
                try:
                    # One picture a task: at its exit the interpreter runs all tasks that wait
                    self._pool.submit(self._work, key, future)
                except RuntimeError as error:  # the interpreter is on its way out
                    self._idle += 1
                    del self._under_way[key]
                    future.set_exception(ImageError(f"{key}: not rendered: {error}."))
                    self._queue.clear()

    def _next(self) -> str | None:
        while self._queue and not self._is_closed:
            key = self._queue.popleft()
            if key in self._kept or key in self._under_way or key in self._failed:
                continue
            held = sum(len(self._kept[k].data) for k in self._wanted if k in self._kept)
            if held >= self._ahead_bytes:
                self._queue.clear()
                return None
            return key
        return None

    def _work(self, key: str, future: Future[Picture]) -> None:
        try:
            self._render(key, future, is_asked_for=False)
        finally:
            with self._lock:
                self._idle += 1
            self._start()

    def _render(self, key: str, future: Future[Picture], *, is_asked_for: bool) -> None:
        """Render and hand the outcome to all that wait for it; never raises."""
        raw: Raw | None = None
        picture: Picture | None = None
        begun = time.monotonic()
        try:
            raw = self.source.load(key)
            picture = render(
                raw,
                key,
                base_pixels=self._base_pixels,
                max_pixels=self._max_pixels,
            )
        except ImageError as error:
            failure: BaseException = error
        except BaseException as error:  # whoever waits must never wait for ever
            failure = ImageError(f"{key}: cannot be shown: {type(error).__name__}: {error}.")
            failure.__cause__ = error
        with self._lock:
            self._last_took = time.monotonic() - begun
            self._under_way.pop(key, None)
            if picture is None:
                self._failed[key] = str(failure)
            elif not self._is_closed:
                self._keep(picture, is_asked_for)
        if picture is None:
            future.set_exception(failure)
        else:
            future.set_result(picture)
        if raw is not None and self._on_read is not None:
            with suppress(RuntimeError):  # closed meanwhile
                self._identifier.submit(self._identify, key, raw, self._on_read)

    def _identify(self, key: str, raw: Raw, on_read: Callable[[str, Identity], object]) -> None:
        try:
            on_read(key, identify(raw, key))
        except ImageError:  # told as what it keeps from being shown
            pass
        except Exception as error:  # nobody waits for it
            _log.error("the content of %s was not taken in", key, exc_info=error)

    def _keep(self, picture: Picture, is_asked_for: bool) -> None:
        self._kept[picture.key] = picture
        self._kept_bytes += len(picture.data)
        if self._kept_bytes <= self._ahead_bytes:
            return
        wanted = dict.fromkeys(self._wanted)
        # Those nobody wants go first, longest unused ahead; then the wanted ones furthest off
        leaving = [k for k in self._kept if k not in wanted]
        leaving += [k for k in reversed(self._wanted) if k in self._kept]
        for key in leaving:
            if self._kept_bytes <= self._ahead_bytes or len(self._kept) == 1:
                return
            if key == picture.key:
                if is_asked_for:
                    continue
                self._queue.clear()  # the nearer ones fill the room: more would leave as well
            self._kept_bytes -= len(self._kept.pop(key).data)
