/**
 * The pictures: one element for each image of the ring, loaded before it is asked for, and one for
 * the crisp part of a large image. To go to the next image is to show another element.
 */
// @ts-check

/** @import {Point, Slot} from "./types.js" */
/** @import {Viewport} from "./geometry.js" */
/** @import {Session} from "./session.js" */

import { h } from "./dom.js";
import { toScreen } from "./geometry.js";

/**
 * Up to so many bytes a picture is loaded as a data: URL. Chromium gets a blob: URL from another of
 * its processes, which takes 5 to 10 ms; above, the text of a data: URL takes as long, on this thread.
 */
const SMALL = 256 * 1024;

/**
 * A URL to load a picture by, of whatever kind it is: browsers go by its first bytes.
 * @param {Uint8Array & {toBase64?: () => string}} bytes
 */
function urlOf(bytes) {
  if (bytes.byteLength > SMALL || !bytes.toBase64) {
    return URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytes)]));
  }
  return `data:image/png;base64,${bytes.toBase64()}`;
}

/**
 * Whether the picture can be shown, as soon as that is known.
 * @param {HTMLImageElement} image one whose `src` was just set
 * @returns {Promise<boolean>}
 */
async function loaded(image) {
  await null; // Chromium has loaded a data: URL by then, several ms before it says so
  if (image.complete) return image.naturalWidth > 0;
  return new Promise((settle) => {
    image.onload = () => settle(true);
    image.onerror = () => settle(false);
  });
}

/** One picture on the page, or on its way there. */
class Picture {
  /** @param {string} name of its class */
  constructor(name) {
    this.name = name;
    /** @type {Uint8Array | null} what is shown, or about to be */
    this.bytes = null;
    this.element = this.#image();
    this.isThere = false;
    this.isBroken = false;
  }

  #image() {
    const image = new Image();
    image.className = `nba-picture ${this.name}`;
    image.alt = "";
    image.draggable = false;
    // No frame without it: the browser would else show nothing while it decodes.
    image.decoding = "sync";
    return image;
  }

  /**
   * Take another picture; the one before stays until this one is there.
   * @param {Uint8Array | null} bytes
   * @param {() => void} done called when it is there, or cannot be decoded
   */
  async take(bytes, done) {
    this.bytes = bytes;
    this.isThere = this.isBroken = false;
    if (!bytes) return;
    const next = this.#image();
    const url = urlOf(bytes);
    next.src = url;
    const came = await loaded(next);
    if (url.startsWith("blob:")) URL.revokeObjectURL(url);
    if (bytes !== this.bytes) return;
    if (came) {
      this.element.replaceWith(next);
      this.element = next;
    }
    this.isThere = came;
    this.isBroken = !came;
    done();
    // Ahead of time; the next frame decodes the one that is shown.
    if (came && !this.isVisible) next.decode().catch(() => {});
  }

  get isVisible() {
    return this.element.style.visibility === "visible";
  }

  /** @param {boolean} visible */
  put(visible) {
    const wanted = visible ? "visible" : "hidden";
    if (this.element.style.visibility !== wanted) this.element.style.visibility = wanted;
  }

  /** @returns {[number, number]} width and height in its own pixels */
  get size() {
    return [this.element.naturalWidth, this.element.naturalHeight];
  }
}

export class Stages {
  /**
   * @param {Session} session
   * @param {() => void} changed called when a picture has come, or has proved to be broken
   */
  constructor(session, changed) {
    this.session = session;
    this.changed = changed;
    this.element = h("div", { class: "nba-pictures" });
    /** @type {Map<number, Picture>} by the number of the slot */
    this.pictures = new Map();
    this.crisp = new Picture("nba-crisp");
    this.element.append(this.crisp.element);
    /** @type {import("./types.js").CrispPart | null} what the crisp picture shows */
    this.part = null;
  }

  /** Have every picture of the ring loaded. */
  follow() {
    for (const [number, bytes] of this.session.pictures) {
      let picture = this.pictures.get(number);
      if (!picture) {
        picture = new Picture("nba-slot");
        this.pictures.set(number, picture);
        this.crisp.element.before(picture.element);
      }
      if (bytes !== picture.bytes) picture.take(bytes, this.changed);
    }
    const { crisp } = this.session;
    const bytes = crisp?.bytes ?? null;
    if (bytes !== this.crisp.bytes) {
      this.crisp.take(bytes, () => {
        this.part = this.crisp.isThere ? this.session.crisp : null;
        this.changed();
      });
    } else if (this.crisp.isThere) {
      this.part = crisp; // another part that looks the same
    }
  }

