/** The palette beside the picture: classes and tags with counts and keys; the selection's fields. */
// @ts-check

/** @import {Attribute, LabelClass} from "./types.js" */
/** @import {Desk} from "./desk.js" */

import { button, h, icon, put, write } from "./dom.js";
import { printed } from "./keys.js";

export class Palette {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    /** @type {Map<number, {row: HTMLElement, count: HTMLElement, eye: HTMLElement | null}>} */
    this.rows = new Map();
    const { schema, shapes } = desk.session.config;
    const sections = [];
    if (shapes && schema.classes.length) sections.push(this.#section("Classes", schema.classes, true));
    for (const group of schema.tags) {
      const title = schema.tags.length === 1 && group.name === "tag" ? "Tags" : group.name;
      sections.push(this.#section(title, group.choices, false));
    }
    this.fields = new Fields(desk);
    this.element = h("div", { class: "nba-palette", role: "group", "aria-label": "Labels" }, [
      ...sections,
      shapes ? this.fields.element : null,
    ]);
  }

  /** @param {string} title @param {LabelClass[]} items @param {boolean} shapes */
  #section(title, items, shapes) {
    const rows = items.filter((item) => !item.retired).map((item) => this.#row(item, shapes));
    return h("section", {}, [h("h4", { text: title }), h("div", { class: "nba-rows" }, rows)]);
  }

  /** @param {LabelClass} item @param {boolean} shapes */
  #row(item, shapes) {
    const { desk } = this;
    const count = h("span", { class: "nba-count", title: "Labels of it in all images" });
    const swatch = h("span", { class: "nba-swatch", "aria-hidden": "true" });
    swatch.style.background = item.color;
    const pick = h(
      "button",
      {
        type: "button", class: "nba-pick",
        title: item.hotkey ? `${item.name} (${printed(item.hotkey)})` : item.name,
        onclick: () => desk.pick(item.id),
      },
      [
        swatch,
        h("span", { class: "nba-class-name", text: item.name, dir: "auto" }),
        count,
        item.hotkey ? h("kbd", { text: printed(item.hotkey) }) : h("kbd", { class: "nba-none" }),
      ],
    );
    const eye = shapes
      ? button({ icon: "eye", label: `Hide or show ${item.name}`, press: () => desk.toggleClass(item) })
      : null;
    const row = h("div", { class: "nba-row" }, [pick, eye]);
    this.rows.set(item.id, { row, count, eye });
    return row;
  }

  update() {
    const { desk } = this;
    const { view } = desk.session.state;
    const tags = new Set((desk.slot?.labels ?? []).filter((l) => l.kind === "tag").map((l) => l.class_id));
    const selected = desk.selection?.class_id;
    for (const [id, { row, count, eye }] of this.rows) {
      const on = eye ? (selected ?? desk.classId) === id : tags.has(id);
      put(row.firstElementChild ?? row, "aria-pressed", String(on));
      write(count, String(view.counts[id] ?? 0));
      if (eye) {
        const hidden = desk.hiddenClasses.has(id);
        put(eye, "aria-pressed", String(hidden));
        if (eye.dataset.icon !== String(hidden)) {
          eye.dataset.icon = String(hidden);
          eye.replaceChildren(icon(hidden ? "hidden" : "eye"));
        }
      }
    }
    this.fields.update();
  }
}

/** The attributes of the selected shape. */
class Fields {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    this.attributes = desk.session.config.schema.attributes.filter((a) => !a.attached);
    /** @type {Map<string, (value: any) => void>} */
    this.setters = new Map();
    this.place = h("p", { class: "nba-shape-place" });
    this.empty = h("p", { class: "nba-hint" });
    this.body = h("div", { class: "nba-fields" }, this.attributes.map((a) => this.#field(a)));
    this.element = h("section", { class: "nba-selection" }, [
      h("h4", { text: "Selection" }), this.empty, this.place, this.body,
    ]);
    write(this.empty, "Tab, or V and a click, selects a shape");
  }

  /** @param {Attribute} attribute */
  #field(attribute) {
    const { name, type, hotkey } = attribute;
    const set = (/** @type {any} */ value) => this.desk.setAttribute(name, value);
    const kbd = hotkey ? h("kbd", { text: printed(hotkey) }) : null;
    const title = h("span", { class: "nba-field-name", text: name, dir: "auto" });
    if (type === "bool") {
      const box = /** @type {HTMLInputElement} */ (
        h("input", { type: "checkbox", onchange: () => set(box.checked) })
      );
      this.setters.set(name, (value) => { box.checked = value === true; });
      return h("label", { class: "nba-field nba-check" }, [box, title, kbd]);
    }
    if (type === "choice") {
      const select = /** @type {HTMLSelectElement} */ (
        h("select", { onchange: () => set(select.value === "" ? null : select.value) })
      );
      select.append(h("option", { value: "", text: "–" }));
      select.append(...attribute.choices.map((c) => h("option", { value: c, text: c })));
      this.setters.set(name, (value) => { select.value = value ?? ""; });
      return h("label", { class: "nba-field" }, [title, kbd, select]);
    }
    const number = type === "number";
    const input = /** @type {HTMLInputElement} */ (
      h("input", {
        type: number ? "number" : "text", "data-attribute": name,
        min: attribute.min, max: attribute.max, step: number ? (attribute.step ?? "any") : null,
      })
    );
    const commit = () => {
      const before = this.desk.selection?.attributes[name];
      const value = input.value === "" ? null : number ? input.valueAsNumber : input.value;
      if ((before ?? null) === value) return;
      if (number && !input.checkValidity()) {
        this.desk.say(`${name}: ${input.validationMessage}`);
        input.value = before ?? "";
      } else {
        set(value);
      }
    };
    input.addEventListener("change", commit);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") commit();
    });
    this.setters.set(name, (value) => {
      if (document.activeElement !== input) input.value = value ?? "";
    });
    return h("label", { class: "nba-field" }, [title, kbd, input]);
  }

  update() {
    const shape = this.desk.selection;
    this.empty.hidden = shape !== null;
    this.place.hidden = shape === null;
    this.body.hidden = shape === null;
    if (!shape) return;
    const [x, y, width, height] = [shape.x, shape.y, shape.width, shape.height].map((value) =>
      String(Math.round((value ?? 0) * 10) / 10),
    );
    write(this.place, `${width} × ${height} px at ${x}, ${y}`);
    for (const { name } of this.attributes) this.setters.get(name)?.(shape.attributes[name]);
  }
}
