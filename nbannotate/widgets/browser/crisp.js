/**
 * Asks the kernel for a crisp rendering of what is in sight, where the picture was too large to be
 * sent whole. Until it comes, the coarse one is shown in its place.
 *
 * to the kernel:   {type: "look", image, box: [x, y, width, height], size: [width, height]}
 * from the kernel: traits `crisp` and `crisp_picture`, in one message
 */
// @ts-check

/** @import {Desk} from "./desk.js" */

import { toImage } from "./geometry.js";

/** How long the view must rest, in ms: what passes by need not be crisp. */
const REST = 120;

export class Crisp {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.asked = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** Ask, once the view rests, if what is in sight could be sharper. */
  follow() {
    const wanted = this.#wanted();
    const text = JSON.stringify(wanted);
    if (text === this.asked) return;
    this.asked = text;
    clearTimeout(this.timer);
    if (!wanted) return;
    this.timer = setTimeout(() => {
      this.desk.session.send({ type: "look", ...wanted });
    }, REST);
  }

  close() {
    clearTimeout(this.timer);
  }

  #wanted() {
    const { slot, viewport, size } = this.desk;
    if (!slot || slot.error || !slot.paint || slot.shown[0] >= slot.width) return null;
    const density = viewport.scale * devicePixelRatio; // screen pixels a pixel of the image
    if (density * slot.width <= slot.shown[0]) return null;
    const from = toImage(viewport, { x: 0, y: 0 });
    const to = toImage(viewport, { x: size.width, y: size.height });
    const left = Math.max(0, Math.floor(from.x));
    const top = Math.max(0, Math.floor(from.y));
    const width = Math.min(slot.width, Math.ceil(to.x)) - left;
    const height = Math.min(slot.height, Math.ceil(to.y)) - top;
    if (width < 1 || height < 1) return null;
    const scale = Math.min(1, density);
    return {
      image: slot.image,
      box: [left, top, width, height],
      size: [width, height].map((side) => Math.max(1, Math.round(side * scale))),
    };
  }
}
