/**
 * Messages on their way to the kernel: numbered, kept until acknowledged, sent again when they
 * may be lost. They are also in sessionStorage, so that a page reload loses none.
 *
 * Each page load is a client of its own, with numbers from 1 without gaps; the kernel takes a
 * client's messages in that order and each once. What a former page of this tab left is sent
 * under its old client and number.
 */
// @ts-check

/** @import {Conflict, Message, Pending} from "./types.js" */

import { uuid } from "./ids.js";

const FIRST_WAIT = 3000;
const LONGEST_WAIT = 20000;

/** Clients of this page, so that two widgets of one store do not adopt each other's messages.
 * @type {Set<string>} */
const live = /** @type {any} */ (globalThis)[Symbol.for("nbannotate.clients")] ?? new Set();
/** @type {any} */ (globalThis)[Symbol.for("nbannotate.clients")] = live;

export class Queue {
  /**
   * @param {object} options
   * @param {string} options.storeId
   * @param {(client: string, messages: {seq: number, message: Message}[], again: boolean) => void}
   *   options.send
   * @param {Storage | null} [options.storage]
   */
  constructor({ storeId, send, storage = storageOfTab() }) {
    this.client = uuid();
    live.add(this.client);
    this.prefix = `nbannotate:${storeId}:`;
    this.storage = storage;
    this.sendNow = send;
    this.seq = 0;
    this.wait = FIRST_WAIT;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.closed = false;
    /** @type {Set<string>} former clients whose messages are ours to send */
    this.adopted = new Set();
    /** @type {Pending[]} */
    this.pending = this.#adopt();
    if (this.pending.length) {
      this.#save();
      this.resend();
    }
  }

  /** What is on its way: not acknowledged, in order. */
  get waiting() {
    return this.pending.filter((entry) => !entry.conflict);
  }

  /** The messages that are on their way. */
  get messages() {
    return this.waiting.map((entry) => entry.message);
  }

  /** What was refused and is kept until the user has chosen. */
  get conflicts() {
    return /** @type {(Pending & {conflict: Conflict})[]} */ (
      this.pending.filter((entry) => entry.conflict)
    );
  }

  /** Forget an entry. @param {Pending} entry */
  drop(entry) {
    this.pending = this.pending.filter((other) => other !== entry);
    this.#save();
  }

  /** @param {Message} message */
  add(message) {
    this.seq += 1;
    this.pending = [...this.pending, { client: this.client, seq: this.seq, message }];
    // Sent first: to keep it takes part of a millisecond.
    if (!this.closed) this.sendNow(this.client, [{ seq: this.seq, message }], false);
    this.#save();
    if (this.closed) return;
    // A timer that runs is left alone: it is for older messages, however fast new ones come.
    if (this.timer === undefined) this.#schedule();
  }

  /**
   * Forget what is on disk; keep what was refused because someone has changed the same.
   * @param {Record<string, number>} acked last number of each client
   * @param {Conflict[]} [conflicts]
   * @returns {boolean} whether anything was forgotten or is on its way no more
   */
  acknowledge(acked, conflicts = []) {
    let changed = false;
    this.pending = this.pending.flatMap((entry) => {
      if (entry.conflict || entry.seq > (acked[entry.client] ?? 0)) return [entry];
      changed = true;
      const { client, seq, message } = entry;
      const conflict = conflicts.find((one) => one.client === client && one.seq === seq);
      return conflict && message.op === "edit" ? [{ ...entry, conflict }] : [];
    });
    if (!changed) return false;
    this.wait = FIRST_WAIT;
    this.#save();
    this.#schedule();
    return true;
  }

  /** Send everything again; the kernel leaves out what it has had. */
  resend() {
    if (this.closed) return;
    /** @type {Map<string, {seq: number, message: Message}[]>} */
    const byClient = new Map();
    for (const { client, seq, message } of this.waiting) {
      const list = byClient.get(client) ?? [];
      list.push({ seq, message });
      byClient.set(client, list);
    }
    for (const [client, messages] of byClient) this.sendNow(client, messages, true);
    this.#schedule();
  }

  /** Send no more; what is pending or added is kept for the next queue of the store. */
  close() {
    this.closed = true;
    clearTimeout(this.timer);
    live.delete(this.client);
  }

  #schedule() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.closed || !this.waiting.length) return;
    this.timer = setTimeout(() => {
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
      this.resend();
    }, this.wait);
  }

  #save() {
    if (!this.storage) return;
    /** @type {Map<string, Pending[]>} */
    const byClient = new Map([this.client, ...this.adopted].map((client) => [client, []]));
    for (const entry of this.pending) byClient.get(entry.client)?.push(entry);
    try {
      for (const [client, entries] of byClient) {
        if (entries.length) this.storage.setItem(this.prefix + client, JSON.stringify(entries));
        else this.storage.removeItem(this.prefix + client);
      }
    } catch (error) {
      // Storage may be full; the messages are still here and on their way.
      console.warn("nbannotate: unsaved edits are not kept over a page reload", error);
    }
  }

  /** @returns {Pending[]} */
  #adopt() {
    /** @type {Pending[]} */
    const found = [];
    for (const key of this.#keys()) {
      const client = key.slice(this.prefix.length);
      if (live.has(client)) continue;
      this.adopted.add(client);
      try {
        /** @type {Pending[]} */
        const entries = JSON.parse(this.storage?.getItem(key) ?? "[]");
        found.push(...entries.map((entry) => ({ ...entry, message: unmoving(entry.message) })));
      } catch (error) {
        console.warn("nbannotate: unsaved edits of this tab cannot be read", error);
      }
    }
    return found;
  }

  #keys() {
    return Object.keys(this.storage ?? {}).filter((key) => key.startsWith(this.prefix));
  }
}

/** What the tab keeps over a reload; null where the page is not allowed any. */
function storageOfTab() {
  try {
    return globalThis.sessionStorage;
  } catch (error) {
    console.warn("nbannotate: unsaved edits are not kept over a page reload", error);
    return null;
  }
}

/**
 * The message without what it does to the view, which is another one by now. It keeps its number,
 * because the kernel takes no message before those of lower numbers.
 * @param {Message} message
 * @returns {Message}
 */
function unmoving(message) {
  if (message.op === "edit") return { ...message, goto: undefined };
  return message.op === "undo" || message.op === "redo" ? message : { op: "none" };
}
