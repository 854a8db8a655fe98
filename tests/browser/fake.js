/** A widget's model without a kernel, and around its view a page like a notebook's. */

class FakeModel {
  constructor(traits) {
    this.traits = traits;
    this.sent = [];
    this.listeners = new Map();
  }

  get(name) {
    return this.traits[name] ?? (name.startsWith("slot_") ? {} : undefined);
  }

  on(event, callback) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), callback]);
  }

  off(event, callback) {
    const left = (this.listeners.get(event) ?? []).filter((other) => other !== callback);
    this.listeners.set(event, left);
  }

  set(name, value) {
    this.traits[name] = value;
  }

  /** As anywidget hands out a model: another object each time. */
  proxy() {
    const bound = ["get", "set", "on", "off", "send"].map((name) => [name, this[name].bind(this)]);
    return Object.fromEntries(bound);
  }

  send(content) {
    if (this.isDead) throw new Error("Cannot send");
    // What a comm would carry: JSON.
    this.sent.push(JSON.parse(JSON.stringify(content)));
  }

  /** What a kernel would say: all that is given, as one update. */
  says(changes) {
    Object.assign(this.traits, changes);
    for (const name of Object.keys(changes)) {
      for (const callback of this.listeners.get(`change:${name}`) ?? []) callback();
    }
  }
}

const encoded = new Map();

/** A gray picture of the size, as bytes of a PNG. */
async function encode([width, height]) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  return new DataView(await (await canvas.convertToBlob()).arrayBuffer());
}

/** The traits, with a picture for each slot that has another one than before. */
async function withPictures(traits, before = {}) {
  const pictures = {};
  for (const [name, slot] of Object.entries(traits)) {
    const picture = name.replace("slot_", "picture_");
    if (picture === name || slot.paint === before[name]?.paint) continue;
    const size = String(slot.shown);
    if (slot.paint && !encoded.has(size)) encoded.set(size, await encode(slot.shown));
    pictures[picture] = slot.paint ? encoded.get(size) : new DataView(new ArrayBuffer(0));
  }
  return { ...traits, ...pictures };
}

/** A cell as a notebook has it; returns also where the view goes. */
function newCell() {
  const cell = document.createElement("div");
  cell.className = "jp-Cell";
  cell.innerHTML = '<div class="nba-annotator"><div class="nba-root"><div></div></div></div>';
  document.body.append(cell);
  return { cell, host: cell.querySelector(".nba-root > div") };
}

/** From now on pictures load only when the last or the first of `held` is called. */
function holdPictures() {
  const prototype = HTMLImageElement.prototype;
  const src = Object.getOwnPropertyDescriptor(prototype, "src");
  globalThis.held = [];
  Object.defineProperty(prototype, "src", {
    ...src,
    set(url) {
      const image = this;
      Object.defineProperty(image, "complete", { value: false, configurable: true });
      held.push(() => new Promise((done) => {
        delete image.complete;
        image.addEventListener("load", () => setTimeout(done));
        src.set.call(image, url);
      }));
    },
  });
}

async function mount(script, traits) {
  const { cell, host } = newCell();
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { default: create } = await import(url);
  const widget = create();
  const model = new FakeModel(await withPictures(traits));
  const end = widget.initialize({ model: model.proxy() });
  const close = widget.render({ model: model.proxy(), el: host });
  const again = () => widget.render({ model: model.proxy(), el: newCell().host });
  const says = async (changes) => model.says(await withPictures(changes, model.traits));
  globalThis.fake = { create, widget, model, cell, close, end, again, says, FakeModel };
  await new Promise(requestAnimationFrame);
}

globalThis.mount = mount;
globalThis.holdPictures = holdPictures;
