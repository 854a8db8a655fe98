/** Active time: what passes while someone is at work; a pause of over a minute counts a minute. */
// @ts-check

const LONGEST_PAUSE_MS = 60_000;

export class Clock {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.last = now();
    this.active = 0;
  }

  /** Someone moved, pressed or scrolled. */
  tick() {
    const at = this.now();
    this.active += Math.min(at - this.last, LONGEST_PAUSE_MS);
    this.last = at;
  }

  /** Seconds of active time since the last call. */
  take() {
    this.tick();
    const seconds = this.active / 1000;
    this.active = 0;
    return Math.round(seconds * 1000) / 1000;
  }
}
