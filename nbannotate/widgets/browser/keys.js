/**
 * The keyboard: which key does what, from the map that the kernel sends. Keys act while the focus
 * is in the widget and not in a text field. Digits go by their place on the keyboard, so that
 * they work where the top row needs Shift; letters by what is printed on them.
 */
// @ts-check

/** @import {Attribute} from "./types.js" */
/** @import {Desk} from "./desk.js" */
/** @import {Gestures} from "./gestures.js" */
/** @import {Overlays} from "./overlays.js" */

import { copy, copyPrevious, duplicate, paste } from "./clipboard.js";

/**
 * The key of an event as the map writes it: "a", "?", "Ctrl+Shift+z", "Alt+ArrowLeft", "1".
 * @param {KeyboardEvent} event
 * @returns {string}
 */
export function keyOf(event) {
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const alt = event.altKey ? "Alt+" : "";
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  // With Shift it is a digit only where the top row needs it: "/" is Shift+7 on many keyboards.
  const symbol = event.shiftKey && !/\d/.test(event.key);
  if (digit && !symbol && !(event.code.startsWith("Numpad") && event.key.length > 1)) {
    return `${ctrl}${alt}${digit[1]}`;
  }
  const key = event.key === " " ? "Space" : event.key;
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  // Shift is part of what a symbol is, but beside a letter or a named key it means something else.
  const shift = event.shiftKey && (letter || key.length > 1) ? "Shift+" : "";
  return `${ctrl}${alt}${shift}${letter ? key.toLowerCase() : key}`;
}

/**
 * A key for people.
 * @param {string} key
 */
export function printed(key) {
  /** @type {Record<string, string>} */
  const names = {
    ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Delete: "Del",
  };
  return key
    .split("+")
    .map((part, i, parts) => {
      if (part === "" && i === parts.length - 1) return "+";
      return names[part] ?? (part.length === 1 ? part.toUpperCase() : part);
    })
    .filter((part, i, parts) => !(part === "" && parts[i + 1] === "+"))
    .join("+");
}

/** @type {Record<string, [number, number]>} */
const NUDGES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

export class Keys {
  /**
   * @param {HTMLElement} root
   * @param {Desk} desk
   * @param {Gestures} gestures
   * @param {Overlays} overlays
   * @param {AbortSignal} signal
   */
  constructor(root, desk, gestures, overlays, signal) {
    this.root = root;
    this.desk = desk;
    this.gestures = gestures;
    this.overlays = overlays;
    const { keys, schema } = desk.session.config;
    /** @type {Map<string, () => void>} */
    this.map = new Map();
    for (const item of desk.ordered) {
      if (item.hotkey) this.map.set(item.hotkey, () => desk.pick(item.id));
    }
    for (const attribute of schema.attributes) {
      if (attribute.hotkey) this.map.set(attribute.hotkey, () => this.#attribute(attribute));
    }
    const actions = this.#actions();
    for (const [action, key] of Object.entries(keys)) {
      if (actions[action]) this.map.set(key, actions[action]);
    }
    root.addEventListener("keydown", (event) => this.#down(event), { signal });
    root.addEventListener("keyup", (event) => this.#up(event), { signal });
    root.addEventListener("focusout", () => this.#release(), { signal });
  }

  /** @returns {Record<string, () => void>} */
  #actions() {
    const { desk, overlays } = this;
    return {
      next: () => desk.step(1),
      previous: () => desk.step(-1),
      next_todo: () => desk.session.move({ op: "todo" }),
      done: () => desk.mark("done"),
      skip: () => desk.mark("skipped"),
      box: () => desk.setTool("box"),
      extreme: () => desk.setTool("extreme"),
      select: () => desk.setTool("select"),
      delete: () => desk.deleteSelection(),
      undo: () => desk.session.reverse("undo"),
      redo: () => desk.session.reverse("redo"),
      copy: () => copy(desk),
      paste: () => paste(desk),
      duplicate: () => duplicate(desk),
      copy_previous: () => copyPrevious(desk),
      hide: () => desk.toggleHidden(),
      flag: () => overlays.openNote(),
      unsure: () => desk.toggleUnsure(),
      fit: () => desk.fit(),
      actual_size: () => desk.zoom(undefined, 1),
      zoom_in: () => desk.zoom(undefined, desk.viewport.scale * 1.25),
      zoom_out: () => desk.zoom(undefined, desk.viewport.scale / 1.25),
      search: () => overlays.openSearch(),
      help: () => overlays.toggleHelp(),
    };
  }

  /** @param {KeyboardEvent} event */
  #down(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Escape") {
      this.#take(event);
      this.#escape(target);
      return;
    }
    // Nothing that is pressed here is meant for the notebook, text fields included.
    event.stopPropagation();
    if (isTextField(target) || event.isComposing) return;
    this.desk.session.clock.tick();
    const key = keyOf(event);
    const covered = this.overlays.element.contains(target);
    if (covered && key !== this.desk.session.config.keys.help) return;
    if (isPressedBy(target, event.key)) return;
    if (key === "Alt+Alt" || event.key === "Alt") {
      event.preventDefault();
      this.#peek(true);
      return;
    }
    if (event.altKey && NUDGES[event.key]) {
      this.#take(event);
      this.#peek(false);
      const [dx, dy] = NUDGES[event.key];
      const step = event.shiftKey ? 10 : 1;
      this.desk.nudge(dx * step, dy * step);
      return;
    }
    if (event.key === " ") {
      this.#take(event);
      if (!event.repeat) {
        this.gestures.spaceHeld = true;
        this.gestures.spaceUsed = false;
      }
      return;
    }
    if (key === "Tab" || key === "Shift+Tab") {
      if (this.desk.visibleShapes.length && target === this.gestures.stage) {
        this.#take(event);
        this.desk.cycle(event.shiftKey ? -1 : 1);
      }
      return;
    }
    const action = this.map.get(key === "Backspace" ? "Delete" : key === "Ctrl+y" ? "Ctrl+Shift+z" : key);
    if (!action) return;
    this.#take(event);
    action();
  }

  /** @param {KeyboardEvent} event */
  #up(event) {
    event.stopPropagation();
    if (event.key === "Alt") this.#peek(false);
    if (event.key === " " && this.gestures.spaceHeld) {
      event.preventDefault();
      const used = this.gestures.spaceUsed;
      this.gestures.spaceHeld = false;
      if (!used) this.map.get("Space")?.();
    }
  }

