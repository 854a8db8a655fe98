/**
 * Pointer and wheel on the stage: draw, select, move, resize, pan, zoom. One finished gesture is
 * one command of the desk. What is in the hand is painted at once, in the event itself.
 */
// @ts-check

/** @import {Box, Label, Point} from "./types.js" */
/** @import {Desk} from "./desk.js" */

import {
  boxAround,
  boxBetween,
  boxOf,
  handleAt,
  HANDLES,
  moved,
  resized,
  shapeAt,
  toImage,
  tooSmall,
} from "./geometry.js";

/** Travel in CSS pixels up to which a press is a click. */
const CLICK_TRAVEL = 4;
const REACH = { mouse: 6, pen: 8, touch: 16 };
const HANDLE_REACH = { mouse: 6, pen: 10, touch: 22 };

export class Gestures {
  /**
   * @param {HTMLElement} stage
   * @param {Desk} desk
   * @param {() => void} paint draws what is in the hand
   * @param {AbortSignal} signal
   */
  constructor(stage, desk, paint, signal) {
    this.stage = stage;
    this.desk = desk;
    this.paint = paint;
    /** @type {Box | null} the box being drawn, in image pixels */
    this.draft = null;
    /** @type {Point | null} first corner of a box, in image pixels */
    this.corner = null;
    /** @type {Point[]} extreme clicks so far, in image pixels */
    this.points = [];
    /** @type {Point | null} where the pointer is, in CSS pixels of the stage */
    this.pointer = null;
    this.spaceHeld = false;
    this.spaceUsed = false;
    /** @type {Map<number, Point>} fingers on the stage */
    this.fingers = new Map();
    /** @type {{id: number, from: Point, travelled: boolean, move: (at: Point) => void,
     *   end: (at: Point) => void} | null} */
    this.drag = null;

    let tool = desk.tool;
    desk.subscribe(() => {
      if (desk.tool === tool) return;
      tool = desk.tool;
      this.cancel(); // what was begun with the other tool
    });
    const options = { signal };
    const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ listener) =>
      stage.addEventListener(type, listener, options);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#lost(event));
    on("pointerleave", () => this.#left());
    on("dblclick", (event) => this.#doubleClick(event));
    on("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
  }

  /** Whether a shape is begun. */
  get busy() {
    return this.drag !== null || this.corner !== null || this.points.length > 0;
  }

  /** Forget what is in the hand. @returns {boolean} whether there was anything */
  cancel() {
    const was = this.busy;
    this.drag = null;
    this.corner = null;
    this.points = [];
    this.draft = null;
    this.desk.dragged = null;
    if (was) this.desk.changed();
    return was;
  }

  /** The tool that a press would use now. @param {{ctrlKey: boolean, metaKey: boolean}} [event] */
  toolFor(event) {
    if (!this.desk.canDraw) return "none";
    return event?.ctrlKey || event?.metaKey ? "select" : this.desk.tool;
  }

  /** @param {PointerEvent | MouseEvent} event @returns {Point} */
  #at(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {PointerEvent} event @param {Record<string, number>} reach */
  #reach(event, reach) {
    return reach[event.pointerType] ?? reach.mouse;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    // A card on the stage has buttons, which get no click once the stage has the pointer.
    if (event.target instanceof Element && event.target.closest("button")) return;
    const at = this.#at(event);
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, at);
      if (this.fingers.size === 2) {
        this.cancel();
        return;
      }
    }
    if (this.drag || this.fingers.size > 1) return;
    event.preventDefault();
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    this.pointer = at;
    const tool = this.toolFor(event);
    const point = toImage(this.desk.viewport, at);
    if (event.button === 1 || this.spaceHeld) this.#startPan(event, at);
    else if (event.button === 2) this.#pickUnder(event, at);
    else if (event.button !== 0) return;
    else if (tool === "box") this.#startBox(event, at, point);
    else if (tool === "extreme") this.#startClick(event, at, point);
    else this.#startSelect(event, at, point);
  }

  /** @param {PointerEvent} event @param {Point} from @param {(at: Point) => void} move
   * @param {(at: Point) => void} end */
  #start(event, from, move, end) {
    this.drag = { id: event.pointerId, from, travelled: false, move, end };
  }

  /** @param {PointerEvent} event @param {Point} from */
  #startPan(event, from) {
    this.spaceUsed = this.spaceHeld;
    let last = from;
    this.#start(
      event,
      from,
      (at) => {
        this.desk.pan(at.x - last.x, at.y - last.y);
        last = at;
      },
      () => {},
    );
  }

  /** Drag or two clicks. @param {PointerEvent} event @param {Point} from @param {Point} point */
  #startBox(event, from, point) {
    this.desk.select(null);
    const second = this.corner !== null;
    const corner = this.corner ?? point;
    this.corner = corner;
    this.#start(
      event,
      from,
      (at) => this.#stretch(at),
      (at) => {
        const travelled = this.drag?.travelled;
        if (!travelled && !second) return; // the first of two clicks
        this.#stretch(at);
        this.#finish();
      },
    );
    if (second) this.#stretch(from);
  }

  /** @param {Point} at */
  #stretch(at) {
    const slot = this.desk.slot;
    if (!slot || !this.corner) return;
    this.draft = boxBetween(this.corner, toImage(this.desk.viewport, at), slot);
  }

  #finish() {
    const box = this.draft;
    this.draft = null;
    this.corner = null;
    this.points = [];
    if (box) this.desk.createBox(box);
  }

  /** @param {PointerEvent} event @param {Point} from @param {Point} point */
  #startClick(event, from, point) {
    const slot = this.desk.slot;
    if (!slot) return;
    this.desk.select(null);
    this.points = [...this.points, point];
    this.draft = boxAround(this.points, slot);
    this.#start(event, from, () => {}, () => {});
    if (this.points.length === 4) this.#finish();
    else this.desk.say(`${4 - this.points.length} more extreme points`);
  }

  /** @param {PointerEvent} event @param {Point} from @param {Point} point */
  #startSelect(event, from, point) {
    const { desk } = this;
    const selection = desk.selection;
    const editable = desk.canDraw;
    if (selection && editable) {
      const reach = this.#reach(event, HANDLE_REACH);
      const handle = handleAt(boxOf(selection), desk.viewport, from, reach);
      if (handle >= 0) {
        this.#startResize(event, from, selection, handle);
        return;
      }
    }
    const shape = shapeAt(desk.visibleShapes, desk.viewport, from, this.#reach(event, REACH));
    desk.select(shape);
    if (!shape || !editable) this.#startPan(event, from);
    else this.#startMove(event, from, shape, point);
  }

  /** @param {PointerEvent} event @param {Point} from @param {Label} shape @param {Point} point */
  #startMove(event, from, shape, point) {
    this.#startEdit(event, from, shape, (to, slot) =>
      moved(boxOf(shape), to.x - point.x, to.y - point.y, slot),
    );
  }

  /** @param {PointerEvent} event @param {Point} from @param {Label} shape @param {number} handle */
  #startResize(event, from, shape, handle) {
    this.#startEdit(event, from, shape, (to, slot) =>
      resized(boxOf(shape), HANDLES[handle], to, slot),
    );
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} from
   * @param {Label} shape
   * @param {(to: Point, picture: {width: number, height: number}) => Box} change
   */
  #startEdit(event, from, shape, change) {
    const { desk } = this;
    const follow = (/** @type {Point} */ at) => {
      const slot = desk.slot;
      if (!slot || !this.drag?.travelled) return;
      desk.dragged = { ...shape, ...change(toImage(desk.viewport, at), slot) };
    };
    this.#start(event, from, follow, (at) => {
      follow(at);
      const changed = desk.dragged;
      desk.dragged = null;
      if (!changed) return;
      const box = boxOf(changed);
      const smallest = desk.session.config.smallest_side;
      if (tooSmall(box, smallest)) {
        desk.say(`Not changed: a side under ${smallest} px of the image is not kept`);
      } else {
        desk.update(shape, box);
      }
    });
  }

  /** @param {PointerEvent} event @param {Point} at */
  #pickUnder(event, at) {
    const { desk } = this;
    desk.select(shapeAt(desk.visibleShapes, desk.viewport, at, this.#reach(event, REACH)));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const at = this.#at(event);
    if (event.pointerType === "touch" && this.fingers.size === 2) {
      this.#pinch(event.pointerId, at);
      return;
    }
    this.pointer = at;
    const drag = this.drag;
    if (drag && event.pointerId === drag.id) {
      drag.travelled ||= Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > CLICK_TRAVEL;
      drag.move(at);
    } else if (this.corner) {
      this.#stretch(at);
    } else if (this.points.length) {
      const slot = this.desk.slot;
      if (slot) this.draft = boxAround(this.points, slot);
    }
    this.#point(event, at);
    this.paint();
  }

  /** Hover and cursor. @param {PointerEvent} event @param {Point} at */
  #point(event, at) {
    if (this.drag) return;
    const { desk, stage } = this;
    const tool = this.toolFor(event);
    let cursor = "crosshair";
    let hovered = null;
    if (this.spaceHeld) {
      cursor = "grab";
    } else if (tool === "select" || tool === "none") {
      const selection = desk.canDraw ? desk.selection : null;
      const handle = selection
        ? handleAt(boxOf(selection), desk.viewport, at, this.#reach(event, HANDLE_REACH))
        : -1;
      const shape = shapeAt(desk.visibleShapes, desk.viewport, at, this.#reach(event, REACH));
      hovered = shape?.label_id ?? null;
      if (handle >= 0) cursor = HANDLES[handle].cursor;
      else if (shape) cursor = tool === "select" ? "move" : "pointer";
      else cursor = "grab";
    }
    if (stage.style.cursor !== cursor) stage.style.cursor = cursor;
    desk.hovered = hovered;
  }

  /** @param {number} id @param {Point} at */
  #pinch(id, at) {
    const before = [...this.fingers.values()];
    this.fingers.set(id, at);
    const after = [...this.fingers.values()];
    const middle = (/** @type {Point[]} */ [a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    const spread = (/** @type {Point[]} */ [a, b]) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const [from, to] = [middle(before), middle(after)];
    this.desk.pan(to.x - from.x, to.y - from.y);
    this.desk.zoom(to, (this.desk.viewport.scale * spread(after)) / spread(before));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.fingers.delete(event.pointerId);
    const drag = this.drag;
    if (!drag || event.pointerId !== drag.id) return;
    const at = this.#at(event);
    drag.travelled ||= Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > CLICK_TRAVEL;
    drag.end(at);
    this.drag = null;
    if (event.pointerType === "touch") this.pointer = null;
    this.desk.changed();
  }

  /** The system took the pointer away: the gesture did not end, so it makes nothing.
   * @param {PointerEvent} event */
  #lost(event) {
    this.fingers.delete(event.pointerId);
    if (this.drag?.id === event.pointerId) this.cancel();
  }

  #left() {
    if (this.drag) return;
    this.pointer = null;
    this.desk.hovered = null;
    this.paint();
  }

  /** @param {MouseEvent} event */
  #doubleClick(event) {
    event.preventDefault();
    if (this.desk.tool === "extreme" && this.desk.canDraw) return; // two points that lie close
    this.cancel();
    this.desk.fit();
    // Its two clicks were taken for the corners of a box, which was said to be too small.
    this.desk.say("The whole picture");
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    // Without the focus the wheel scrolls the notebook, as over any other output.
    const focused = this.stage.getRootNode() instanceof Document
      && this.stage.contains(document.activeElement);
    if (!event.ctrlKey && !event.metaKey && !focused) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const factor = Math.exp((-event.deltaY * unit) / (event.ctrlKey ? 200 : 500));
    this.desk.zoom(this.#at(event), this.desk.viewport.scale * factor);
    this.pointer = this.#at(event);
    this.paint();
  }
}
