/**
 * One widget's life in the browser: what the kernel says, plus what is on its way there.
 * Owns the queue; views read `state` and send messages; nobody else talks to the model.
 */
// @ts-check

/** @import {Config, Conflict, Change, Message, Move, Pending, Slot, State} from "./types.js" */

import { Clock } from "./clock.js";
import { insisted, seenOf } from "./conflicts.js";
import { Queue } from "./queue.js";
import { replay } from "./replay.js";

/**
 * @typedef {object} Model  what we use of a widget's model
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {(name: string, callback: () => void) => void} on
 * @property {(name: string, callback: () => void) => void} off
 * @property {(content: any) => void} send
 */

/** Most stages that a ring can have; `nbannotate/widgets/layer.py` has the same number. */
export const SLOTS = 12;
const CHANGING = new Set(["edit", "undo", "redo"]);
const TRAITS = [
  "config",
  "view",
  "acked",
  "resend",
  "conflicts",
  "overlay",
  "crisp",
  "crisp_picture",
  ...Array.from({ length: SLOTS }, (_, i) => `slot_${i}`),
  ...Array.from({ length: SLOTS }, (_, i) => `picture_${i}`),
];

export class Session {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.clock = new Clock();
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    /** @type {State | null} */
    this.shown = null;
    /** @type {Map<number, Uint8Array | null>} the pictures, not decoded, by the number of their slot */
    this.pictures = new Map();
    /** @type {import("./types.js").CrispPart | null} the part that the kernel has rendered crisply */
    this.crisp = null;
    /** Whether the kernel that has this widget is gone, restarted perhaps. */
    this.ended = false;
    this.queue = new Queue({
      storeId: this.config.store_id,
      send: (client, messages, again) =>
        this.send({ type: "messages", client, messages, again }),
    });
    this.scheduled = false;
    this.resends = model.get("resend");
    this.onChange = () => {
      // One update sets several traits; views are told once all of them are in.
      if (this.scheduled) return;
      this.scheduled = true;
      queueMicrotask(() => {
        this.scheduled = false;
        this.#settle();
      });
    };
    for (const trait of TRAITS) model.on(`change:${trait}`, this.onChange);
    this.end = () => this.#end();
    model.on("comm_live_update", this.end); // Jupyter's widgets say so when their kernel restarts
    this.resend = () => this.queue.resend();
    globalThis.addEventListener("online", this.resend);
    this.queue.acknowledge(model.get("acked"), model.get("conflicts"));
    this.#takePictures();
  }

  /** @returns {Config} */
  get config() {
    return this.model.get("config");
  }

  /** The state as the user is to see it. */
  get state() {
    this.shown ??= replay(this.kernelState, this.queue.messages, this.config);
    return this.shown;
  }

  /** @returns {State} */
  get kernelState() {
    const slots = Array.from({ length: SLOTS }, (_, i) => this.model.get(`slot_${i}`));
    return { view: this.model.get("view"), slots: slots.filter((slot) => slot?.image) };
  }

  /** Key of the image that the canvas over the picture is painted for; "" if there is none. */
  get overlay() {
    return this.model.get("overlay");
  }

  /** The stage of the image in view; null while the kernel prepares it. @returns {Slot | null} */
  get current() {
    const { view, slots } = this.state;
    return slots.find((slot) => slot.position === view.position) ?? null;
  }

  /** @param {Slot} slot @returns {number} its number in the ring; -1 if it is not in it any more */
  numberOf(slot) {
    for (let i = 0; i < SLOTS; i += 1) {
      if (this.model.get(`slot_${i}`)?.image === slot.image) return i;
    }
    return -1;
  }

  /** How many changes to labels are on their way; going to an image leaves nothing to be saved. */
  get unsaved() {
    return this.queue.waiting.filter(({ message }) => CHANGING.has(message.op)).length;
  }

  /** Why what is done is not saved now; null if it is. */
  get trouble() {
    if (!this.ended) return this.state.view.trouble;
    return this.unsaved ? "the kernel has ended; run the cell again" : null;
  }

  /** @param {() => void} listener @returns {() => void} what ends it */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * One step for undo: changes on the image in view.
   * @param {Change[]} changes
   * @param {number} [goto] position to go to with it
   */
  edit(changes, goto) {
    const slot = this.current;
    if (!slot || this.config.view_only || !changes.length) return;
    this.#add({
      op: "edit",
      changes: changes.map((change) => seeing(change, slot)),
      image: slot.image,
      position: slot.position,
      seconds: this.clock.take(),
      goto,
    });
  }

  /**
   * Choose between two versions of a label.
   * @param {Pending & {conflict: Conflict}} entry
   * @param {boolean} mine whether the user's own is to stand
   */
  settle(entry, mine) {
    this.queue.drop(entry);
    const { message, conflict } = entry;
    if (mine && message.op === "edit") this.#add(insisted(message, conflict));
    else this.#tell();
  }

  /** @param {"undo" | "redo"} op */
  reverse(op) {
    if (!this.config.view_only) this.#add({ op });
  }

  /** @param {Move} message */
  move(message) {
    this.#add(message);
  }

  /** Tell the kernel what is selected, for widgets attached to it. @param {string | null} labelId */
  select(labelId) {
    this.send({ type: "select", label_id: labelId });
  }

  /** Send what need not be kept until it is acknowledged. @param {any} content */
  send(content) {
    if (this.ended) return;
    try {
      this.model.send(content);
    } catch (error) {
      // Without its kernel a widget cannot send; the next one of this store will.
      console.warn("nbannotate: the widget has lost its kernel", error);
      this.#end();
    }
  }

  close() {
    this.model.off("comm_live_update", this.end);
    for (const trait of TRAITS) this.model.off(`change:${trait}`, this.onChange);
    globalThis.removeEventListener("online", this.resend);
    this.queue.close();
  }

  /** @param {Message} message */
  #add(message) {
    this.queue.add(message);
    this.#tell();
  }

  #end() {
    if (this.ended) return;
    this.ended = true;
    this.queue?.close(); // none yet while it is made
    this.#tell();
  }

  #settle() {
    this.queue.acknowledge(this.model.get("acked"), this.model.get("conflicts"));
    if (this.model.get("resend") !== this.resends) {
      this.resends = this.model.get("resend");
      this.queue.resend();
    }
    this.#takePictures();
    this.#tell();
  }

  /**
   * Take the pictures that have come. Nothing of them stays in the model, whose state a notebook
   * may save. A picture with the same bytes as the one before it is not sent again.
   */
  #takePictures() {
    for (let i = 0; i < SLOTS; i += 1) {
      const bytes = this.#take(`picture_${i}`);
      if (bytes !== undefined) this.pictures.set(i, bytes);
    }
    const bytes = this.#take("crisp_picture");
    const crisp = this.model.get("crisp");
    if (bytes !== undefined || crisp !== this.told) {
      const kept = bytes ?? this.crisp?.bytes;
      this.crisp = kept && crisp?.image ? { ...crisp, bytes: kept } : null;
      this.told = crisp;
    }
  }

  /** @param {string} trait @returns {Uint8Array | null | undefined} undefined: nothing new has come */
  #take(trait) {
    const data = this.model.get(trait);
    if (!data) return undefined;
    this.model.set(trait, null);
    if (!data.byteLength) return null;
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  #tell() {
    this.shown = null;
    for (const listener of this.listeners) listener();
  }
}

/**
 * The change with what the user sees of its label, so that nobody's work is overwritten unseen.
 * @param {Change} change
 * @param {Slot} slot
 * @returns {Change}
 */
function seeing(change, slot) {
  if (change.op !== "update" && change.op !== "delete") return change;
  const label = slot.labels.find((one) => one.label_id === change.label_id);
  return label ? { ...change, seen: seenOf(label) } : change;
}
