/** Building elements. Text goes in as text, never as HTML: names come from data. */
// @ts-check

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `class`, `text`, and `on…` listeners
 * @param {(Node | string | null)[]} [children]
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Icons drawn on a grid of 16, as paths; strokes take the colour of the text.
 * @type {Record<string, string>}
 */
const ICONS = {
  box: "M2.5 3.5h11v9h-11z",
  extreme: "M8 2v2M8 12v2M2 8h2M12 8h2M5 5h6v6H5z",
  select: "M3 2l9.5 5.5-4.2 1.2L6 13z",
  undo: "M6 3L2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 7H6",
  redo: "M10 3l3.5 3.5L10 10M13 6.5H7a4 4 0 0 0 0 7h3",
  minus: "M3.5 8h9",
  plus: "M3.5 8h9M8 3.5v9",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  hidden: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM3 14L13 2",
  flag: "M4 14V2.5h8L10 5.5l2 3H4",
  unsure: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9.2 8 10M8 12.5v.5",
  keys: "M1.5 4h13v8h-13zM4 6.5h.5M7 6.5h.5M10 6.5h.5M4.5 9.5h7",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  check: "M3 8.5l3.5 3.5L13 4.5",
  skip: "M3 3.5l5 4.5-5 4.5zM12 3.5v9",
  close: "M4 4l8 8M12 4l-8 8",
};

/** @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "nba-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * @param {object} options
 * @param {string} [options.icon]
 * @param {string} [options.text]
 * @param {string} options.label what it does, for the tooltip and screen readers
 * @param {string | null} [options.key] as printed
 * @param {() => void} options.press
 * @returns {HTMLButtonElement}
 */
export function button({ icon: name, text, label, key, press }) {
  const element = h(
    "button",
    {
      type: "button",
      class: "nba-button",
      title: key ? `${label} (${key})` : label,
      "aria-label": label,
      onclick: press,
    },
    [name ? icon(name) : null, text ? h("span", { text }) : null],
  );
  return /** @type {HTMLButtonElement} */ (element);
}

/** Set an attribute only where it differs, so that nothing is laid out for nothing.
 * @param {Element} element @param {string} name @param {string} value */
export function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {Element} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
