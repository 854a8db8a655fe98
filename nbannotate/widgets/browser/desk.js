/**
 * What one view of the widget holds that the kernel need not know: tool, label in hand, selection,
 * zoom, what is hidden; and the commands that keys, buttons and gestures share.
 */
// @ts-check

/** @import {Box, Change, Label, LabelClass, Point, Slot} from "./types.js" */
/** @import {Viewport} from "./geometry.js" */
/** @import {Session} from "./session.js" */

import { boxOf, fit, moved, tooSmall, zoomAt } from "./geometry.js";
import { uuid } from "./ids.js";
import { dashOf } from "./paint.js";
import { newBox, shapesOf } from "./shapes.js";

const LARGEST_ZOOM = 64;

export class Desk {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    const { schema, shapes, view_only: viewOnly } = session.config;
    /** @type {"box" | "extreme" | "select"} */
    this.tool = shapes && !viewOnly ? "box" : "select";
    this.classId = schema.classes.find((item) => !item.retired)?.id ?? null;
    /** @type {string | null} */
    this.selected = null;
    /** @type {string | null} */
    this.hovered = null;
    this.hidden = false;
    this.peeking = false;
    /** @type {Set<number>} */
    this.hiddenClasses = new Set();
    /** @type {Viewport} */
    this.viewport = { scale: 1, x: 0, y: 0 };
    this.fitted = true;
    this.size = { width: 0, height: 0 };
    /** @type {Label | null} the selection while it is dragged, before it is an edit */
    this.dragged = null;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    this.said = "";
    /** What is plain to see, and so for screen readers only. */
    this.whispered = "";
    this.ordered = [...schema.classes, ...schema.tags.flatMap((group) => group.choices)];
    this.classes = new Map(
      this.ordered.map((item, place) => [item.id, { item, dash: dashOf(place) }]),
    );
  }

  /** Go on with what a former desk of this view had in hand. @param {Desk} former */
  resume(former) {
    if (this.classes.has(former.classId ?? -1)) this.classId = former.classId;
    this.tool = former.tool;
    this.viewport = former.viewport;
    this.fitted = former.fitted;
    this.selected = former.selected;
    this.changed();
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.listeners.add(listener);
  }

  /** Tell those who draw. */
  changed() {
    for (const listener of this.listeners) listener();
  }

  /** Say what happened, to eyes and screen readers. @param {string} text */
  say(text) {
    this.said = text;
    this.changed();
  }

  get slot() {
    return this.session.current;
  }

  get readOnly() {
    return this.session.config.view_only;
  }

  /** Whether gestures on the picture can make or change shapes now. */
  get canDraw() {
    const slot = this.slot;
    return this.session.config.shapes && !this.readOnly && slot !== null && !slot.error;
  }

  /** All shapes of the image, in the order in which they were made. @returns {Label[]} */
  get shapes() {
    return shapesOf(this.slot?.labels ?? []);
  }

  /** The shapes that are to be seen. */
  get visibleShapes() {
    if (this.hidden || this.peeking) return [];
    return this.shapes.filter((shape) => !this.hiddenClasses.has(shape.class_id ?? -1));
  }

  /** @returns {Label | null} */
  get selection() {
    return this.shapes.find((shape) => shape.label_id === this.selected) ?? null;
  }

  /** @param {number | null} id @returns {LabelClass | null} */
  classOf(id) {
    return (id !== null && this.classes.get(id)?.item) || null;
  }

  /** Colour of the label in hand. */
  get color() {
    return this.classOf(this.classId)?.color ?? "#ffffff";
  }

  /** @param {Label | string | null} shape */
  select(shape) {
    const id = typeof shape === "string" ? shape : (shape?.label_id ?? null);
    if (id === this.selected) return;
    this.selected = id;
    this.session.select(id);
    const label = this.selection;
    if (label) this.whispered = `${this.classOf(label.class_id)?.name ?? label.kind} selected`;
    this.changed();
  }

  /** @param {"box" | "extreme" | "select"} tool */
  setTool(tool) {
    if (this.readOnly || !this.session.config.shapes) return;
    this.tool = tool;
    if (tool !== "select") this.select(null);
    const names = { box: "Draw boxes", extreme: "Boxes by four extreme clicks", select: "Select" };
    this.say(names[tool]);
  }

  toggleHidden() {
    this.hidden = !this.hidden;
    // What is not seen is not deleted or moved by a key.
    if (this.hidden) this.select(null);
    this.say(this.hidden ? "Shapes hidden" : "Shapes shown");
  }

  /** @param {LabelClass} item */
  toggleClass({ id, name }) {
    if (!this.hiddenClasses.delete(id)) this.hiddenClasses.add(id);
    if (this.hiddenClasses.has(id) && this.selection?.class_id === id) this.select(null);
    this.say(`${name} ${this.hiddenClasses.has(id) ? "hidden" : "shown"}`);
  }

  /** New shapes are seen. @param {number[]} classIds */
  unhide(classIds) {
    this.hidden = false;
    for (const id of classIds) this.hiddenClasses.delete(id);
  }

  // --- labels ---

  /**
   * A new box of the label in hand, unless it is a slip of the hand.
   * @param {Box} box in image pixels
   * @returns {boolean} whether it was made
   */
  createBox(box) {
    const slot = this.slot;
    if (!slot || !this.canDraw || this.classId === null) {
      this.say("No class to draw with: give the widget classes=[…]");
      return false;
    }
    const smallest = this.session.config.smallest_side;
    if (tooSmall(box, smallest)) {
      this.say(`Too small: a side under ${smallest} px of the image is not kept`);
      return false;
    }
    const change = newBox(slot.image, box, this.classId);
    this.unhide([this.classId]);
    this.session.edit([change]);
    const name = this.classOf(this.classId)?.name;
    this.whispered = `${name}: ${Math.round(box.width)} × ${Math.round(box.height)} px`;
    if (this.session.config.select_new) this.select(change.label_id);
    this.changed();
    return true;
  }

  /** @param {Label} shape @param {Partial<Label>} changes */
  update(shape, changes) {
    const before = new Map(Object.entries(shape));
    if (Object.entries(changes).every(([name, value]) => before.get(name) === value)) return;
    this.session.edit([{ op: "update", label_id: shape.label_id, changes }]);
  }

  /**
   * A class for the selection or the next shape; a tag for the image.
   * @param {number} id
   */
  pick(id) {
    const item = this.classOf(id);
    if (!item || this.readOnly) return;
    const group = this.session.config.schema.tags.find((g) => g.choices.includes(item));
    if (group) {
      this.#tag(id, group.multiple);
      return;
    }
    const shape = this.selection;
    if (shape) {
      if (shape.class_id !== id) this.update(shape, { class_id: id });
      this.classId = id;
      this.say(`Selection is ${item.name}`);
      return;
    }
    this.classId = id;
    this.say(`Next shape: ${item.name}`);
  }

  /** @param {number} id @param {boolean} multiple */
  #tag(id, multiple) {
    const slot = this.slot;
    if (!slot) return;
    const tag = slot.labels.find((label) => label.kind === "tag" && label.class_id === id);
    const name = this.classOf(id)?.name;
    /** @type {Change[]} */
    const changes = [];
    const advance =
      !multiple &&
      this.session.config.auto_advance &&
      !this.session.config.shapes &&
      this.session.config.schema.tags.length === 1;
    if (!tag) {
      changes.push({
        op: "create", label_id: uuid(), image: slot.image, kind: "tag", class_id: id,
      });
    } else if (!advance) {
      changes.push({ op: "delete", label_id: tag.label_id });
    }
    this.said = tag && !advance ? `${name} off` : `${name} on`;
    if (!advance) {
      this.session.edit(changes);
      return;
    }
    if (slot.status !== "done") {
      changes.push({ op: "image", image: slot.image, changes: { status: "done" } });
    }
    this.#advance(changes);
  }

  deleteSelection() {
    const shape = this.selection;
    if (!shape || this.readOnly) return;
    this.session.edit([{ op: "delete", label_id: shape.label_id }]);
    this.select(null);
    this.say(`${this.classOf(shape.class_id)?.name ?? "Shape"} deleted`);
  }

  /** @param {number} dx in image pixels @param {number} dy */
  nudge(dx, dy) {
    const shape = this.selection;
    const slot = this.slot;
    if (!shape || !slot || this.readOnly) return;
    const { x, y } = moved(boxOf(shape), dx, dy, slot);
    if (x !== shape.x || y !== shape.y) this.update(shape, { x, y });
  }

  /** @param {number} step 1 or -1 */
  cycle(step) {
    const shapes = this.visibleShapes;
    if (!shapes.length) return;
    const at = shapes.findIndex((shape) => shape.label_id === this.selected);
    // From nothing, forward starts with the shape drawn last, the likeliest to be meant.
    const next = at < 0 ? shapes.length - 1 : (at + step + shapes.length) % shapes.length;
    this.select(shapes[next]);
  }

  /** @param {string} name @param {any} value */
  setAttribute(name, value) {
    const shape = this.selection;
    if (!shape || this.readOnly) return;
    this.update(shape, { attributes: { [name]: value } });
    this.say(`${name}: ${value === null ? "none" : String(value)}`);
  }

  // --- images ---

  /** @param {number} step */
  step(step) {
    const { position, total } = this.session.state.view;
    const to = position + step;
    if (to < 0 || to >= total) {
      this.say(to < 0 ? "This is the first image" : "This is the last image");
      return;
    }
    this.session.move({ op: "goto", position: to });
  }

  /** @param {"done" | "skipped" | "flagged" | "todo"} status @param {boolean} [stay] */
  mark(status, stay = false) {
    const slot = this.slot;
    if (!slot || this.readOnly) return;
    const missing = status === "done" ? this.#missing() : null;
    if (missing) {
      this.select(missing.shape);
      this.say(`${missing.name} of the selected shape is required before the image is done`);
      return;
    }
    this.said = `Image ${slot.position + 1}: ${status === "todo" ? "to do" : status}`;
    /** @type {Change[]} */
    const changes = [];
    if (slot.status !== status) changes.push({ op: "image", image: slot.image, changes: { status } });
    if (stay) this.session.edit(changes);
    else this.#advance(changes);
  }

  /** @param {string | null} note @param {boolean} flag */
  setNote(note, flag) {
    const slot = this.slot;
    if (!slot || this.readOnly) return;
    /** @type {{note: string | null, status?: string}} */
    const changes = { note: note || null };
    if (flag) changes.status = "flagged";
    else if (slot.status === "flagged") changes.status = "todo";
    this.session.edit([{ op: "image", image: slot.image, changes }]);
    this.say(flag ? "Flagged" : "Flag removed");
  }

  toggleUnsure() {
    const slot = this.slot;
    if (!slot || this.readOnly) return;
    const unsure = !slot.unsure;
    this.session.edit([{ op: "image", image: slot.image, changes: { unsure } }]);
    this.say(unsure ? "Marked as unsure" : "No longer unsure");
  }

  /** @param {Change[]} changes one step for undo, together with going to the next image */
  #advance(changes) {
    const { position, total } = this.session.state.view;
    const to = position + 1 < total ? position + 1 : undefined;
    if (changes.length) this.session.edit(changes, to);
    else if (to !== undefined) this.session.move({ op: "goto", position: to });
    if (to === undefined) {
      this.say(this.session.config.handed_out
        ? "No more images are left to hand out now" : "This was the last image");
    }
  }

  #missing() {
    const required = this.session.config.schema.attributes.filter((a) => a.required);
    for (const shape of this.shapes) {
      for (const { name } of required) {
        if (shape.attributes[name] === undefined) return { shape, name };
      }
    }
    return null;
  }

  // --- zoom ---

  /** @param {{width: number, height: number}} size of the stage in CSS pixels */
  resize(size) {
    this.size = size;
    if (this.fitted) this.fit();
  }

  fit() {
    const slot = this.slot;
    this.fitted = true;
    if (slot?.width && this.size.width) this.viewport = fit(slot, this.size);
    this.changed();
  }

  /** @param {Point} [at] in CSS pixels of the stage @param {number} [scale] */
  zoom(at, scale = 1) {
    const slot = this.slot;
    if (!slot?.width) return;
    const smallest = Math.min(fit(slot, this.size).scale, 1) / 4;
    const held = Math.min(Math.max(scale, smallest), LARGEST_ZOOM);
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.viewport = this.#held(zoomAt(this.viewport, at ?? middle, held), slot);
    this.fitted = false;
    this.changed();
  }

  /** @param {number} dx in CSS pixels @param {number} dy */
  pan(dx, dy) {
    const slot = this.slot;
    if (!slot?.width) return;
    const { scale, x, y } = this.viewport;
    this.viewport = this.#held({ scale, x: x + dx, y: y + dy }, slot);
    this.fitted = false;
    this.changed();
  }

  /**
   * The viewport with at least a part of the picture in sight.
   * @param {Viewport} viewport
   * @param {Slot} slot
   */
  #held({ scale, x, y }, slot) {
    const hold = (/** @type {number} */ at, /** @type {number} */ size, /** @type {number} */ room) =>
      Math.min(Math.max(at, Math.min(40, room / 2) - size), room - Math.min(40, room / 2));
    return {
      scale,
      x: hold(x, slot.width * scale, this.size.width),
      y: hold(y, slot.height * scale, this.size.height),
    };
  }
}
