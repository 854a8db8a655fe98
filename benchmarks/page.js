/**
 * A stopwatch in the page, the same for every contender.
 *
 * It starts when the browser hands the event to the page (a listener of `window` that comes before
 * all others), and asks again and again whether the answer is there: right after the event's
 * listeners, in the microtask after them, when an element of the widget has changed or loaded, in
 * each later task and before each frame. What a look itself takes is not counted: the time is taken
 * before it.
 */
(() => {
  const { port1, port2 } = new MessageChannel();
  const waiting = [];
  port1.onmessage = () => waiting.shift()();
  /** Call in a task of its own, as soon as there is room for one. */
  const soon = (call) => {
    waiting.push(call);
    port2.postMessage(null);
  };

  const probe = new OffscreenCanvas(16, 1).getContext("2d", { willReadFrequently: true });

  /** The number that the picture bears; 0 when it has none. */
  function numberOn(picture, bits, square, width) {
    const isImage = picture instanceof HTMLImageElement;
    if (isImage && !(picture.complete && picture.naturalWidth)) return 0;
    const unit = ((isImage ? picture.naturalWidth : picture.width) / width) * square;
    probe.clearRect(0, 0, 16, 1);
    probe.imageSmoothingEnabled = false; // each pixel is that of a square's middle
    probe.drawImage(picture, 0, unit / 4, bits * unit, unit / 2, 0, 0, bits, 1);
    const { data } = probe.getImageData(0, 0, bits, 1);
    let number = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      if (data[bit * 4 + 3] && data[bit * 4] > 127) number += 1 << bit;
    }
    return number;
  }

  const isSeen = (element) =>
    element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";

  /** The same, without having the page laid out. */
  const mayBeSeen = (element) => element.style.visibility !== "hidden";

  /** What the eye would see change: a patch of a canvas under the pointer, or a shape's place. */
  function looker({ kind, selector, mark }, at, wanted) {
    if (kind === "nothing") return () => true;
    if (kind === "picture") {
      // One that is there already need not be read again, which would cost the page a frame's part.
      const ready = Array.from(document.querySelectorAll(selector)).filter((picture) =>
        numberOn(picture, mark.bits, mark.square, mark.width) === wanted);
      if (ready.length) return () => ready.some(mayBeSeen) && ready.some(isSeen);
      return () => window.stopwatch.has({ selector, mark }, wanted, false);
    }
    const elements = document.querySelectorAll(selector);
    const element = elements[kind === "last shape" ? elements.length - 1 : 0];
    let signature;
    if (kind === "pixels") {
      const box = element.getBoundingClientRect();
      const x = Math.round(((at.x - box.left) * element.width) / box.width);
      const y = Math.round(((at.y - box.top) * element.height) / box.height);
      const context = element.getContext("2d");
      signature = () => context.getImageData(x - 2, y - 2, 5, 5).data.join();
    } else {
      const names = ["x", "y", "width", "height", "style"];
      signature = () => names.map((name) => element.getAttribute(name)).join();
    }
    const before = signature();
    return () => signature() !== before;
  }

  let running = null;

  window.stopwatch = {
    /**
     * Wait for the next event of the type; `result` then tells in milliseconds
     * seen: until what was wanted was there; shown: until the frame with it was painted;
     * work: what the event's listeners and the frame after them kept the page busy for.
     */
    arm({ type, look, at, wanted, seconds = 10 }) {
      const isThere = looker(look, at, wanted);
      const stand = document.querySelector(".bench-stand");
      const abort = new AbortController();
      const after = type === "pointermove" ? ["pointermove", "mousemove"] : [type];
      running = new Promise((resolve) => {
        let start = 0;
        let listened = 0;
        let begun = 0; // the frame
        let frame = null;
        let seen = null;
        let shown = null;
        const settle = () => {
          if (seen === null || shown === null || frame === null) return;
          abort.abort();
          resolve({ seen, shown, work: listened + frame });
        };
        const attempt = () => {
          if (seen !== null) return;
          const now = performance.now();
          if (!isThere()) return;
          seen = now - start;
          requestAnimationFrame(() => soon(() => {
            shown = performance.now() - start;
            settle();
          }));
        };
        const look = () => {
          attempt();
          if (seen !== null) return;
          if (performance.now() - start > seconds * 1000) {
            abort.abort();
            resolve(null);
          } else soon(look);
        };
        const options = { signal: abort.signal };
        // Some widgets keep their events from coming to `window`, but not what they change.
        const observer = new MutationObserver(() => {
          if (!start) return;
          if (!begun) listened = Math.max(listened, performance.now() - start);
          attempt();
        });
        const attributeFilter = ["style", "src", "width", "height", "x", "y"];
        observer.observe(stand, { subtree: true, attributes: true, attributeFilter });
        abort.signal.addEventListener("abort", () => observer.disconnect());
        window.addEventListener("load", () => start && attempt(), { ...options, capture: true });
        window.addEventListener(type, (event) => {
          if (start || event.key === "Shift") return; // the key that acts comes after it
          start = performance.now();
          requestAnimationFrame(() => {
            begun = performance.now();
            attempt();
            soon(() => {
              frame = performance.now() - begun;
              settle();
            });
          });
          soon(look);
        }, { ...options, capture: true });
        for (const name of after) {
          window.addEventListener(name, () => {
            if (!start) return;
            listened = performance.now() - start;
            attempt();
            queueMicrotask(attempt);
          }, options);
        }
      });
    },
    result: () => running,

    /** A wait of up to a frame, so that events come at any time between two frames. */
    someTime: () => new Promise((done) => setTimeout(done, (Math.random() * 1000) / 60)),

    /** Whether the picture with the number is there; also one that is not to be seen yet. */
    has: ({ selector, mark }, number, hidden) =>
      Array.from(document.querySelectorAll(selector)).some((picture) =>
        // In this order, for the last would have the page laid out at each look.
        (hidden || mayBeSeen(picture))
        && numberOn(picture, mark.bits, mark.square, mark.width) === number
        && (hidden || isSeen(picture))),

    /** How many pictures with the number there are, to be seen or not. */
    count: ({ selector, mark }, number) =>
      Array.from(document.querySelectorAll(selector)).filter((picture) =>
        numberOn(picture, mark.bits, mark.square, mark.width) === number).length,
  };
})();
