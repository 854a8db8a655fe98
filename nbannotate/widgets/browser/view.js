/**
 * One view of the widget: builds it, and draws what the desk and the session say.
 *
 * to the kernel:   {type: "messages", client, messages: [{seq, message}], again}   see types.js
 *                  {type: "select", label_id}, {type: "retry", image}
 * from the kernel: traits `config`, `view`, `slot_0` …, `picture_0` … (bytes, taken out by the
 *                  session), `crisp`, `crisp_picture`, `acked` ({client: seq} on disk), `resend`
 */
// @ts-check

/** @import {Label, Slot} from "./types.js" */
/** @import {Model} from "./session.js" */

import { BottomBar, TopBar } from "./bars.js";
import { Conflicts } from "./conflicts.js";
import { Crisp } from "./crisp.js";
import { Desk } from "./desk.js";
import { button, h, put, write } from "./dom.js";
import { boxOf } from "./geometry.js";
import { Gestures } from "./gestures.js";
import { Keys } from "./keys.js";
import { Overlays } from "./overlays.js";
import { paintBox, paintCrosshair, paintName, paintPoints, paintShapes, paintSize, Sheet } from "./paint.js";
import { Palette } from "./palette.js";
import { Session } from "./session.js";
import { Stages } from "./stage.js";

/** Under this width in CSS pixels the palette folds under the picture. */
const NARROW = 700;
/** How long in ms the former image stays while the next one's picture is decoded. */
const PATIENCE = 100;
/** Milliseconds that an error is shown. */
const ERROR_MS = 12_000;
const UNDECODABLE = "The browser cannot decode this picture. Save the image in another format, such as PNG.";

class View {
  /** @param {Session} session @param {HTMLElement} host */
  constructor(session, host) {
    this.session = session;
    this.abort = new AbortController();
    const signal = this.abort.signal;
    this.desk = new Desk(session);
    this.shapes = new Sheet("nba-shapes");
    this.live = new Sheet("nba-live");
    this.card = h("div", { class: "nba-card", role: "alert" });
    this.loading = h("div", { class: "nba-loading", text: "Loading…" });
    this.toast = h("div", { class: "nba-toast" });
    this.spoken = h("div", { class: "nba-spoken", "aria-live": "polite" });
    this.conflicts = new Conflicts(this.desk);
    this.overlays = new Overlays(this.desk, () => this.stage.focus({ preventScroll: true }));
    this.stages = new Stages(session, () => this.draw());
    this.stage = h("div", {
      class: "nba-stage", tabindex: "0", role: "application", "aria-label": "Picture to label",
    }, [this.stages.element, this.shapes.canvas, this.live.canvas, this.loading, this.card, this.conflicts.element, this.toast]);
    this.top = new TopBar(this.desk, this.overlays);
    this.bottom = new BottomBar(this.desk);
    this.palette = new Palette(this.desk);
    this.main = h("div", { class: "nba-main" }, [this.stage, this.palette.element]);
    this.layer = h("div", { class: "nba-layer" }, [
      this.top.element, this.main, this.bottom.element, this.overlays.element, this.spoken,
    ]);
    host.append(this.layer);
    this.crisp = new Crisp(this.desk);
    this.gestures = new Gestures(this.stage, this.desk, () => this.paintLive(), signal);
    this.keys = new Keys(this.layer, this.desk, this.gestures, this.overlays, signal);
    this.image = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined;
    this.isLate = false;
    // The kernel may have been quicker than the page: what it said a moment ago is new.
    const { notice } = session.state.view;
    const isOld = notice !== null && Date.now() - notice.number / 1e6 > ERROR_MS;
    this.noticed = isOld ? notice.number : 0;
    this.asked = session.state.view.select;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.toastTimer = undefined;

    this.desk.subscribe(() => this.draw());
    this.unsubscribe = session.subscribe(() => this.draw());
    this.layer.addEventListener("pointermove", () => session.clock.tick(), { signal });
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(host);
    this.watchRatio(signal);
    this.layer.addEventListener("click", (event) => this.giveFocusBack(event), { signal });
    this.isPointing = false;
    const note = (/** @type {Event} */ event) => { this.isPointing = event.type === "pointerdown"; };
    this.layer.addEventListener("pointerdown", note, { signal, capture: true });
    this.layer.addEventListener("keydown", note, { signal, capture: true });
    this.layer.addEventListener("change", (event) => this.giveFocusBack(event), { signal });
    this.guard(signal);
    this.measure();
  }

  /**
   * After a press with the pointer the keys are the picture's again, so that Enter and Space do
   * not press the same button once more. With the keyboard the focus stays where it is.
   * @param {Event} event a click, or the change of a field
   */
  giveFocusBack(event) {
    const parts = event.type === "click" ? "button, .nba-check" : "select";
    const pressed = event.target instanceof Element && event.target.closest(parts);
    if (pressed && this.isPointing && !this.overlays.open) this.stage.focus({ preventScroll: true });
  }

