/** Copies of shapes: copy and paste, also onto another image; duplicate; those of the image before. */
// @ts-check

/** @import {Desk} from "./desk.js" */
/** @import {Label} from "./types.js" */

import { boxBetween, boxOf, moved } from "./geometry.js";
import { newBox, shapesOf } from "./shapes.js";

/** How far beside the original a copy on the same image is put, in CSS pixels. */
const BESIDE = 12;

/** What was copied; shared by all widgets of the page. @type {Label[]} */
let copied = [];

/** Copy the selection, or all shapes of the image. @param {Desk} desk */
export function copy(desk) {
  const shapes = desk.selection ? [desk.selection] : desk.shapes;
  if (!shapes.length) {
    desk.say("Nothing to copy");
    return;
  }
  copied = shapes;
  desk.say(copied.length === 1 ? "1 shape copied" : `${copied.length} shapes copied`);
}

/** @param {Desk} desk */
export function paste(desk) {
  const slot = desk.slot;
  if (!slot || !copied.length || !desk.canDraw) return;
  add(desk, copied, copied[0].image === slot.image ? BESIDE / desk.viewport.scale : 0);
}

/** Copy the selection beside itself. @param {Desk} desk */
export function duplicate(desk) {
  if (desk.selection && desk.canDraw) add(desk, [desk.selection], BESIDE / desk.viewport.scale);
}

/** The shapes of the image before this one, onto this one if nobody has touched it.
 * @param {Desk} desk */
export function copyPrevious(desk) {
  const slot = desk.slot;
  if (!slot || !desk.canDraw) return;
  const { slots } = desk.session.state;
  const previous = slots.find((other) => other.position === slot.position - 1);
  const shapes = shapesOf(previous?.labels ?? []);
  if (slot.status !== "todo" || slot.labels.length) {
    desk.say("Not copied: this image has been worked on");
  } else if (!shapes.length) {
    desk.say("The image before has no shapes");
  } else {
    add(desk, shapes, 0);
  }
}

/** @param {Desk} desk @param {Label[]} shapes @param {number} shift in image pixels */
function add(desk, shapes, shift) {
  const slot = desk.slot;
  if (!slot) return;
  const known = shapes.filter((shape) => desk.classes.has(shape.class_id ?? -1));
  const changes = known.map((shape) => {
    const { x, y, width, height } = moved(boxOf(shape), shift, shift, slot);
    const box = boxBetween({ x, y }, { x: x + width, y: y + height }, slot);
    const change = newBox(slot.image, box, shape.class_id ?? 0);
    return { ...change, attributes: { ...shape.attributes } };
  });
  desk.unhide(changes.map((change) => change.class_id));
  desk.session.edit(changes);
  if (changes.length === 1) desk.select(changes[0].label_id);
  desk.say(changes.length === 1 ? "1 shape added" : `${changes.length} shapes added`);
}
