/** What lies over the picture for a moment: all keys, search for a label, the note of a flag. */
// @ts-check

/** @import {Desk} from "./desk.js" */

import { button, h } from "./dom.js";
import { printed } from "./keys.js";

/** What each action does, in the order of the help. @type {[string, [string, string][]][]} */
const HELP = [
  ["Images", [
    ["next", "next image"], ["previous", "previous image"], ["next_todo", "next to do"],
    ["done", "done and next"], ["skip", "skip and next"], ["flag", "flag with a note"],
    ["unsure", "unsure"],
  ]],
  ["Shapes", [
    ["box", "box: drag, or two clicks"], ["extreme", "box by four extreme clicks"],
    ["select", "select"], ["Ctrl + press", "select while drawing"],
    ["Tab", "next shape"], ["Alt+arrows", "nudge by 1 px, with Shift by 10"],
    ["delete", "delete the selection"], ["copy", "copy"], ["paste", "paste"],
    ["duplicate", "duplicate"], ["copy_previous", "copy the shapes of the image before"],
  ]],
  ["View", [
    ["wheel", "zoom at the pointer"], ["Space + drag", "pan"], ["fit", "fit; or double click"],
    ["actual_size", "100 %"], ["zoom_in", "zoom in"], ["zoom_out", "zoom out"],
    ["hide", "hide or show shapes"], ["hold Alt", "look under the shapes"],
  ]],
  ["Other", [
    ["undo", "undo"], ["redo", "redo"], ["search", "search a label"], ["help", "this help"],
    ["Escape", "cancel; again: the keys go back to the notebook"],
  ]],
];

export class Overlays {
  /** @param {Desk} desk @param {() => void} focusStage */
  constructor(desk, focusStage) {
    this.desk = desk;
    this.focusStage = focusStage;
    /** @type {HTMLElement | null} */
    this.open = null;
    this.element = h("div", { class: "nba-overlays" });
  }

  /** @returns {boolean} whether one was open */
  close() {
    if (!this.open) return false;
    this.open.remove();
    this.open = null;
    this.focusStage();
    return true;
  }

  /** @param {string} title @param {string} name @param {HTMLElement[]} children */
  #show(title, name, children) {
    this.open?.remove();
    const close = button({ icon: "close", label: "Close", key: "Esc", press: () => this.close() });
    this.open = h("div", { class: `nba-overlay ${name}`, role: "dialog", "aria-label": title }, [
      h("header", {}, [h("h3", { text: title }), close]),
      ...children,
    ]);
    this.element.append(this.open);
  }

  toggleHelp() {
    if (this.open?.classList.contains("nba-help")) {
      this.close();
      return;
    }
    const { keys, shapes, schema } = this.desk.session.config;
    const row = (/** @type {string} */ key, /** @type {string} */ text) =>
      h("div", { class: "nba-help-row" }, [h("kbd", { text: printed(key) }), h("span", { text, dir: "auto" })]);
    const sections = HELP.filter(([title]) => shapes || title !== "Shapes").map(([title, rows]) =>
      h("section", {}, [
        h("h4", { text: title }),
        ...rows.map(([action, text]) => row(keys[action] ?? action, text)),
      ]),
    );
    const hotkeys = [...this.desk.ordered, ...schema.attributes].filter((item) => item.hotkey);
    if (hotkeys.length) {
      const rows = hotkeys.map((item) => row(item.hotkey ?? "", item.name));
      sections.unshift(h("section", {}, [h("h4", { text: "Labels" }), ...rows]));
    }
    this.#show("All keys", "nba-help", [h("div", { class: "nba-help-body", tabindex: "0" }, sections)]);
    const body = this.open?.querySelector(".nba-help-body");
    if (body instanceof HTMLElement) body.focus();
  }

  /** Find a label by typing, for schemes of more classes than there are digits. */
  openSearch() {
    const items = this.desk.ordered.filter((item) => !item.retired);
    const list = h("div", { class: "nba-search-list", role: "listbox", "aria-label": "Labels" });
    const input = /** @type {HTMLInputElement} */ (
      h("input", { type: "text", placeholder: "Type a label", "aria-label": "Label" })
    );
    let at = 0;
    let found = items;
    const choose = (/** @type {number} */ place) => {
      const item = found[place];
      if (!item) return;
      this.close();
      this.desk.pick(item.id);
    };
    const fill = () => {
      const text = input.value.toLowerCase();
      const rank = (/** @type {string} */ name) => name.toLowerCase().indexOf(text);
      found = items
        .filter((item) => rank(item.name) >= 0)
        .sort((a, b) => Number(rank(a.name) > 0) - Number(rank(b.name) > 0));
      at = Math.max(0, Math.min(at, found.length - 1));
      list.replaceChildren(
        ...found.map((item, place) => {
          const swatch = h("span", { class: "nba-swatch" });
          swatch.style.background = item.color;
          const name = h("span", { text: item.name, dir: "auto" });
          return h("div", {
            class: "nba-option", role: "option", "aria-selected": String(place === at),
            onpointerdown: (/** @type {Event} */ event) => {
              event.preventDefault();
              choose(place);
            },
          }, [swatch, name]);
        }),
      );
      list.children[at]?.scrollIntoView({ block: "nearest" });
    };
    input.addEventListener("input", () => {
      at = 0;
      fill();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") choose(at);
      else if (event.key === "ArrowDown") at += 1;
      else if (event.key === "ArrowUp") at -= 1;
      else return;
      event.preventDefault();
      if (this.open) fill();
    });
    fill();
    this.#show("Label", "nba-search", [input, list]);
    input.focus();
  }

  /** Flag the image, with a note to say why. */
  openNote() {
    const slot = this.desk.slot;
    if (!slot || this.desk.readOnly) return;
    const input = /** @type {HTMLInputElement} */ (
      h("input", {
        type: "text", placeholder: "Why? (may stay empty)", "aria-label": "Note",
        value: slot.note ?? "",
      })
    );
    const save = (/** @type {boolean} */ flag) => {
      const note = input.value.trim();
      this.close();
      this.desk.setNote(note, flag);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        save(true);
      }
    });
    const flagged = slot.status === "flagged";
    this.#show("Flag this image", "nba-note", [
      input,
      h("footer", {}, [
        flagged ? button({ text: "Remove flag", label: "Remove flag", press: () => save(false) }) : h("span"),
        button({ text: "Flag", label: "Flag", key: "Enter", press: () => save(true) }),
      ]),
    ]);
    input.focus();
    input.select();
  }
}
