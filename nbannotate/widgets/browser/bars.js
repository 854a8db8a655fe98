/** The thin bars: tools above the picture; image, progress and the saved chip below it. */
// @ts-check

/** @import {Desk} from "./desk.js" */
/** @import {Overlays} from "./overlays.js" */

import { button, h, put, write } from "./dom.js";
import { printed } from "./keys.js";

/** @param {Desk} desk @param {string} action @returns {string | null} */
function keyFor(desk, action) {
  const key = desk.session.config.keys[action];
  return key ? printed(key) : null;
}

export class TopBar {
  /** @param {Desk} desk @param {Overlays} overlays */
  constructor(desk, overlays) {
    this.desk = desk;
    const { shapes, view_only: viewOnly } = desk.session.config;
    const make = (
      /** @type {string} */ action,
      /** @type {string} */ icon,
      /** @type {string} */ label,
      /** @type {() => void} */ press,
    ) => button({ icon, label, key: keyFor(desk, action), press });
    const tools = /** @type {const} */ ([
      ["box", "Draw boxes: drag, or two clicks"],
      ["extreme", "Box by four extreme clicks"],
      ["select", "Select, move and resize"],
    ]);
    this.tools = new Map(
      tools.map(([tool, label]) => [tool, make(tool, tool, label, () => desk.setTool(tool))]),
    );
    this.undo = make("undo", "undo", "Undo", () => desk.session.reverse("undo"));
    this.redo = make("redo", "redo", "Redo", () => desk.session.reverse("redo"));
    this.zoom = h("span", { class: "nba-zoom", title: "Zoom" });
    this.hide = make("hide", "eye", "Hide or show all shapes", () => desk.toggleHidden());
    this.flag = make("flag", "flag", "Flag with a note", () => overlays.openNote());
    this.unsure = make("unsure", "unsure", "Unsure", () => desk.toggleUnsure());
    const group = (/** @type {(HTMLElement | null)[]} */ parts) =>
      h("div", { class: "nba-group" }, parts);
    this.element = h("div", { class: "nba-bar nba-top", role: "toolbar", "aria-label": "Tools" }, [
      shapes && !viewOnly ? group([...this.tools.values()]) : null,
      viewOnly ? h("span", { class: "nba-badge", text: "View only" }) : null,
      viewOnly ? null : group([this.undo, this.redo]),
      group([
        make("zoom_out", "minus", "Zoom out", () => desk.zoom(undefined, desk.viewport.scale / 1.25)),
        this.zoom,
        make("zoom_in", "plus", "Zoom in", () => desk.zoom(undefined, desk.viewport.scale * 1.25)),
        make("fit", "fit", "Fit the picture", () => desk.fit()),
        button({
          text: "1:1", label: "100 %", key: keyFor(desk, "actual_size"),
          press: () => desk.zoom(undefined, 1),
        }),
      ]),
      shapes ? group([this.hide]) : null,
      h("div", { class: "nba-space" }),
      viewOnly ? null : group([this.flag, this.unsure]),
      group([make("help", "keys", "All keys", () => overlays.toggleHelp())]),
    ]);
  }

  update() {
    const { desk } = this;
    const { view } = desk.session.state;
    const slot = desk.slot;
    for (const [tool, element] of this.tools) {
      put(element, "aria-pressed", String(desk.tool === tool));
    }
    this.undo.disabled = !view.can_undo;
    this.redo.disabled = !view.can_redo;
    write(this.zoom, `${Math.round(desk.viewport.scale * 100)} %`);
    put(this.hide, "aria-pressed", String(desk.hidden));
    put(this.flag, "aria-pressed", String(slot?.status === "flagged"));
    put(this.unsure, "aria-pressed", String(slot?.unsure ?? false));
  }
}

const STATUS_WORDS = /** @type {Record<string, string>} */ ({
  todo: "to do", done: "done", skipped: "skipped", flagged: "flagged",
});

