// The player, and the stage whose cursor follows it and moves it.

import { clock } from "./words.js";

const STEP_SECONDS = 1;
const LEAP_SECONDS = 5;

export class Player {
  constructor(audio, stage, cursor) {
    this.audio = audio;
    this.stage = stage;
    this.cursor = cursor;
    this.seconds = 0;
    this.queue = [];
    this.url = null;
    stage.addEventListener("click", (event) => this.#click(event));
    stage.addEventListener("keydown", (event) => this.#press(event));
    for (const kind of ["timeupdate", "seeked", "loadedmetadata"]) {
      audio.addEventListener(kind, () => this.showPosition());
    }
    audio.addEventListener("play", () => this.#follow());
    audio.addEventListener("pause", () => {
      if (!this.#between) this.queue = [];
    });
  }

  #between = false;

  load(file, seconds) {
    this.stop();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(file);
    this.audio.src = this.url;
    this.watch(seconds);
  }

  /** Follow a track of some seconds that the element has, or will get from elsewhere. */
  watch(seconds) {
    this.seconds = seconds;
    this.stage.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.showPosition();
  }

  stop() {
    this.queue = [];
    this.audio.pause();
  }

  jump(seconds) {
    this.queue = [];
    this.audio.currentTime = Math.min(Math.max(seconds, 0), this.seconds);
    this.showPosition();
  }

  /** Play passages one after another, then stop. */
  playPassages(passages) {
    this.queue = [...passages];
    this.#next();
  }

  showPosition() {
    const time = this.audio.currentTime;
    const share = this.seconds ? Math.min(time / this.seconds, 1) : 0;
    this.cursor.style.transform = `translateX(${share * this.stage.clientWidth}px)`;
    this.stage.setAttribute("aria-valuenow", time.toFixed(1));
    this.stage.setAttribute("aria-valuetext", `${clock(time)} of ${clock(this.seconds)}`);
  }

  #next() {
    const [passage] = this.queue;
    if (!passage) {
      this.audio.pause();
      return;
    }
    this.#between = true;
    this.audio.currentTime = passage.start_seconds;
    this.audio.play().finally(() => {
      this.#between = false;
    });
  }

  /** Move the cursor with the sound, and go on to the next passage where one ends. */
  #follow() {
    this.showPosition();
    const [passage] = this.queue;
    if (passage && this.audio.currentTime >= passage.end_seconds) {
      this.queue.shift();
      this.#next();
    }
    if (!this.audio.paused) requestAnimationFrame(() => this.#follow());
  }

  #click(event) {
    const box = this.stage.getBoundingClientRect();
    this.jump(((event.clientX - box.left) / box.width) * this.seconds);
  }

  #press(event) {
    const now = this.audio.currentTime;
    const step = event.shiftKey ? LEAP_SECONDS : STEP_SECONDS;
    const moves = {
      ArrowRight: now + step, ArrowUp: now + step, ArrowLeft: now - step, ArrowDown: now - step,
      PageUp: now + LEAP_SECONDS, PageDown: now - LEAP_SECONDS, Home: 0, End: this.seconds,
    };
    if (event.key in moves) this.jump(moves[event.key]);
    else if (event.key === " ") this.audio.paused ? this.audio.play() : this.audio.pause();
    else return;
    event.preventDefault();
  }
}
