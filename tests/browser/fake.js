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

  /** As anywidget hands out a model: another object each time. */
  proxy() {
    const bound = ["get", "on", "off", "send"].map((name) => [name, this[name].bind(this)]);
    return Object.fromEntries(bound);
  }

  send(content) {
    if (this.isDead) throw new Error("Cannot send");
    // What a comm would carry: JSON.
    this.sent.push(JSON.parse(JSON.stringify(content)));
  }

  /** What a kernel would say. */
  set(changes) {
    Object.assign(this.traits, changes);
    for (const name of Object.keys(changes)) {
      for (const callback of this.listeners.get(`change:${name}`) ?? []) callback();
    }
  }
}

/** Paint a slot as the kernel does: the picture, and under it a row in the colour of its number. */
function paint(canvas, slot) {
  const [width, height] = slot.shown;
  canvas.width = width;
  canvas.height = height + 1;
  const context = canvas.getContext("2d");
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  context.fillStyle = `#${slot.paint.toString(16).padStart(6, "0")}`;
  context.fillRect(0, height, width, 1);
}

/** A cell with a canvas for each slot, as ipycanvas leaves them; returns where the view goes. */
function newCell(traits) {
  const cell = document.createElement("div");
  cell.className = "jp-Cell";
  cell.innerHTML = '<div class="nba-annotator"><div class="nba-root"><div></div></div></div>';
  const host = cell.querySelector(".nba-root > div");
  for (const [name, slot] of Object.entries(traits)) {
    if (!name.startsWith("slot_")) continue;
    const canvas = document.createElement("canvas");
    canvas.className = `nba-slot nba-${name.replace("_", "-")}`;
    if (slot.image) paint(canvas, slot);
    host.before(canvas);
  }
  document.body.append(cell);
  return { cell, host };
}

async function mount(script, traits) {
  const { cell, host } = newCell(traits);
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { default: create } = await import(url);
  const widget = create();
  const model = new FakeModel(traits);
  const end = widget.initialize({ model: model.proxy() });
  const close = widget.render({ model: model.proxy(), el: host });
  const again = () => widget.render({ model: model.proxy(), el: newCell(traits).host });
  globalThis.fake = { create, widget, model, cell, close, end, again, paint, FakeModel };
  await new Promise(requestAnimationFrame);
}

globalThis.mount = mount;
