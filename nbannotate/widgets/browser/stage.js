/**
 * The canvases that ipycanvas paints, one an image of the ring, placed under the shapes.
 *
 * They are siblings of our layer in the same grid cell. Each is found by its class, moved and
 * zoomed by a CSS transform, and shown once the kernel's painting is on it: the painting's number
 * stands as one pixel under the picture, because an ipycanvas has no event for "painted".
 */
// @ts-check

/** @import {Slot} from "./types.js" */
/** @import {Viewport} from "./geometry.js" */
/** @import {Session} from "./session.js" */

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
    /** @type {Map<number, number>} numbers of the paintings seen on each canvas */
    this.painted = new Map();
  }

  /** @param {number} number @returns {HTMLCanvasElement | null} */
  canvas(number) {
    const root = this.layer.closest(".nba-root");
    return root?.querySelector(`:scope > canvas.nba-slot-${number}`) ?? null;
  }

  /**
   * Whether the slot's painting is on its canvas.
   * @param {Slot} slot
   */
  isPainted(slot) {
    const number = this.session.canvasOf(slot);
    if (slot.paint === 0 || slot.error) return false;
    if (this.painted.get(number) === slot.paint) return true;
    const canvas = this.canvas(number);
    const [width, height] = slot.shown;
    if (!canvas || canvas.width !== width || canvas.height !== height + 1) return false;
    this.probeContext.clearRect(0, 0, 1, 1);
    this.probeContext.drawImage(canvas, 0, height, 1, 1, 0, 0, 1, 1);
    const [red, green, blue, alpha] = this.probeContext.getImageData(0, 0, 1, 1).data;
    if (alpha !== 255 || red * 65536 + green * 256 + blue !== slot.paint) return false;
    this.painted.set(number, slot.paint);
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
      const canvas = this.canvas(number);
      if (!canvas) break;
      canvas.tabIndex = -1;
      const visible = number === wanted;
      canvas.style.visibility = visible ? "visible" : "hidden";
      if (!visible || !slot) continue;
      seen = true;
      const zoom = (viewport.scale * slot.width) / slot.shown[0];
      canvas.style.transform =
        `translate(${origin.x + viewport.x}px, ${origin.y + viewport.y}px) scale(${zoom})`;
      // Pixels that are looked at one by one are to be seen as they are.
      canvas.style.imageRendering = zoom * devicePixelRatio >= 4 ? "pixelated" : "auto";
    }
    return seen;
  }
}
