"""How long the user waits for the next pixel, ours and others', on one page in one run.

Method
------
A real JupyterLab shows one contender at a time, each in the same output of the same notebook, with
the same JPEG files; contenders take turns, so that a slow minute of the machine hits all. Mouse and
keys are real input of the browser. ``page.js`` times from the moment that the event reaches the
page until

* *seen*: the shape in the hand is where the pointer is (the outline's pixels on a canvas, the
  attributes of an SVG shape), or the picture with the next number is in place and loaded;
* *shown*: the frame that has it was painted, so up to 16.7 ms of waiting for a frame are in it
  (events come at any time between two frames);
* *work*: the main thread was busy, with the event's listeners and with the frame after them:
  scripts, style, layout, paint. A steady picture needs it under 16.7 ms.

Drawing is measured by *seen* and *work*, going to the next image by *seen* and *shown*. For that,
every widget is told that the image is done, by Enter or qsl's Save button: nbannotate and qsl save
and go on, and jupyter-bbox-widget calls its callback, which sets the next image, as in its
documentation. "Beyond
the ring" is a jump of 20 images, to one that has not been read before; for jupyter-bbox-widget, to
the same image.

The busy kernel runs a cell that sleeps: the others' callbacks then run where the front end uses
subshells for them, and wait for the end of the cell where it does not.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from playwright.sync_api import Error, TimeoutError

from benchmarks import browser, photos
from benchmarks.contenders import BBOX, DRAWING, GOING, OURS, Contender
from benchmarks.report import Samples, Table, Verdict, tell
from tests.browser.notebook import Notebook

PHOTOS = 240
SIZES = (0, 1000, 10_000)
ROUNDS = 3
MOVES = 25  # of the pointer, a round
STEPS = 12  # to a next image, a round
JUMP = 20
FAR = PHOTOS // JUMP - 1  # jumps, a round
RING = 4  # images that ours has ahead
LATENCY = 50  # milliseconds
ENOUGH = 10  # seconds of one contender's drag
MOUNT = 60  # seconds that a widget may take to show its boxes
BUSY = 30  # seconds that a busy kernel is busy, at most
TRIES = 4  # of a press that may be lost
PATIENCE = 2  # seconds until an answer of a busy kernel counts as missed
NO_ANSWER = f"none in {PATIENCE} s"
FRAME = 1000 / 60

START = (40, 40)  # of a drag, in pixels of the picture
SETUP = f"""
import sys, pathlib
sys.path.insert(0, {str(browser.ROOT)!r})
from benchmarks.kernel import Stand
stand = Stand(pathlib.Path("../photos").resolve())
stand.root
"""
NAMES = [contender.name for contender in DRAWING]


class TooSlowError(Exception):
    """A widget did not show its boxes within `MOUNT`."""


class Stage:
    """The notebook with the stand, as a user would handle it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.page.set_default_timeout(5 * MOUNT * 1000)

    def show(self, contender: Contender, count: int = 0, **options: Any) -> None:
        """Put the contender on the page, and wait until all of it is to be seen."""
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        self.notebook.execute(f"stand.{contender.method}({count}{given})", 5 * MOUNT)
        try:
            self.wait_for_picture(contender, 1, MOUNT)
            if contender.shapes:
                self.page.wait_for_function(contender.shapes, arg=count, timeout=MOUNT * 1000)
        except TimeoutError:
            errors = "".join(f"; {error.splitlines()[0]}" for error in self.notebook.page_errors)
            raise TooSlowError(f"over {MOUNT} s to show{errors}") from None
        self.page.locator(".bench-stand").evaluate("(stand) => stand.scrollIntoView()")
        self.settle()

    def clear(self) -> None:
        self.notebook.execute("stand.clear()", 5 * MOUNT)
        self.page.wait_for_function("!document.querySelector('.bench-stand').children.length")

    def settle(self) -> None:
        """Until the kernel has done all that it was asked, and the page has shown it."""
        self.notebook.execute("")
        self.notebook.wait_for_kernel()
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def wait_for_picture(
        self, contender: Contender, number: int, seconds: float = 60, hidden: bool = False
    ) -> None:
        self.page.wait_for_function(
            "([look, number, hidden]) => window.stopwatch.has(look, number, hidden)",
            arg=[contender.look, number, hidden],
            timeout=seconds * 1000,
        )

    def point(self, contender: Contender, at: Sequence[float]) -> tuple[float, float]:
        """A place in pixels of the picture, as one on the page."""
        left, top, width = self.page.evaluate(
            """(selector) => {
              const seen = (one) => getComputedStyle(one).visibility === "visible";
              const picture = Array.from(document.querySelectorAll(selector)).find(seen);
              const box = picture.getBoundingClientRect();
              return [box.left, box.top, box.width];
            }""",
            contender.picture,
        )
        scale = width / photos.WIDTH
        return left + at[0] * scale, top + at[1] * scale

    def time(self, **what: Any) -> None:
        """Arm the stopwatch for the next event; `what` as ``page.js`` has it."""
        self.page.evaluate(
            "(what) => { window.stopwatch.arm(what); return window.stopwatch.someTime(); }", what
        )

    @property
    def timed(self) -> dict[str, float] | None:
        """What the stopwatch showed, in milliseconds; None when the answer did not come."""
        shown: dict[str, float] | None = self.page.evaluate("window.stopwatch.result()")
        return shown

    # --- drawing ---

    @contextlib.contextmanager
    def drag(self, contender: Contender) -> Iterator[None]:
        """A box begun, and thrown away in the end."""
        mouse = self.page.mouse
        x, y = self.point(contender, START)
        mouse.move(x - 2, y - 2)
        mouse.move(x, y)
        mouse.down()
        if contender.two_clicks:
            mouse.up()
        mouse.move(x + 8, y + 8)
        mouse.move(x + 16, y + 16)
        self.settle()
        yield
        if not contender.two_clicks:
            mouse.up()
        self.settle()

    def stretch(
        self, contender: Contender, moves: int, seconds: float = 10
    ) -> Iterator[dict[str, float] | None]:
        """Draw a box in so many moves, fewer when each takes long, and time each."""
        with self.drag(contender):
            end = time.monotonic() + ENOUGH
            x, y = self.point(contender, START)
            for move in range(1, moves + 1):
                at = {"x": x + 16 + 14 * move, "y": y + 16 + 11 * move}
                self.time(type="pointermove", look=contender.hand, at=at, seconds=seconds)
                self.page.mouse.move(at["x"], at["y"])
                yield self.timed
                if time.monotonic() > end:
                    break

    # --- going to the next image ---

    def press(
        self, contender: Contender, number: int, key: str = "Enter", seconds: float = 20
    ) -> dict[str, float] | None:
        """Press the key, and time it until the picture of that number is there."""
        if contender.button:
            return self._click(contender, number, seconds)
        self.time(type="keydown", look=contender.look, wanted=number, seconds=seconds)
        self.page.keyboard.press(key)
        return self.timed

    def _click(self, contender: Contender, number: int, seconds: float) -> dict[str, float] | None:
        # qsl loses what is pressed right after a picture came: only the press that worked counts.
        for _ in range(TRIES):
            self.page.locator(contender.button).first.hover()
            self.time(type="click", look=contender.look, wanted=number, seconds=min(seconds, 1))
            self.page.mouse.down()
            self.page.mouse.up()
            if timed := self.timed:
                return timed
        return None

    def begin(self, contender: Contender, **options: Any) -> None:
        """Show the contender, and go to its second image to warm up."""
        self.show(contender, **options)
        if contender.focus:
            self.page.locator(contender.focus).first.focus()
        self.press(contender, 2)
        self.settle()

    def go(self, contender: Contender, steps: int) -> Iterator[dict[str, float] | None]:
        """Go through the first images and time each step; the next ones are there before it."""
        self.begin(contender)
        for number in range(3, steps + 3):
            if contender.ahead:
                self.wait_for_picture(contender, number, hidden=True)
            yield self.press(contender, number)
            self.settle()


