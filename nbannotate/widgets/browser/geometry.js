/**
 * Boxes, the way between image and screen, and which shape a pointer means. Pure functions.
 * `tests/browser/geometry_cases.json` holds the cases that this and Python are tested with.
 */
// @ts-check

/** @import {Box, Label, Point} from "./types.js" */

/** @typedef {{scale: number, x: number, y: number}} Viewport  screen = image * scale + (x, y) */

/**
 * @param {Viewport} viewport
 * @param {Point} screen in CSS pixels of the stage
 * @returns {Point} in image pixels
 */
export function toImage(viewport, screen) {
  return {
    x: (screen.x - viewport.x) / viewport.scale,
    y: (screen.y - viewport.y) / viewport.scale,
  };
}

/**
 * @param {Viewport} viewport
 * @param {Point} image in image pixels
 * @returns {Point} in CSS pixels of the stage
 */
export function toScreen(viewport, image) {
  return { x: image.x * viewport.scale + viewport.x, y: image.y * viewport.scale + viewport.y };
}

/**
 * The viewport that shows a whole picture in the middle of the stage; small ones up to 8 times.
 * @param {{width: number, height: number}} picture
 * @param {{width: number, height: number}} stage
 * @param {number} [margin]
 * @returns {Viewport}
 */
export function fit(picture, stage, margin = 8) {
  const scale = Math.max(
    1e-3,
    Math.min(
      8,
      (stage.width - 2 * margin) / picture.width,
      (stage.height - 2 * margin) / picture.height,
    ),
  );
  return {
    scale,
    x: (stage.width - picture.width * scale) / 2,
    y: (stage.height - picture.height * scale) / 2,
  };
}

/**
 * The viewport at another scale, with one point of the screen held still.
 * @param {Viewport} viewport
 * @param {Point} at
 * @param {number} scale
 * @returns {Viewport}
 */
export function zoomAt(viewport, at, scale) {
  const point = toImage(viewport, at);
  return { scale, x: at.x - point.x * scale, y: at.y - point.y * scale };
}

/**
 * The box between two corners, cut at the edges of the picture.
 * @param {Point} a
 * @param {Point} b
 * @param {{width: number, height: number}} picture
 * @returns {Box}
 */
export function boxBetween(a, b, picture) {
  const clampX = (/** @type {number} */ v) => Math.min(Math.max(v, 0), picture.width);
  const clampY = (/** @type {number} */ v) => Math.min(Math.max(v, 0), picture.height);
  const [x1, x2] = [clampX(Math.min(a.x, b.x)), clampX(Math.max(a.x, b.x))];
  const [y1, y2] = [clampY(Math.min(a.y, b.y)), clampY(Math.max(a.y, b.y))];
  return { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
}

/**
 * Whether a box is a slip of the hand.
 * @param {{width: number, height: number}} box
 * @param {number} smallest side that is kept, in image pixels
 */
export function tooSmall(box, smallest) {
  return box.width < smallest || box.height < smallest;
}

/**
 * The box moved, and held within the picture without changing its size.
 * @param {Box} box
 * @param {number} dx
 * @param {number} dy
 * @param {{width: number, height: number}} picture
 * @returns {Box}
 */
export function moved(box, dx, dy, picture) {
  const x = Math.min(Math.max(box.x + dx, 0), Math.max(0, picture.width - box.width));
  const y = Math.min(Math.max(box.y + dy, 0), Math.max(0, picture.height - box.height));
  return { ...box, x, y };
}

/** The 8 handles, as fractions of a box's width and height. */
export const HANDLES = [
  { x: 0, y: 0, cursor: "nwse-resize" },
  { x: 0.5, y: 0, cursor: "ns-resize" },
  { x: 1, y: 0, cursor: "nesw-resize" },
  { x: 1, y: 0.5, cursor: "ew-resize" },
  { x: 1, y: 1, cursor: "nwse-resize" },
  { x: 0.5, y: 1, cursor: "ns-resize" },
  { x: 0, y: 1, cursor: "nesw-resize" },
  { x: 0, y: 0.5, cursor: "ew-resize" },
];

/**
 * The box with one handle dragged to a point; dragging across the other side turns it over.
 * @param {Box} box
 * @param {{x: number, y: number}} handle
 * @param {Point} to in image pixels
 * @param {{width: number, height: number}} picture
 * @returns {Box}
 */
export function resized(box, handle, to, picture) {
  const [left, right] = [box.x, box.x + box.width];
  const [top, bottom] = [box.y, box.y + box.height];
  const a = { x: handle.x === 0 ? right : left, y: handle.y === 0 ? bottom : top };
  const b = {
    x: handle.x === 0.5 ? right : to.x,
    y: handle.y === 0.5 ? bottom : to.y,
  };
  return boxBetween(a, b, picture);
}

/**
 * Which handle of the box lies under a point of the screen.
 * @param {Box} box
 * @param {Viewport} viewport
 * @param {Point} at in CSS pixels of the stage
 * @param {number} reach in CSS pixels
 * @returns {number} place in HANDLES; -1 for none
 */
export function handleAt(box, viewport, at, reach) {
  let best = -1;
  let nearest = Infinity;
  HANDLES.forEach((handle, place) => {
    const spot = toScreen(viewport, {
      x: box.x + handle.x * box.width,
      y: box.y + handle.y * box.height,
    });
    const distance = Math.max(Math.abs(spot.x - at.x), Math.abs(spot.y - at.y));
    if (distance <= reach && distance < nearest) {
      best = place;
      nearest = distance;
    }
  });
  return best;
}

/**
 * The shape that a point means: one whose edge is near, else one it is in; of several the
 * smallest, so that a small box inside a big one can be picked.
 * @param {Label[]} shapes
 * @param {Viewport} viewport
 * @param {Point} at in CSS pixels of the stage
 * @param {number} reach in CSS pixels
 * @returns {Label | null}
 */
export function shapeAt(shapes, viewport, at, reach) {
  const point = toImage(viewport, at);
  const near = reach / viewport.scale;
  /** @type {Label | null} */
  let best = null;
  let bestRank = 2;
  let bestArea = Infinity;
  for (const shape of shapes) {
    const { x, y, width, height } = boxOf(shape);
    const dx = Math.max(x - point.x, point.x - x - width);
    const dy = Math.max(y - point.y, point.y - y - height);
    const outside = Math.max(dx, dy);
    if (outside > near) continue;
    const rank = Math.abs(outside) <= near ? 0 : 1;
    const area = width * height;
    if (rank < bestRank || (rank === bestRank && area < bestArea)) {
      best = shape;
      bestRank = rank;
      bestArea = area;
    }
  }
  return best;
}

/**
 * The bounding box of a label that has a place.
 * @param {Label} label
 * @returns {Box}
 */
export function boxOf(label) {
  return {
    x: label.x ?? 0,
    y: label.y ?? 0,
    width: label.width ?? 0,
    height: label.height ?? 0,
  };
}

/**
 * The tightest box around points.
 * @param {Point[]} points
 * @param {{width: number, height: number}} picture
 */
export function boxAround(points, picture) {
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  return boxBetween(
    { x: Math.min(...xs), y: Math.min(...ys) },
    { x: Math.max(...xs), y: Math.max(...ys) },
    picture,
  );
}