  /** Draw anew at another sharpness, as when the window moves to another screen.
   * @param {AbortSignal} signal */
  watchRatio(signal) {
    const ratio = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    const changed = () => {
      this.measure();
      this.watchRatio(signal);
    };
    ratio.addEventListener("change", changed, { signal, once: true });
  }

  /**
   * Keep the notebook's shortcuts off everything of ours that takes the focus, attached widgets
   * included. The mark works only on the focused element itself, hence `focusin`.
   * @param {AbortSignal} signal
   */
  guard(signal) {
    const mark = (/** @type {FocusEvent} */ event) => {
      if (event.target instanceof Element) {
        event.target.setAttribute("data-lm-suppress-shortcuts", "true");
      }
    };
    this.layer.addEventListener("focusin", mark, { signal });
    // The root is there only once the notebook has put this view into it.
    requestAnimationFrame(() => {
      const root = this.layer.closest(".nba-annotator");
      if (root instanceof HTMLElement) root.addEventListener("focusin", mark, { signal });
    });
  }

  measure() {
    const width = this.layer.clientWidth;
    if (!width) return;
    this.layer.classList.toggle("nba-narrow", width < NARROW);
    const { height, shapes } = this.session.config;
    const room = Math.max(240, Math.round(globalThis.innerHeight * 0.68));
    const stageWidth = this.stage.clientWidth;
    const wanted = height ?? Math.min(room, Math.max(240, Math.round(stageWidth * (shapes ? 0.66 : 0.6))));
    this.main.style.setProperty("--nba-stage-height", `${wanted}px`);
    this.desk.resize({ width: this.stage.clientWidth, height: this.stage.clientHeight });
    this.draw();
  }

  /** Everything, as the state says. */
  draw() {
    const { desk, session } = this;
    const slot = desk.slot;
    const image = slot ? `${slot.image}\n${slot.width}` : "";
    this.stages.follow();
    if (image !== this.image) {
      if (slot && this.waitFor(slot)) return;
      this.image = image;
      this.gestures.cancel();
      if (desk.selected && !desk.selection) desk.select(null);
      desk.fitted = true;
      if (slot?.width && desk.size.width) {
        desk.fit(); // which draws
        return;
      }
    }
    const asked = session.state.view.select;
    if (asked !== this.asked) {
      this.asked = asked;
      if (asked) desk.select(asked);
    }
    const seen = this.stages.show(slot, desk.viewport);
    const failed = slot?.error ?? (slot && this.stages.isBroken(slot) ? UNDECODABLE : null);
    this.loading.hidden = seen || failed !== null || session.state.view.total === 0;
    this.crisp.follow();
    this.drawCard(failed);
    this.conflicts.update();
    this.shapes.resize(desk.size.width, desk.size.height);
    this.live.resize(desk.size.width, desk.size.height);
    const held = desk.dragged?.label_id ?? desk.selected;
    const shapes = seen ? desk.visibleShapes.filter((shape) => shape.label_id !== held) : [];
    paintShapes(this.shapes, shapes, desk.viewport, desk.classes);
    this.paintLive();
    this.top.update();
    this.bottom.update();
    this.palette.update();
    this.speak();
  }

  /**
   * Whether to leave all as it is until the picture of another image is there: it is on the page
   * and takes some milliseconds, in which the eye should not see an empty stage.
   * @param {Slot} slot
   */
  waitFor(slot) {
    if (this.image && this.stages.isComing(slot) && !this.isLate) {
      this.patience ??= setTimeout(() => {
        this.isLate = true;
        this.draw();
      }, PATIENCE);
      return true;
    }
    clearTimeout(this.patience);
    this.patience = undefined;
    this.isLate = false;
    return false;
  }

  /** What is in the hand: at once, because it is what the eye follows. */
  paintLive() {
    const { desk, gestures, live } = this;
    const slot = desk.slot;
    const { draft, points, pointer } = gestures;
    const peeking = desk.hidden || desk.peeking;
    const shape = peeking ? null : (desk.dragged ?? desk.selection);
    const hovered = desk.hovered && desk.hovered !== shape?.label_id && !peeking
      ? desk.shapes.find((label) => label.label_id === desk.hovered)
      : null;
    const draws = gestures.toolFor() === "box" || gestures.toolFor() === "extreme";
    const mine = this.conflicts.wantedBox;
    const crosshair = pointer && draws && !gestures.spaceHeld ? pointer : null;
    if (!slot || slot.error || !(hovered || shape || draft || mine || points.length || crosshair)) {
      live.clear();
      return;
    }
    const context = live.begin();
    const { viewport } = desk;
    const colorOf = (/** @type {Label} */ { class_id: id }) => desk.classOf(id)?.color ?? "#ffffff";
    if (hovered) paintBox(context, boxOf(hovered), viewport, { color: colorOf(hovered), wide: true });
    if (shape) {
      const color = colorOf(shape);
      paintBox(context, boxOf(shape), viewport, { color, handles: desk.canDraw, wide: true });
      if (desk.dragged) paintSize(context, boxOf(shape), viewport, live);
      else paintName(context, desk.classOf(shape.class_id)?.name ?? "", color, boxOf(shape), viewport, live);
    }
    if (mine) {
      paintBox(context, mine, viewport, { color: "#ffffff" });
      paintName(context, "mine", "#ffffff", mine, viewport, live);
    }
    if (draft) {
      paintBox(context, draft, viewport, { color: desk.color });
      paintSize(context, draft, viewport, live);
    }
    paintPoints(context, points, viewport, desk.color);
    if (crosshair) paintCrosshair(context, crosshair, live, desk.color);
  }

