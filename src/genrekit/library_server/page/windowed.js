// A table of any length of which only what is seen exists: fixed row height, fetched blocks, recycled rows.

import { element } from "./elements.js";
import { notify } from "./session.js";

const BLOCK = 100;
const BEYOND = 6; // rows made above and below what is seen

/**
 * source.fetch(offset, limit, signal) gives {total, rows}; source.make() gives an empty row element, and
 * source.fill(row element, row, index, row before) writes a row into it.
 */
export class Windowed {
  #blocks = new Map();
  #elements = new Map(); // of indexes
  #spare = [];
  #pending = null;
  #failed = new Set(); // blocks that did not come, while they are seen
  #isLate = false;
  #isStale = false;

  constructor(place, label, head, source) {
    this.place = place;
    this.source = source;
    this.total = 0;
    this.active = 0;
    this.body = element("div", { className: "rows", role: "rowgroup" });
    place.append(element("div", { className: "head", role: "rowgroup" }, head), this.body);
    const attributes = { role: "grid", tabindex: "0", "aria-label": label, "aria-multiselectable": "false" };
    for (const [name, value] of Object.entries(attributes)) place.setAttribute(name, value);
    place.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.body.addEventListener("click", (event) => this.#click(event));
    place.addEventListener("focus", () => this.#mark());
    new ResizeObserver(() => this.show()).observe(place);
  }

  /** Fetch anew; what is shown stays until that has come. Keep the place, or go to the top. */
  async reload({ toTop = false } = {}) {
    this.#pending?.abort();
    this.#pending = null;
    this.#failed.clear();
    if (toTop) {
      this.active = 0;
      this.place.scrollTop = 0;
    }
    this.#isStale = true;
    await this.#fetch(this.#wantedBlock());
  }

  /** The row at an index, where it was fetched. */
  at(index) {
    return this.#blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK];
  }

  get activeRow() {
    return this.at(this.active);
  }

  /** Replace rows that were fetched, by their id. */
  update(changed) {
    for (const block of this.#blocks.values()) {
      block.forEach((row, place) => {
        if (changed.has(row.id)) block[place] = changed.get(row.id);
      });
    }
    this.show();
  }

  /** Make a row the active one and bring it into view. */
  activate(index) {
    this.active = Math.max(0, Math.min(index, this.total - 1));
    const top = this.active * this.height;
    const room = this.place.clientHeight - this.body.offsetTop;
    if (top < this.place.scrollTop) this.place.scrollTop = top;
    else if (top + this.height > this.place.scrollTop + room) this.place.scrollTop = top + this.height - room;
    this.show();
  }

  get height() {
    return parseFloat(getComputedStyle(this.place).getPropertyValue("--row-height"));
  }

  get page() {
    return Math.max(1, Math.floor((this.place.clientHeight - this.body.offsetTop) / this.height) - 1);
  }

  /** Move with a key; returns whether it was one that moves. */
  press(key) {
    const moves = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, j: this.active + 1, k: this.active - 1,
      PageDown: this.active + this.page, PageUp: this.active - this.page, Home: 0, End: this.total - 1,
    };
    if (!(key in moves)) return false;
    this.activate(moves[key]);
    return true;
  }

  /** Bring the elements in line with the place that is scrolled to. */
  show() {
    const { height, total } = this;
    if (!this.place.clientHeight || !height) {
      this.#failed.clear();
      return;
    }
    this.body.style.height = `${total * height}px`;
    this.place.setAttribute("aria-rowcount", String(total + 1));
    const first = Math.max(0, Math.floor(this.place.scrollTop / height) - BEYOND);
    const last = Math.min(total, Math.ceil((this.place.scrollTop + this.place.clientHeight) / height) + BEYOND);
    for (const [index, made] of this.#elements) {
      if (index < first || index >= last) this.#put(index, made);
    }
    for (let index = first; index < last; index += 1) this.#showRow(index, height);
    this.#mark();
    const seen = [first, last - 1].map((index) => Math.floor(index / BLOCK));
    for (const block of this.#failed) {
      if (!seen.includes(block)) this.#failed.delete(block);
    }
    const missing = seen.find((block) => total && !this.#blocks.has(block) && !this.#failed.has(block));
    if (missing !== undefined) this.#want(missing);
  }

  #showRow(index, height) {
    const made = this.#elements.get(index) ?? this.#take(index);
    const row = this.at(index);
    made.style.transform = `translateY(${index * height}px)`;
    made.setAttribute("aria-rowindex", String(index + 2));
    made.classList.toggle("waiting", !row);
    if (row) this.source.fill(made, row, index, index ? this.at(index - 1) : null);
  }

  #take(index) {
    const made = this.#spare.pop() ?? this.source.make();
    made.id = `${this.place.id}-row-${index}`;
    made.dataset.index = String(index);
    made.hidden = false;
    if (!made.isConnected) this.body.append(made);
    this.#elements.set(index, made);
    return made;
  }

  #put(index, made) {
    this.#elements.delete(index);
    made.hidden = true;
    made.removeAttribute("id");
    this.#spare.push(made);
  }

  #mark() {
    for (const [index, made] of this.#elements) {
      made.setAttribute("aria-selected", String(index === this.active));
    }
    const isShown = this.#elements.has(this.active);
    if (isShown) this.place.setAttribute("aria-activedescendant", `${this.place.id}-row-${this.active}`);
    else this.place.removeAttribute("aria-activedescendant");
  }

  #soon() {
    if (this.#isLate) return;
    this.#isLate = true;
    requestAnimationFrame(() => {
      this.#isLate = false;
      this.show();
    });
  }

  #wantedBlock() {
    return Math.floor(this.place.scrollTop / (this.height || 1) / BLOCK);
  }

  /** Fetch one block at a time, the latest that is wanted; one that fails is tried when it is seen again. */
  async #want(block) {
    if (this.#pending?.block === block) return;
    this.#pending?.abort();
    try {
      await this.#fetch(block);
    } catch (error) {
      notify(error.message, true);
    }
  }

  #fetch(block) {
    const control = new AbortController();
    const pending = { block, abort: () => control.abort() };
    this.#pending = pending;
    pending.done = this.#load(pending, control.signal);
    return pending.done;
  }

  /** Load a block, or wait for the one that is loaded in its place. */
  async #load(pending, signal) {
    const { block } = pending;
    let found;
    try {
      found = await this.source.fetch(block * BLOCK, BLOCK, signal);
    } catch (error) {
      if (this.#pending === pending) this.#giveUp(block);
      else if (error.name === "AbortError") return this.#pending?.done;
      throw error;
    }
    if (this.#pending !== pending) return undefined;
    this.#pending = null;
    if (this.#isStale) this.#blocks.clear();
    this.#isStale = false;
    this.#blocks.set(block, found.rows);
    this.total = found.total;
    this.active = Math.max(0, Math.min(this.active, found.total - 1));
    this.show();
    return undefined;
  }

  /** Go on without a block that did not come, until it is seen again. */
  #giveUp(block) {
    this.#pending = null;
    this.#failed.add(block);
    this.show();
  }

  #click(event) {
    const row = event.target.closest("[data-index]");
    if (!row) return;
    this.activate(Number(row.dataset.index));
    if (!event.target.closest("button, a, input")) this.source.open?.(this.activeRow);
  }
}
