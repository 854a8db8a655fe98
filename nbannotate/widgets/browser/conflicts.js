/**
 * Edits of what someone else has changed meanwhile: both versions to choose from, over the bottom
 * of the picture. Nothing else waits for the choice.
 */
// @ts-check

/** @import {Change, Conflict, Edit, Label, Pending} from "./types.js" */
/** @import {Desk} from "./desk.js" */

import { boxOf } from "./geometry.js";
import { button, h } from "./dom.js";

export class Conflicts {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.element = h("div", { class: "nba-conflict", role: "alert", hidden: true });
    this.shown = "";
  }

  /** The first that is not settled. @returns {(Pending & {conflict: Conflict}) | null} */
  get first() {
    return this.desk.session.queue.conflicts[0] ?? null;
  }

  /** Where the user wanted the shape that is in question, if it is in view. */
  get wantedBox() {
    const entry = this.first;
    if (!entry || entry.message.op !== "edit") return null;
    if (entry.message.image !== this.desk.slot?.image) return null;
    const mine = minesOf(entry.message, entry.conflict);
    return mine && mine.width !== null ? boxOf(/** @type {Label} */ (mine)) : null;
  }

  update() {
    const { first } = this;
    const count = this.desk.session.queue.conflicts.length;
    const key = first ? `${first.client} ${first.seq} ${count}` : "";
    if (key === this.shown) return;
    this.shown = key;
    this.element.hidden = !first;
    if (!first || first.message.op !== "edit") return;
    const { message, conflict } = first;
    const settle = (/** @type {boolean} */ mine) => this.desk.session.settle(first, mine);
    const version = (
      /** @type {string} */ title,
      /** @type {Partial<Label> | null} */ label,
      /** @type {boolean} */ mine,
    ) => h("div", { class: "nba-version" }, [
      h("h4", { text: title }),
      h("p", { text: this.#words(label), dir: "auto" }),
      button({ text: mine ? "Keep mine" : "Keep theirs", label: `Keep the version: ${title}`, press: () => settle(mine) }),
    ]);
    this.element.replaceChildren(
      h("strong", { text: count > 1 ? `Changed by someone else (1 of ${count})` : "Changed by someone else" }),
      h("p", { text: `${message.image}: ${conflict.text}`, dir: "auto" }),
      h("div", { class: "nba-versions" }, [
        version("Theirs", conflict.theirs, false),
        version("Mine", minesOf(message, conflict), true),
      ]),
    );
  }

  /** @param {Partial<Label> | null} label */
  #words(label) {
    if (!label) return "deleted";
    const name = this.desk.classOf(label.class_id ?? null)?.name ?? "";
    const { x, y, width, height } = label;
    const place = x === null || x === undefined
      ? []
      : [`${[x, y].map((v) => Math.round(v ?? 0)).join(", ")} · ${Math.round(width ?? 0)} × ${Math.round(height ?? 0)} px`];
    const attributes = Object.entries(label.attributes ?? {}).map(([key, value]) => `${key}: ${value}`);
    return [name, ...place, ...attributes].filter(Boolean).join(" · ");
  }
}

/**
 * The label as the user wanted it; null: deleted.
 * @param {Edit} message
 * @param {Conflict} conflict
 * @returns {Partial<Label> | null}
 */
function minesOf(message, conflict) {
  const change = message.changes.find(
    (one) => "label_id" in one && one.label_id === conflict.label_id,
  );
  if (!change || change.op === "delete" || change.op === "image") return null;
  if (change.op === "create") return change;
  return wanted(change.seen ?? {}, change.changes);
}

/** @param {Partial<Label>} seen @param {Partial<Label>} changes @returns {Partial<Label>} */
function wanted(seen, changes) {
  return { ...seen, ...changes, attributes: { ...seen.attributes, ...changes.attributes } };
}

/**
 * The edit once more, for the label as it is now: what the user wants to stand.
 * @param {Edit} message
 * @param {Conflict} conflict
 * @returns {Edit}
 */
export function insisted(message, conflict) {
  const changes = message.changes.flatMap(again);
  return { ...message, changes, goto: undefined };

  /** @param {Change} change @returns {Change[]} */
  function again(change) {
    if (change.op !== "update" && change.op !== "delete") return [change];
    if (change.label_id !== conflict.label_id) return [change];
    const { theirs } = conflict;
    if (theirs) return [{ ...change, seen: seenOf(theirs) }];
    if (change.op === "delete") return [];
    const label = wanted(change.seen ?? {}, change.changes);
    return [/** @type {import("./types.js").Create} */ ({
      op: "create", label_id: change.label_id, image: message.image, ...label,
    })];
  }
}

/** What of a label is told to the kernel as seen. @param {Label} label @returns {Partial<Label>} */
export function seenOf({ kind, class_id, x, y, width, height, attributes }) {
  return { kind, class_id, x, y, width, height, attributes };
}