  /** @param {Slot} slot @returns {Picture | null} the slot's, perhaps not there yet */
  #picture(slot) {
    return this.pictures.get(this.session.numberOf(slot)) ?? null;
  }

  /** Whether the picture is being loaded. @param {Slot} slot */
  isComing(slot) {
    const picture = slot.paint && !slot.error ? this.#picture(slot) : null;
    return picture?.bytes && !picture.isThere && !picture.isBroken;
  }

  /** Whether the browser has found that it cannot decode the picture. @param {Slot} slot */
  isBroken(slot) {
    return !slot.error && (this.#picture(slot)?.isBroken ?? false);
  }

  /**
   * Show one slot's picture and hide the others.
   * @param {Slot | null} slot
   * @param {Viewport} viewport
   * @returns {boolean} whether the picture is to be seen
   */
  show(slot, viewport) {
    const picture = slot && slot.paint && !slot.error ? this.#picture(slot) : null;
    const wanted = picture?.isThere ? picture : null;
    for (const other of this.pictures.values()) other.put(other === wanted);
    if (wanted && slot) {
      place(wanted.element, wanted.size, viewport, viewport.scale, [slot.width, slot.height]);
    }
    this.#showCrisp(wanted ? slot : null, viewport);
    this.#showOverlay(wanted ? slot : null, viewport);
    return wanted !== null;
  }

  /**
   * The crisp rendering of a part, over the picture.
   * @param {Slot | null} slot
   * @param {Viewport} viewport
   */
  #showCrisp(slot, viewport) {
    const part = this.part;
    // Where the picture is shown coarser than it was sent, it is crisp itself.
    const helps = slot !== null
      && part !== null
      && part.image === slot.image
      && viewport.scale * devicePixelRatio * slot.width > slot.shown[0];
    this.crisp.put(helps);
    if (!helps) return;
    const [x, y, width, height] = part.box;
    const at = toScreen(viewport, { x, y });
    place(this.crisp.element, this.crisp.size, at, viewport.scale, [width, height]);
  }

  /**
   * What the kernel has painted over the picture, on an ipycanvas beside our layer.
   * @param {Slot | null} slot
   * @param {Viewport} viewport
   */
  #showOverlay(slot, viewport) {
    const { overlay } = this.session;
    if (!overlay) return;
    const root = this.element.closest(".nba-root");
    const canvas = root?.querySelector(":scope > canvas.nba-overlay");
    const stage = this.element.parentElement;
    if (!(root && stage && canvas instanceof HTMLCanvasElement)) return;
    // Of the image before, until the kernel has come to this one.
    const visible = slot !== null && slot.image === overlay;
    canvas.style.visibility = visible ? "visible" : "hidden";
    if (!visible) return;
    const [to, from] = [stage.getBoundingClientRect(), root.getBoundingClientRect()];
    const left = to.left - from.left - root.clientLeft;
    const top = to.top - from.top - root.clientTop;
    const at = { x: left + viewport.x, y: top + viewport.y };
    const size = /** @type {[number, number]} */ ([canvas.width, canvas.height]);
    place(canvas, size, at, viewport.scale, [slot.width, slot.height]);
    // To the stage: what is beside it is not covered.
    const [x, y] = [slot.width / canvas.width, slot.height / canvas.height].map(
      (pixels) => 1 / (viewport.scale * pixels),
    );
    const sides = [
      -viewport.y * y,
      canvas.width - (to.width - viewport.x) * x,
      canvas.height - (to.height - viewport.y) * y,
      -viewport.x * x,
    ];
    canvas.style.clipPath = `inset(${sides.map((side) => `${Math.max(0, side)}px`).join(" ")})`;
  }
}

/**
 * @param {HTMLElement} element
 * @param {[number, number]} own its size in its own pixels
 * @param {Point} at its corner, in CSS pixels
 * @param {number} scale CSS pixels a pixel of the image
 * @param {[number, number]} size of what it shows, in image pixels
 */
function place({ style }, own, at, scale, size) {
  // It may have fewer pixels than the image, each side rounded by itself.
  const [x, y] = size.map((side, axis) => (scale * side) / own[axis]);
  style.transform = `translate(${at.x}px, ${at.y}px) scale(${x}, ${y})`;
  // Pixels that are looked at one by one are to be seen as they are.
  style.imageRendering = x * devicePixelRatio >= 4 ? "pixelated" : "auto";
}