export class BottomBar {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    const viewOnly = desk.session.config.view_only;
    this.name = h("span", { class: "nba-name" });
    this.place = h("span", { class: "nba-place" });
    this.status = h("span", { class: "nba-badge" });
    this.bar = h("span", { class: "nba-progress-bar" });
    this.progress = h("span", { class: "nba-progress" }, [
      h("span", { class: "nba-progress-track", role: "progressbar", "aria-label": "Done" }, [this.bar]),
    ]);
    this.left = h("span", { class: "nba-left" });
    this.chip = h("span", { class: "nba-chip", role: "status" });
    this.filter = /** @type {HTMLSelectElement} */ (
      h("select", { class: "nba-filter", title: "Images to show", "aria-label": "Images to show" })
    );
    this.filter.addEventListener("change", () => this.#setFilter());
    this.search = /** @type {HTMLInputElement} */ (
      h("input", {
        class: "nba-find", type: "search", placeholder: "Find image", "aria-label": "Find image",
      })
    );
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#setFilter();
    });
    this.search.addEventListener("search", () => this.#setFilter());
    this.#fillFilter();
    const step = (/** @type {string} */ action, /** @type {string} */ icon,
      /** @type {string} */ label, /** @type {() => void} */ press) =>
      button({ icon, label, key: keyFor(desk, action), press });
    this.element = h("div", { class: "nba-bar nba-bottom" }, [
      h("div", { class: "nba-group" }, [
        step("previous", "left", "Previous image", () => desk.step(-1)),
        step("next", "right", "Next image", () => desk.step(1)),
      ]),
      viewOnly ? null : h("div", { class: "nba-group" }, [
        step("done", "check", "Done, and next", () => desk.mark("done")),
        step("skip", "skip", "Skip, and next", () => desk.mark("skipped")),
      ]),
      this.place,
      this.name,
      this.status,
      h("div", { class: "nba-space" }),
      this.progress,
      this.left,
      this.filter,
      this.search,
      viewOnly ? null : this.chip,
    ]);
  }

  #fillFilter() {
    const { schema } = this.desk.session.config;
    const option = (/** @type {string} */ value, /** @type {string} */ text) =>
      h("option", { value, text });
    const labels = [...schema.classes, ...schema.tags.flatMap((group) => group.choices)];
    const group = h("optgroup", { label: "With label" });
    group.append(...labels.map((item) => option(`label:${item.id}`, item.name)));
    this.filter.append(
      option("all", "All"), option("todo", "To do"), option("done", "Done"),
      option("flagged", "Flagged"), option("skipped", "Skipped"), option("unsure", "Unsure"),
      group,
    );
  }

  #setFilter() {
    const value = this.filter.value;
    const label = value.startsWith("label:") ? Number(value.slice(6)) : null;
    this.desk.session.move({
      op: "filter",
      filter: {
        status: label === null ? value : "all", class_id: label, text: this.search.value.trim(),
      },
    });
  }

  update() {
    const { session } = this.desk;
    const { view } = session.state;
    const slot = this.desk.slot;
    // Of images that are handed out it is not known how many there will be.
    const place = session.config.handed_out
      ? `Image ${view.position + 1}` : `${view.position + 1} of ${view.total}`;
    write(this.place, view.total ? place : "No image");
    write(this.name, slot?.image ?? "");
    put(this.name, "title", slot?.image ?? "");
    const status = slot?.status ?? "todo";
    write(this.status, STATUS_WORDS[status] + (slot?.unsure ? ", unsure" : ""));
    put(this.status, "data-status", status);
    put(this.status, "title", slot?.note ?? "");
    const { done, skipped, flagged, total, seconds_per_image: pace } = view.progress;
    const finished = done + skipped + flagged;
    this.bar.style.width = `${total ? (100 * finished) / total : 0}%`;
    put(this.progress, "title", `${finished} of ${total} images done`);
    write(this.left, finished < total ? timeLeft(pace, total - finished) : "all done");
    if (document.activeElement !== this.filter) {
      const { status: wanted, class_id: id } = view.filter;
      const value = id === null ? wanted : `label:${id}`;
      if (this.filter.value !== value) this.filter.value = value;
    }
    this.#updateChip();
  }

  #updateChip() {
    const { session } = this.desk;
    const trouble = session.trouble;
    const unsaved = session.unsaved;
    const state = trouble ? "trouble" : unsaved ? "saving" : "saved";
    put(this.chip, "data-state", state);
    put(this.chip, "title", trouble ?? "");
    const words = { trouble: `NOT SAVED: ${trouble}`, saving: "saving…", saved: "saved" };
    write(this.chip, words[state]);
  }
}

/** @param {number | null} pace in seconds an image @param {number} images */
export function timeLeft(pace, images) {
  if (pace === null || !Number.isFinite(pace) || pace <= 0) return "";
  const minutes = (pace * images) / 60;
  if (minutes < 1) return "< 1 min left";
  if (minutes < 90) return `≈ ${Math.round(minutes)} min left`;
  return `≈ ${Math.round(minutes / 60)} h left`;
}
