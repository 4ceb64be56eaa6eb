// The list of files: one row each, sortable, the chosen one marked.

import { clock, colourOf, nameOf, percent } from "./words.js";

const KEYS = {
  name: (entry) => entry.name.toLowerCase(),
  genre: (entry) => (entry.prediction ? entry.prediction.label ?? "~unknown" : "~~"),
  probability: (entry) => entry.prediction?.probability ?? -1,
  seconds: (entry) => entry.prediction?.duration_seconds ?? -1,
};

/** Show entries ({name, prediction, error}) in a table; onChoose gets the entry that is clicked. */
export class FileList {
  constructor(section, onChoose) {
    this.section = section;
    this.onChoose = onChoose;
    this.entries = [];
    this.order = null;
    for (const head of section.querySelectorAll("th[data-key]")) {
      head.querySelector("button").addEventListener("click", () => this.#sortBy(head));
    }
  }

  show(chosen) {
    this.section.hidden = this.entries.length < 2;
    const rows = this.#sorted().map((entry) => this.#row(entry, entry === chosen));
    this.section.querySelector("tbody").replaceChildren(...rows);
  }

  #sortBy(head) {
    const again = this.order?.key === head.dataset.key && this.order.sign === 1;
    this.order = { key: head.dataset.key, sign: again ? -1 : 1 };
    for (const other of this.section.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", again ? "descending" : "ascending");
    this.show(this.chosen);
  }

  #sorted() {
    if (!this.order) return this.entries;
    const { key, sign } = this.order;
    const value = KEYS[key];
    return [...this.entries].sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
  }

  #row(entry, isChosen) {
    if (isChosen) this.chosen = entry;
    const row = document.createElement("tr");
    row.setAttribute("aria-current", String(isChosen));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = entry.name;
    button.addEventListener("click", () => this.onChoose(entry));
    row.append(cellOf(button), ...cellsOf(entry));
    return row;
  }
}

/** Return the cells behind a file's name; the reason of a failure takes all of them. */
function cellsOf({ name, prediction, error }) {
  if (!prediction) {
    const cell = cellOf(error ? `failed: ${error.replace(`${name}: `, "")}` : "analysing…");
    cell.colSpan = 3;
    cell.classList.toggle("failure", Boolean(error));
    return [cell];
  }
  const genre = cellOf(nameOf(prediction));
  genre.className = "swatch";
  genre.style.setProperty("--swatch", colourOf(prediction, prediction.label));
  return [genre, cellOf(percent(prediction.probability)), cellOf(clock(prediction.duration_seconds))];
}

function cellOf(content) {
  const cell = document.createElement("td");
  cell.append(content);
  return cell;
}