  #release() {
    this.gestures.spaceHeld = false;
    this.#peek(false);
  }

  /** @param {boolean} on */
  #peek(on) {
    if (this.desk.peeking === on) return;
    this.desk.peeking = on;
    this.desk.changed();
  }

  /** Cancel and deselect; again: give the keyboard back. @param {HTMLElement} target */
  #escape(target) {
    const { desk, gestures, overlays } = this;
    let used = overlays.close();
    if (!used) {
      used = gestures.cancel() || desk.selected !== null || isTextField(target);
      desk.select(null);
    }
    if (used) gestures.stage.focus({ preventScroll: true });
    else this.#giveBack(target);
  }

  /** @param {HTMLElement} target */
  #giveBack(target) {
    target.blur();
    const cell = this.root.closest(".jp-Cell");
    if (cell instanceof HTMLElement) {
      if (!cell.hasAttribute("tabindex")) cell.tabIndex = -1;
      cell.focus({ preventScroll: true });
    }
    this.desk.say("The keys are the notebook's again");
  }

  /** @param {Attribute} attribute */
  #attribute(attribute) {
    const { desk } = this;
    const shape = desk.selection;
    if (!shape) {
      desk.say(`Select a shape to set its ${attribute.name}`);
      return;
    }
    const value = shape.attributes[attribute.name];
    if (attribute.type === "bool") {
      desk.setAttribute(attribute.name, !value);
    } else if (attribute.type === "choice") {
      const choices = attribute.choices;
      desk.setAttribute(attribute.name, choices[(choices.indexOf(value) + 1) % choices.length]);
    } else {
      const field = this.root.querySelector(`[data-attribute="${CSS.escape(attribute.name)}"]`);
      if (field instanceof HTMLElement) field.focus();
    }
  }

  /** @param {KeyboardEvent} event */
  #take(event) {
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Whether the key is how a button or checkbox is pressed. @param {Element} element @param {string} key */
function isPressedBy(element, key) {
  if (element.matches("button")) return key === " " || key === "Enter";
  return key === " " && element.matches("input[type=checkbox]");
}

/** @param {Element} element */
export function isTextField(element) {
  return element.matches("input:not([type=checkbox]):not([type=range]), textarea, select")
    || (element instanceof HTMLElement && element.isContentEditable);
}
