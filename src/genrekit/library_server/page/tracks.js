// The table of tracks.

import { get } from "./api.js";
import { showCover } from "./covers.js";
import { button, byId, counted, element, genreTag, titleOf } from "./elements.js";
import { hasModifier } from "./keys.js";
import { query } from "./query.js";
import { scanForm } from "./scanning.js";
import { notify, session } from "./session.js";
import { clock, percent } from "./common/words.js";
import { Windowed } from "./windowed.js";

const COLUMNS = [
  ["artist", "Artist"], ["title", "Title"], ["album", "Album"], ["tag", "Tag"], ["label", "Prediction"],
  ["probability", "Probability"], ["agreement", "Agreement"], ["duration", "Length"],
];
const OTHER_SORTS = [["path", "Path"]];
const AGREEMENTS = { agrees: ["✓", "agrees"], disagrees: ["≠", "disagrees"], untagged: ["+", "no tag"], none: ["–", "none"] };

export class TracksView {
  constructor(onOpen, onPlay) {
    this.onOpen = onOpen;
    this.onPlay = onPlay;
    this.heads = new Map();
    this.table = new Windowed(byId("table"), "Tracks", this.#head(), {
      fetch: (offset, limit, signal) => this.#fetch(offset, limit, signal),
      make: makeRow,
      fill: fillRow,
      open: (row) => row && onOpen(row),
    });
    byId("table").addEventListener("keydown", (event) => this.#press(event));
    byId("clear").addEventListener("click", () => query.clear());
    const options = [...COLUMNS, ...OTHER_SORTS].flatMap(([key, text]) =>
      [new Option(text, key), new Option(`${text}, descending`, `${key} descending`)]);
    byId("sort").replaceChildren(...options);
    byId("sort").addEventListener("change", () => {
      const [sort, descending] = byId("sort").value.split(" ");
      query.set({ sort, descending: Boolean(descending) });
    });
    query.addEventListener("change", () => this.#ask(true));
    session.addEventListener("change", () => this.#showEmpty());
  }

  show() {
    this.table.show();
  }

  /** Fetch what is shown once more, after something has changed. */
  refresh() {
    return this.#ask(false);
  }

  async #ask(toTop) {
    this.#showOrder();
    try {
      await this.table.reload({ toTop });
    } catch (error) {
      notify(error.message, true);
    }
  }

  async #fetch(offset, limit, signal) {
    if (session.isEmpty) return { total: 0, rows: [] };
    const found = await get("tracks", { offset, limit, ...query.parameters }, signal);
    byId("track-count").textContent = this.#sentence(found.total);
    byId("clear").hidden = query.isWhole;
    byId("plan-these").disabled = !found.total;
    return found;
  }

  #sentence(total) {
    const place = query.lasso ? " chosen on the map" : "";
    if (!total) return `No matching tracks${place}.`;
    return `${counted(total, "track")}${place}`;
  }

  #showEmpty() {
    byId("empty").hidden = !session.isEmpty;
    byId("table").hidden = session.isEmpty;
    byId("track-count").parentElement.hidden = session.isEmpty;
    if (!session.isEmpty || byId("empty").childElementCount) return;
    byId("empty").append(
      element("h2", {}, "This library is empty"),
      element("p", {}, session.isReadOnly
        ? "It is read-only. Scan a folder on the command line: genrekit library scan FOLDER"
        : "Give a folder of music. Every track in it is analysed on this computer; no file is changed."),
      ...(session.isReadOnly ? [] : [scanForm("empty-folder")]),
    );
  }

  #head() {
    const row = element("div", { className: "cells", role: "row", "aria-rowindex": "1" });
    row.append(element("span", { role: "columnheader", className: "c-cover", "aria-label": "Cover" }));
    for (const [key, text] of COLUMNS) {
      const head = element("span", { role: "columnheader", className: `c-${key}` }, button(text, () => sortBy(key), { tabIndex: -1 }));
      this.heads.set(key, head);
      row.append(head);
    }
    return row;
  }

  #showOrder() {
    byId("sort").value = query.descending ? `${query.sort} descending` : query.sort;
    for (const [key, head] of this.heads) {
      if (key === query.sort) head.setAttribute("aria-sort", query.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  #press(event) {
    if (hasModifier(event)) return;
    const row = this.table.activeRow;
    const column = COLUMNS[Number(event.key) - 1];
    if (column && event.target === byId("table")) sortBy(column[0]);
    else if (event.key === "Enter" && row && event.target === byId("table")) this.onOpen(row);
    else if (event.key === " " && row && event.target === byId("table")) this.onPlay(row);
    else if (!this.table.press(event.key)) return;
    event.preventDefault();
  }
}

/** Sort by a column, or in the other direction where the table is sorted by it. */
function sortBy(key) {
  query.set({ sort: key, descending: query.sort === key && !query.descending });
}

function makeRow() {
  const row = element("div", { className: "cells row-of-table", role: "row" });
  const cell = (name, ...content) => element("span", { role: "gridcell", className: `c-${name}` }, ...content);
  const cover = element("span", { className: "cover" });
  const tag = genreTag("", "");
  const [dot, name] = tag.children;
  const bar = element("span", { className: "bar", "aria-hidden": "true" });
  const number = element("span", { className: "number" });
  const cells = {};
  row.append(cell("cover", cover), ...COLUMNS.map(([key]) => {
    cells[key] = cell(key);
    return cells[key];
  }));
  cells.label.append(tag);
  cells.probability.append(bar, number);
  const agreement = [element("span", { className: "sign" }), element("span", { className: "word" })];
  cells.agreement.append(...agreement);
  row.parts = { cover, dot, name, bar, number, agreement, cells };
  return row;
}

function fillRow(made, row) {
  const { cover, dot, name, bar, number, agreement, cells } = made.parts;
  showCover(cover, row);
  cells.artist.textContent = row.artist ?? "";
  cells.title.textContent = titleOf(row);
  cells.album.textContent = row.album ?? "";
  cells.tag.textContent = row.tags.join(", ");
  cells.tag.classList.toggle("placeholder", Boolean(row.is_placeholder));
  dot.style.opacity = row.label ? 1 : 0;
  dot.style.backgroundColor = session.colour(row.label);
  name.textContent = row.correction ? `${row.correction.join(", ")} ✎` : row.display_name ?? (row.error ? "failed" : "–");
  name.parentElement.title = row.error ?? row.warnings.join("; ");
  bar.style.setProperty("--share", row.probability ?? 0);
  number.textContent = row.probability === null ? "" : percent(row.probability);
  const [sign, word] = AGREEMENTS[row.agreement];
  agreement[0].textContent = sign;
  agreement[1].textContent = word;
  cells.agreement.dataset.agreement = row.agreement;
  cells.duration.textContent = row.duration_seconds === null ? "" : clock(row.duration_seconds);
  made.classList.toggle("gone", row.is_missing);
}