  /** @param {string | null} failed why the image in view cannot be shown */
  drawCard(failed) {
    const { session } = this;
    const { view } = session.state;
    const slot = this.desk.slot;
    const empty = view.total === 0;
    const filtered = view.filter.status !== "all" || view.filter.class_id !== null || view.filter.text !== "";
    const waiting = empty && session.config.handed_out && !filtered;
    const text = waiting
      ? "All images are in the hands of other annotators, or done. What they give back comes to you."
      : empty ? "No image fits the filter." : failed;
    this.card.hidden = text === null;
    const key = `${slot?.image}\n${text}`;
    if (text === null || this.card.dataset.key === key) return;
    this.card.dataset.key = key;
    this.card.dataset.kind = empty ? "note" : "error";
    const retry = button({
      text: "Try again", label: "Read the image again",
      press: () => slot && session.send({ type: "retry", image: slot.image }),
    });
    const all = button({
      text: waiting ? "Look again" : "Show all",
      label: waiting ? "Look whether there are images again" : "Show all images",
      press: () => session.move({
        op: "filter", filter: { status: "all", class_id: null, text: "" },
      }),
    });
    this.card.replaceChildren(
      h("strong", {
        text: waiting ? "Nothing left for you" : empty ? "Nothing to show" : "This image cannot be shown",
      }),
      h("p", { text }),
      empty ? all : retry,
    );
  }

  speak() {
    const { notice } = this.session.state.view;
    if (notice && notice.number !== this.noticed) {
      this.noticed = notice.number;
      this.desk.said = "";
      this.showToast(notice.text, true);
      write(this.spoken, notice.text);
      return;
    }
    const { said, whispered } = this.desk;
    if (!said && !whispered) return;
    this.desk.said = this.desk.whispered = "";
    write(this.spoken, said || whispered);
    if (said) this.showToast(said, false);
  }

  /** @param {string} text @param {boolean} error */
  showToast(text, error) {
    write(this.toast, text);
    put(this.toast, "data-level", error ? "error" : "info");
    this.toast.classList.add("nba-on");
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.toast.classList.remove("nba-on"), error ? ERROR_MS : 1800);
  }

  close() {
    this.layer.remove();
    this.abort.abort();
    this.observer.disconnect();
    this.unsubscribe();
    clearTimeout(this.toastTimer);
    clearTimeout(this.patience);
    this.crisp.close();
  }
}

/** What anywidget calls once a widget: one session, however many views show it. */
export default () => {
  // Not kept by model: `initialize` and each `render` get an object of their own for the same one.
  /** @type {Session | undefined} */
  let session;
  return {
    /** @param {{model: Model}} context */
    initialize({ model }) {
      session = new Session(model);
      return () => session?.close();
    },
    /** @param {{model: Model, el: HTMLElement}} context */
    render({ model, el }) {
      session ??= new Session(model);
      return render(session, el);
    },
  };
};

/** @param {Session} session @param {HTMLElement} el @returns {() => void} what ends the view */
function render(session, el) {
  try {
    let view = new View(session, el);
    let config = session.config;
    const unsubscribe = session.subscribe(() => {
      if (session.config === config) return;
      // Another scheme or other keys: bars, palette and keys are built from them.
      config = session.config;
      const desk = view.desk;
      const isFocused = view.layer.contains(document.activeElement);
      view.close();
      view = new View(session, el);
      view.desk.resume(desk);
      // Else the next key would be the notebook's.
      if (isFocused) view.stage.focus({ preventScroll: true });
    });
    return () => {
      unsubscribe();
      view.close();
    };
  } catch (error) {
    // An error here would leave an empty cell; say what is wrong instead.
    const text = error instanceof Error ? error.message : String(error);
    el.append(h("div", { class: "nba-failed", role: "alert" }, [
      h("strong", { text: "nbannotate could not show this widget" }),
      h("p", { text }),
      h("p", { text: "Run nbannotate.check() in a cell: it says what is missing and how to mend it." }),
    ]));
    throw error;
  }
}
