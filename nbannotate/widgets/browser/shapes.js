/** Which labels are shapes, and the change that makes one. */
// @ts-check

/** @import {Box, Change, Label} from "./types.js" */

import { uuid } from "./ids.js";

const KINDS = new Set(["box"]);

/** The labels that are drawn. @param {Label[]} labels */
export function shapesOf(labels) {
  return labels.filter((label) => KINDS.has(label.kind));
}

/**
 * @param {string} image
 * @param {Box} box in image pixels
 * @param {number} classId
 * @returns {Extract<Change, {op: "create"}>}
 */
export function newBox(image, { x, y, width, height }, classId) {
  const place = { x, y, width, height };
  return { op: "create", label_id: uuid(), image, kind: "box", class_id: classId, ...place };
}
