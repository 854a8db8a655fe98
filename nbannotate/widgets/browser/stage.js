/**
 * The canvases that ipycanvas paints, one an image of the ring, placed under the shapes.
 *
 * They are siblings of our layer in the same grid cell. Each is found by its class, moved and
 * zoomed by a CSS transform, and shown once the kernel's painting is on it: the painting's number
 * stands as one pixel under the picture, because an ipycanvas has no event for "painted".
 */
// @ts-check

/** @import {Point, Slot} from "./types.js" */
/** @import {Viewport} from "./geometry.js" */
/** @import {Session} from "./session.js" */

import { toScreen } from "./geometry.js";

export class Stages {
  /**
   * @param {HTMLElement} layer our layer, whose siblings the canvases are
   * @param {Session} session
   */
  constructor(layer, session) {
    this.layer = layer;
    this.session = session;
    this.probe = document.createElement("canvas");
    this.probe.width = this.probe.height = 1;
    this.probeContext = /** @type {CanvasRenderingContext2D} */ (
      this.probe.getContext("2d", { willReadFrequently: true })
    );
    /** @type {WeakMap<HTMLCanvasElement, number>} numbers of the paintings seen on each canvas */
    this.painted = new WeakMap();
    /** @type {import("./types.js").CrispPart | null} the crisp rendering that is shown */
    this.part = null;
  }

  /** @param {string} name of its class @returns {HTMLCanvasElement | null} */
  canvas(name) {
    const root = this.layer.closest(".nba-root");
    return root?.querySelector(`:scope > canvas.${name}`) ?? null;
  }

  /**
   * Whether the slot's painting is on its canvas.
   * @param {Slot} slot
   */
  isPainted(slot) {
    const canvas = this.canvas(`nba-slot-${this.session.canvasOf(slot)}`);
    return !slot.error && canvas !== null && this.#bears(canvas, slot);
  }

  /** @param {HTMLCanvasElement} canvas @param {{shown: [number, number], paint: number}} wanted */
  #bears(canvas, { shown: [width, height], paint }) {
    if (paint === 0) return false;
    if (this.painted.get(canvas) === paint) return true;
    if (canvas.width !== width || canvas.height !== height + 1) return false;
    this.probeContext.clearRect(0, 0, 1, 1);
    this.probeContext.drawImage(canvas, 0, height, 1, 1, 0, 0, 1, 1);
    const [red, green, blue, alpha] = this.probeContext.getImageData(0, 0, 1, 1).data;
    if (alpha !== 255 || red * 65536 + green * 256 + blue !== paint) return false;
    this.painted.set(canvas, paint);
    return true;
  }

  /**
   * Show one slot's canvas and hide the others.
   * @param {Slot | null} slot
   * @param {Viewport} viewport
   * @param {{x: number, y: number}} origin place of the stage in the grid cell, in CSS pixels
   * @returns {boolean} whether the picture is to be seen
   */
  show(slot, viewport, origin) {
    const wanted = slot && this.isPainted(slot) ? this.session.canvasOf(slot) : -1;
    let seen = false;
    for (let number = 0; ; number += 1) {
      const canvas = this.canvas(`nba-slot-${number}`);
      if (!canvas) break;
      const visible = number === wanted;
      put(canvas, visible);
      if (!visible || !slot) continue;
      seen = true;
      const at = { x: origin.x + viewport.x, y: origin.y + viewport.y };
      place(canvas, at, viewport.scale, [slot.width, slot.height], slot.shown);
    }
    this.#showCrisp(seen ? slot : null, viewport, origin);
    return seen;
  }

  /**
   * The crisp rendering of a part, over the picture.
   * @param {Slot | null} slot
   * @param {Viewport} viewport
   * @param {Point} origin
   */
  #showCrisp(slot, viewport, origin) {
    // The last one stays until the next, on the other canvas, is painted.
    if (this.session.crisp && !this.awaitsCrisp) this.part = this.session.crisp;
    const part = this.part;
    // Where the picture is shown coarser than it was sent, it is crisp itself.
    const helps = slot !== null
      && part !== null
      && part.image === slot.image
      && viewport.scale * devicePixelRatio * slot.width > slot.shown[0];
    for (const number of [0, 1]) {
      const canvas = this.canvas(`nba-crisp-${number}`);
      if (!canvas) return;
      const visible = helps && part.canvas === number;
      put(canvas, visible);
      if (!visible) continue;
      const [x, y, width, height] = part.box;
      const corner = toScreen(viewport, { x, y });
      const at = { x: origin.x + corner.x, y: origin.y + corner.y };
      place(canvas, at, viewport.scale, [width, height], part.shown);
    }
  }

  /** Whether a crisp rendering has been told of that is not painted yet. */
  get awaitsCrisp() {
    const { crisp } = this.session;
    const canvas = crisp && this.canvas(`nba-crisp-${crisp.canvas}`);
    return canvas !== null && crisp !== null && !this.#bears(canvas, crisp);
  }
}

/** @param {HTMLCanvasElement} canvas @param {boolean} visible */
function put(canvas, visible) {
  canvas.tabIndex = -1;
  canvas.style.visibility = visible ? "visible" : "hidden";
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Point} at its corner, in CSS pixels of the root
 * @param {number} scale CSS pixels a pixel of the image
 * @param {[number, number]} size of what is painted, in image pixels
 * @param {[number, number]} shown its size in pixels of the painting, each side rounded by itself
 */
function place(canvas, at, scale, size, shown) {
  const [x, y] = size.map((side, axis) => (scale * side) / shown[axis]);
  canvas.style.transform = `translate(${at.x}px, ${at.y}px) scale(${x}, ${y})`;
  // Pixels that are looked at one by one are to be seen as they are.
  canvas.style.imageRendering = x * devicePixelRatio >= 4 ? "pixelated" : "auto";
}