def say(text: str) -> None:
    """What is going on, for who waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr)


# --- what is measured ---


def drawing(stage: Stage, sizes: Sequence[int], rounds: int) -> tuple[Table, Table]:
    """Pointer event to shape, and what a frame costs, with so many boxes on the picture."""
    seen = Table("pointer event to the shape in the hand, ms", NAMES)
    work = Table("one frame while drawing, ms of main thread", NAMES)
    given_up: set[tuple[str, int]] = set()
    for count in sizes:
        row = f"{count:,} boxes"
        for _ in range(rounds):
            for contender in DRAWING:
                say(f"drawing, {row}, {contender.name}")
                if (contender.name, count) in given_up:
                    continue
                cells = [table.samples(row, contender.name) for table in (seen, work)]
                try:
                    stage.show(contender, count)
                    for timed in stage.stretch(contender, MOVES):
                        cells[0].add(timed and timed["seen"])
                        cells[1].add(timed and timed["work"])
                except (TooSlowError, Error) as error:
                    given_up.add((contender.name, count))
                    for cell in cells:
                        cell.note = cell.note or str(error).splitlines()[0]
                stage.clear()
    return seen, work


def rest(stage: Stage, sizes: Sequence[int], rounds: int) -> Table:
    """Other things that redraw: the pointer over shapes, and zooming. Ours only."""
    table = Table("one frame of nbannotate otherwise, ms of main thread", [OURS.name])
    for count in sizes:
        for _ in range(rounds):
            stage.show(OURS, count)
            stage.page.locator(OURS.focus).focus()
            stage.page.keyboard.press("v")
            x, y = stage.point(OURS, START)
            hover = table.samples(f"hovering, {count:,} boxes", OURS.name)
            wheel = table.samples(f"zooming by wheel, {count:,} boxes", OURS.name)
            for move in range(1, MOVES + 1):
                at = {"x": x + 14 * move, "y": y + 11 * move}
                stage.time(type="pointermove", look={"kind": "nothing"})
                stage.page.mouse.move(at["x"], at["y"])
                timed = stage.timed
                hover.add(timed and timed["work"])
            for turn in range(MOVES):
                stage.time(type="wheel", look={"kind": "nothing"})
                stage.page.mouse.wheel(0, -120 if turn % 2 else 120)
                timed = stage.timed
                wheel.add(timed and timed["work"])
            stage.clear()
    return table


def far(stage: Stage, contender: Contender, jumps: int) -> Iterator[dict[str, float] | None]:
    """Jump to images that have not been read before, the same for each contender.

    Ours goes to the next that is to do, over those that are done.
    """
    stage.begin(contender, jump=JUMP)
    key = "Shift+ArrowRight" if contender.ahead else "Enter"
    number = 2
    for jump in range(1, jumps + 1):
        if contender.ahead:  # who jumps has looked at an image: its neighbours have come meanwhile
            for ahead in range(1, RING + 1):
                stage.wait_for_picture(contender, number + ahead, hidden=True)
            stage.settle()
        number = 1 + jump * JUMP
        yield stage.press(contender, number, key)
        stage.settle()


def going(stage: Stage, rounds: int) -> tuple[Table, Table]:
    """Key to picture: next in the ring, beyond it, over a slow line."""
    names = [contender.name for contender in GOING]
    tables = (
        Table("next image, key to picture in place, ms", names),
        Table("next image, key to picture painted, ms", names),
    )

    def take(row: str, contender: Contender, times: Iterator[dict[str, float] | None]) -> None:
        say(f"next image, {row}, {contender.name}")
        for timed in times:
            tables[0].samples(row, contender.name).add(timed and timed["seen"])
            tables[1].samples(row, contender.name).add(timed and timed["shown"])
        stage.clear()

    for latency in (0, LATENCY):
        tail = f", {latency} ms latency" if latency else ""
        stage.notebook.set_latency(latency)
        for _ in range(rounds):
            for contender in GOING:
                take(f"within the ring{tail}", contender, stage.go(contender, STEPS))
            for contender in (OURS, BBOX):
                take(f"beyond the ring{tail}", contender, far(stage, contender, FAR))
    stage.notebook.set_latency(0)
    return tables


def slow_line(stage: Stage, seen: Table) -> None:
    """Drawing with latency on the connection."""
    stage.notebook.set_latency(LATENCY)
    for contender in DRAWING:
        stage.show(contender)
        cell = seen.samples(f"0 boxes, {LATENCY} ms latency", contender.name)
        for timed in stage.stretch(contender, MOVES):
            cell.add(timed and timed["seen"])
        stage.clear()
    stage.notebook.set_latency(0)


def busy(stage: Stage, seen: Table, tables: Sequence[Table], rounds: int) -> Verdict:
    """Draw on each image of the ring and go on, while the kernel runs a cell of 30 s."""
    drawn = kept = 0
    draws = seen.samples("0 boxes, kernel busy", OURS.name)
    row = "within the ring, kernel busy"
    say("kernel busy")
    for _ in range(rounds):
        stage.begin(OURS)
        for number in range(3, RING + 3):
            stage.wait_for_picture(OURS, number, hidden=True)
        with stage.notebook.busy(BUSY):
            for number in range(3, RING + 3):
                x, y = stage.point(OURS, START)
                stage.page.mouse.move(x, y)
                stage.page.mouse.down()
                stage.page.mouse.move(x + 16, y + 16)
                for move in range(1, 6):
                    at = {"x": x + 16 + 20 * move, "y": y + 16 + 15 * move}
                    stage.time(type="pointermove", look=OURS.hand, at=at)
                    stage.page.mouse.move(at["x"], at["y"])
                    timed = stage.timed
                    draws.add(timed and timed["seen"])
                stage.page.mouse.up()
                drawn += 1
                timed = stage.press(OURS, number)
                for table, name in zip(tables, ("seen", "shown"), strict=True):
                    table.samples(row, OURS.name).add(timed and timed[name])
        stage.settle()
        kept += int(stage.notebook.execute("stand.labels()"))
        stage.clear()
    for contender in GOING[1:]:
        stage.begin(contender)
        with stage.notebook.busy(BUSY):
            for number in range(3, RING + 3):
                timed = stage.press(contender, number, seconds=PATIENCE)
                for table, name in zip(tables, ("seen", "shown"), strict=True):
                    cell = table.samples(row, contender.name)
                    cell.add(timed and timed[name])
                    cell.note = NO_ANSWER
                if timed is None:
                    break
        stage.settle()
        stage.clear()
    for contender in DRAWING[1:]:
        stage.show(contender)
        cell = seen.samples("0 boxes, kernel busy", contender.name)
        cell.note = NO_ANSWER
        with stage.drag(contender), stage.notebook.busy(BUSY):
            x, y = stage.point(contender, START)
            for move in range(1, 6):
                at = {"x": x + 16 + 20 * move, "y": y + 16 + 15 * move}
                stage.time(type="pointermove", look=contender.hand, at=at, seconds=PATIENCE)
                stage.page.mouse.move(at["x"], at["y"])
                timed = stage.timed
                cell.add(timed and timed["seen"])
                if timed is None:
                    break
        stage.clear()
    return Verdict(
        "labels missing of those drawn while the kernel was busy", float(drawn - kept), 0.0
    )


def judge(seen: Table, work: Table, shown: Table, lost: Verdict) -> list[Verdict]:
    """The targets for interaction."""
    bbox = "jupyter-bbox-widget"
    verdicts = []
    for row in ("0 boxes", "1,000 boxes"):
        verdicts += [
            Verdict(f"pointer to pixel, {row}: median ms", seen.median(row), 1.0),
            Verdict(
                f"pointer to pixel, {row}: median ms against {bbox}",
                seen.median(row),
                seen.median(row, bbox),
            ),
        ]
    many = work.rows.get("10,000 boxes", {}).get(OURS.name, Samples())
    verdicts.append(Verdict("frame with 10,000 boxes: p95 ms", many.p95, FRAME))
    ring = "within the ring"
    theirs = shown.median(ring, bbox)
    half = None if theirs is None else theirs / 2
    for row in (ring, f"{ring}, kernel busy"):
        verdicts += [
            Verdict(f"next image {row}, painted: median ms", shown.median(row), 17.0),
            Verdict(
                f"next image {row}, painted: median ms against half of {bbox}",
                shown.median(row),
                half,
            ),
        ]
    verdicts += [
        lost,
        Verdict(
            f"next image beyond the ring, painted: median ms against {bbox}",
            shown.median("beyond the ring"),
            shown.median("beyond the ring", bbox),
        ),
    ]
    return verdicts


def main(*, rounds: int = ROUNDS, sizes: Sequence[int] = SIZES) -> bool:
    """Measure everything; whether every target was met."""
    begun = time.monotonic()
    with browser.jupyter() as (server, open_notebook):
        photos.write(server.root / "photos", PHOTOS)
        stage = Stage(open_notebook("interaction", [SETUP]))
        tables = going(stage, rounds)
        seen, work = drawing(stage, sizes, rounds)
        other = rest(stage, sizes, 1)
        slow_line(stage, seen)
        lost = busy(stage, seen, tables, rounds + 2)
    verdicts = judge(seen, work, tables[1], lost)
    took = round(time.monotonic() - begun)
    tell("interaction", [seen, work, other, *tables], verdicts, seconds=took)
    return all(verdict.passed for verdict in verdicts)
