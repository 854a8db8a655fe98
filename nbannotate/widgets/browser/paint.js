/** Draws shapes on a 2D canvas: outlines of 2 px with a dark casing, names, handles, crosshair. */
// @ts-check

/** @import {Box, Label, LabelClass, Point} from "./types.js" */
/** @import {Viewport} from "./geometry.js" */

import { boxOf, HANDLES, toScreen } from "./geometry.js";

const CASING = "rgba(0, 0, 0, 0.65)";
const HANDLE_SIZE = 8;
/** Beyond these many, drawing fills or names would cost a frame, and nobody could read them. */
const MANY = 500;
const NAMED = 250;
/** Dash patterns beside colours, so that colour is never the only difference. */
const DASHES = [[], [8, 3], [3, 3], [8, 3, 2, 3], [12, 4], [1, 3], [6, 2, 2, 2, 2, 2]];
const FONT = "600 12px system-ui, sans-serif";

/**
 * The pattern of a class by its place in the scheme.
 * @param {number} place
 */
export function dashOf(place) {
  return DASHES[Math.floor(place / 7) % DASHES.length];
}

/** A canvas as large as the stage, sharp at any device-pixel ratio. */
export class Sheet {
  /** @param {string} name of its class */
  constructor(name) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = `nba-sheet ${name}`;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.width = 0;
    this.height = 0;
    this.isBlank = true;
  }

  /** @param {number} width in CSS pixels @param {number} height */
  resize(width, height) {
    const ratio = devicePixelRatio;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.isBlank = true;
    }
    this.width = width;
    this.height = height;
  }

  /** Take away all that is drawn; one that is blank is not touched, for that would cost a copy. */
  clear() {
    if (this.isBlank) return;
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.isBlank = true;
  }

  /** @returns {CanvasRenderingContext2D} blank, its unit one CSS pixel, about to be drawn on */
  begin() {
    this.clear();
    this.isBlank = false;
    const context = this.context;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    return context;
  }
}

/**
 * @param {Box} box in image pixels
 * @param {Viewport} viewport
 */
function onScreen(box, viewport) {
  const { x, y } = toScreen(viewport, box);
  return { x, y, width: box.width * viewport.scale, height: box.height * viewport.scale };
}

/**
 * All shapes, by class, each class in one stroke.
 * @param {Sheet} sheet
 * @param {Label[]} shapes
 * @param {Viewport} viewport
 * @param {Map<number, {item: LabelClass, dash: number[]}>} classes
 */
