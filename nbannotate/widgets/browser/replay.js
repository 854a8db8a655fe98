/**
 * What the user sees before the kernel has answered: its state with the pending messages applied.
 * Pure; the same rules as `nbannotate/core/changes.py`, tested with the same cases.
 */
// @ts-check

/** @import {Change, Config, Edit, Label, Message, Slot, State} from "./types.js" */

/** @type {Omit<Label, "label_id" | "image" | "kind">} */
const EMPTY_LABEL = { class_id: null, x: null, y: null, width: null, height: null, attributes: {} };

/**
 * The state with the messages applied in order. What undo or redo would reverse in the kernel's
 * own past is left to the kernel.
 * @param {State} state
 * @param {Message[]} messages
 * @param {Config} config
 * @returns {State}
 */
export function replay(state, messages, config) {
  if (!messages.length) return state;
  const draft = { view: { ...state.view }, slots: [...state.slots] };
  for (const edit of standing(messages, draft)) {
    for (const change of edit.changes) apply(draft, change, config);
  }
  return draft;
}

/**
 * The edits that undo and redo leave standing; moves of the view go into the draft.
 * @param {Message[]} messages
 * @param {State} draft
 * @returns {Edit[]}
 */
function standing(messages, draft) {
  const view = draft.view;
  // The first null stands for all that the kernel could reverse before these messages.
  /** @type {(Edit | null)[]} */
  const done = view.can_undo ? [null] : [];
  /** @type {(Edit | null)[]} */
  const undone = view.can_redo ? [null] : [];
  const go = (/** @type {number} */ position) => {
    view.position = Math.max(0, Math.min(position, view.total - 1));
  };
  for (const message of messages) {
    if (message.op === "edit") {
      done.push(message);
      undone.length = 0;
      if (message.goto !== undefined) go(message.goto);
    } else if (message.op === "undo" || message.op === "redo") {
      const [from, to] = message.op === "undo" ? [done, undone] : [undone, done];
      const edit = from.length === 1 && from[0] === null ? null : from.pop();
      if (edit !== undefined) to.push(edit);
      if (edit) go(edit.position);
    } else if (message.op === "goto") {
      go(message.position);
    }
  }
  view.can_undo = done.length > 0;
  view.can_redo = undone.length > 0;
  return done.filter((edit) => edit !== null);
}

/**
 * @param {State} draft
 * @param {Change} change
 * @param {Config} config
 */
function apply(draft, change, config) {
  const place = draft.slots.findIndex((slot) =>
    "image" in change
      ? slot.image === change.image
      : slot.labels.some((label) => label.label_id === change.label_id),
  );
  if (place < 0) return;
  const slot = { ...draft.slots[place] };
  draft.slots[place] = slot;
  if (change.op === "image") {
    const { progress } = draft.view;
    const status = change.changes.status;
    if (status !== undefined && status !== slot.status) {
      draft.view.progress = counted(counted(progress, slot.status, -1), status, 1);
    }
    Object.assign(slot, change.changes);
  } else if (change.op === "create") {
    create(draft, slot, change, config);
  } else if (change.op === "delete") {
    remove(draft, slot, (label) => label.label_id === change.label_id);
  } else {
    slot.labels = slot.labels.map((label) => {
      if (label.label_id !== change.label_id) return label;
      const { attributes, ...rest } = change.changes;
      const updated = { ...label, ...rest };
      if (attributes) updated.attributes = merged(label.attributes, attributes);
      if (updated.class_id !== label.class_id) {
        count(draft, label.class_id, -1);
        count(draft, updated.class_id, 1);
      }
      return updated;
    });
  }
}

/**
 * @param {State} draft
 * @param {Slot} slot
 * @param {Extract<Change, {op: "create"}>} change
 * @param {Config} config
 */
function create(draft, slot, change, config) {
  const { op: _, ...fields } = change;
  /** @type {Label} */
  const label = { ...EMPTY_LABEL, ...fields };
  if (slot.labels.some((other) => other.label_id === label.label_id)) return;
  if (label.kind === "tag") {
    const tags = slot.labels.filter((other) => other.kind === "tag");
    if (tags.some((other) => other.class_id === label.class_id)) return;
    const group = config.schema.tags.find((g) => g.choices.some((c) => c.id === label.class_id));
    if (group && !group.multiple) {
      const rivals = new Set(group.choices.map((choice) => choice.id));
      remove(draft, slot, (other) => other.kind === "tag" && rivals.has(other.class_id ?? -1));
    }
  } else {
    const defaults = config.schema.attributes.map((a) => [a.name, a.default]);
    label.attributes = merged(Object.fromEntries(defaults), label.attributes);
  }
  slot.labels = [...slot.labels, label];
  count(draft, label.class_id, 1);
}

/**
 * @param {State} draft
 * @param {Slot} slot
 * @param {(label: Label) => boolean} which
 */
function remove(draft, slot, which) {
  for (const label of slot.labels.filter(which)) count(draft, label.class_id, -1);
  slot.labels = slot.labels.filter((label) => !which(label));
}

/**
 * @param {State} draft
 * @param {number | null} classId
 * @param {number} step
 */
function count(draft, classId, step) {
  if (classId === null) return;
  const counts = draft.view.counts;
  draft.view.counts = { ...counts, [classId]: Math.max(0, (counts[classId] ?? 0) + step) };
}

/**
 * @param {State["view"]["progress"]} progress
 * @param {string} status
 * @param {number} step
 */
function counted(progress, status, step) {
  if (status !== "done" && status !== "skipped" && status !== "flagged") return progress;
  return { ...progress, [status]: progress[status] + step };
}

/**
 * @param {Record<string, any>} before
 * @param {Record<string, any>} changes
 * @returns {Record<string, any>}
 */
function merged(before, changes) {
  const entries = Object.entries({ ...before, ...changes });
  return Object.fromEntries(entries.filter(([, value]) => value !== null && value !== undefined));
}