export function paintShapes(sheet, shapes, viewport, classes) {
  if (!shapes.length) {
    sheet.clear();
    return;
  }
  const context = sheet.begin();
  /** @type {Map<number, {x: number, y: number, width: number, height: number}[]>} */
  const byClass = new Map();
  let inView = 0;
  for (const shape of shapes) {
    const box = onScreen(boxOf(shape), viewport);
    if (box.x > sheet.width || box.y > sheet.height) continue;
    if (box.x + box.width < 0 || box.y + box.height < 0) continue;
    const id = shape.class_id ?? 0;
    const list = byClass.get(id);
    if (list) list.push(box);
    else byClass.set(id, [box]);
    inView += 1;
  }
  const many = inView > MANY;
  for (const [id, boxes] of byClass) {
    const { item, dash } = classes.get(id) ?? { item: null, dash: [] };
    const path = new Path2D();
    for (const box of boxes) path.rect(box.x, box.y, box.width, box.height);
    const color = item?.color ?? "#ffffff";
    if (!many) {
      context.fillStyle = `${color}1a`;
      for (const box of boxes) context.fillRect(box.x, box.y, box.width, box.height);
      context.strokeStyle = CASING;
      context.lineWidth = 4;
      context.setLineDash([]);
      context.stroke(path);
      context.setLineDash(dash);
    }
    context.strokeStyle = color;
    context.lineWidth = many ? 1 : 2;
    context.stroke(path);
  }
  context.setLineDash([]);
  if (inView <= NAMED) {
    for (const [id, boxes] of byClass) {
      const item = classes.get(id)?.item;
      if (item) for (const box of boxes) nameAt(context, item.name, item.color, box, sheet);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} name
 * @param {string} color
 * @param {Box} box on the screen
 * @param {{width: number, height: number}} sheet
 */
function nameAt(context, name, color, box, sheet) {
  if (box.width < 14 || box.height < 8) return;
  context.font = FONT;
  const width = Math.min(context.measureText(name).width + 8, Math.max(60, box.width + 4));
  // Above the box where there is room, else inside its top edge.
  const above = box.y >= 18;
  const x = Math.max(0, Math.min(box.x - 1, sheet.width - width));
  const y = Math.max(0, above ? box.y - 17 : box.y + 1);
  context.save();
  context.beginPath();
  context.rect(x, y, width, 16);
  context.clip();
  context.fillStyle = color;
  context.fillRect(x, y, width, 16);
  context.fillStyle = readableOn(color);
  context.textBaseline = "middle";
  context.fillText(name, x + 4, y + 8.5);
  context.restore();
}

/**
 * The name of a shape in the hand.
 * @param {CanvasRenderingContext2D} context
 * @param {string} name
 * @param {string} color
 * @param {Box} box in image pixels
 * @param {Viewport} viewport
 * @param {{width: number, height: number}} sheet
 */
export function paintName(context, name, color, box, viewport, sheet) {
  nameAt(context, name, color, onScreen(box, viewport), sheet);
}

/**
 * Black or white, whichever is easier to read on the colour (WCAG 2.2 relative luminance).
 * @param {string} color as #rrggbb
 */
export function readableOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/**
 * One shape in the hand: selected, hovered or being drawn.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box in image pixels
 * @param {Viewport} viewport
 * @param {{color: string, handles?: boolean, wide?: boolean}} look
 */
export function paintBox(context, box, viewport, { color, handles = false, wide = false }) {
  const { x, y, width, height } = onScreen(box, viewport);
  context.fillStyle = `${color}1a`;
  context.fillRect(x, y, width, height);
  context.strokeStyle = CASING;
  context.lineWidth = wide ? 6 : 4;
  context.strokeRect(x, y, width, height);
  context.strokeStyle = color;
  context.lineWidth = wide ? 3 : 2;
  context.strokeRect(x, y, width, height);
  if (!handles) return;
  context.lineWidth = 1.5;
  context.strokeStyle = "#000000";
  context.fillStyle = "#ffffff";
  for (const handle of HANDLES) {
    const left = x + handle.x * width - HANDLE_SIZE / 2;
    const top = y + handle.y * height - HANDLE_SIZE / 2;
    context.fillRect(left, top, HANDLE_SIZE, HANDLE_SIZE);
    context.strokeRect(left, top, HANDLE_SIZE, HANDLE_SIZE);
  }
}

/**
 * Size in image pixels beside a box being drawn.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {Viewport} viewport
 * @param {{width: number, height: number}} sheet
 */
export function paintSize(context, box, viewport, sheet) {
  const { x, y, width, height } = onScreen(box, viewport);
  const text = `${Math.round(box.width)} × ${Math.round(box.height)}`;
  context.font = FONT;
  const wide = context.measureText(text).width + 8;
  const left = Math.max(0, Math.min(x + width - wide, sheet.width - wide));
  const top = Math.max(0, Math.min(y + height + 5, sheet.height - 17));
  context.fillStyle = CASING;
  context.fillRect(left, top, wide, 16);
  context.fillStyle = "#ffffff";
  context.textBaseline = "middle";
  context.fillText(text, left + 4, top + 8.5);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Point} at on the screen
 * @param {{width: number, height: number}} sheet
 * @param {string} color
 */
export function paintCrosshair(context, at, sheet, color) {
  const path = new Path2D();
  const [x, y] = [Math.round(at.x) + 0.5, Math.round(at.y) + 0.5];
  path.moveTo(x, 0);
  path.lineTo(x, sheet.height);
  path.moveTo(0, y);
  path.lineTo(sheet.width, y);
  context.strokeStyle = CASING;
  context.lineWidth = 3;
  context.stroke(path);
  context.strokeStyle = color;
  context.lineWidth = 1;
  context.stroke(path);
}

/**
 * The points of an extreme-click box so far.
 * @param {CanvasRenderingContext2D} context
 * @param {Point[]} points in image pixels
 * @param {Viewport} viewport
 * @param {string} color
 */
export function paintPoints(context, points, viewport, color) {
  for (const point of points) {
    const { x, y } = toScreen(viewport, point);
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
    context.strokeStyle = "#000000";
    context.lineWidth = 1.5;
    context.stroke();
  }
}
