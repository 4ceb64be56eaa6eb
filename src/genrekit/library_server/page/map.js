// The map of tracks: look, move, zoom, choose by a lasso.

import { get } from "./api.js";
import { byId, counted, element, genreTag, titleOf, whenQuiet } from "./elements.js";
import { hasModifier } from "./keys.js";
import { Points } from "./points.js";
import { query } from "./query.js";
import { notify, session } from "./session.js";

const TIP_MS = 120;
const STEP = 40; // pixels of an arrow key
const NEAR = 12;
const N_CORNERS = 100;

export class MapView {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.points = new Points(byId("map-canvas"));
    this.isStale = true;
    this.isLasso = false;
    this.corners = null;
    this.#bindEvents();
    const tip = whenQuiet(TIP_MS, (x, y) => this.#showTip(x, y));
    byId("map-canvas").addEventListener("pointermove", (event) => tip(event.offsetX, event.offsetY));
    byId("map-canvas").addEventListener("pointerleave", () => tip(-1, -1));
    new ResizeObserver(() => this.points.draw()).observe(byId("map-canvas"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.points.draw());
    query.addEventListener("change", () => this.#highlight());
  }

  async show() {
    if (this.isStale) await this.refresh();
    else await this.#highlight();
  }

  /** Fetch the map; where the view is not seen, when it is shown next. */
  async refresh() {
    this.isStale = true;
    if (byId("map").hidden || session.isEmpty) return;
    try {
      const map = await get("map");
      this.isStale = false;
      this.points.use(map, map.label_names.map((label) => session.colour(label)));
      this.#showLegend(map);
      await this.#highlight();
    } catch (error) {
      notify(error.message, true);
    }
  }

  /** Dim what the query leaves out; where the view is not seen, when it is shown next. */
  async #highlight() {
    if (this.isStale || byId("map").hidden) return;
    this.points.lit = query.isWhole ? null : new Set((await get("tracks/ids", query.parameters)).ids);
    const total = this.points.ids.length;
    byId("map-note").textContent = total
      ? `${counted(this.points.lit ? this.points.lit.size : total, "track")}${this.points.lit ? ` of ${total.toLocaleString("en")}` : ""}`
      : "The model of the last scan has no map; scan with another model.";
    this.points.draw();
  }

  #showLegend(map) {
    const counts = new Map();
    for (const index of map.labels) counts.set(index, (counts.get(index) ?? 0) + 1);
    const shown = [...counts].filter(([index]) => index >= 0).sort((a, b) => b[1] - a[1]);
    byId("map-colours").replaceChildren(...shown.map(([index]) =>
      element("li", {}, genreTag(session.name(map.label_names[index]), session.colour(map.label_names[index])))));
  }

  #bindEvents() {
    const canvas = byId("map-canvas");
    byId("map-pan").addEventListener("click", () => this.#useLasso(false));
    byId("map-lasso").addEventListener("click", () => this.#useLasso(true));
    byId("map-in").addEventListener("click", () => this.points.zoom(1.5));
    byId("map-out").addEventListener("click", () => this.points.zoom(1 / 1.5));
    byId("map-reset").addEventListener("click", () => this.points.reset());
    byId("map-select").addEventListener("click", () => this.#choose(this.points.view()));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.points.zoom(1.0015 ** -event.deltaY, event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#press(event));
  }

  #useLasso(isLasso) {
    this.isLasso = isLasso;
    byId("map-pan").setAttribute("aria-pressed", String(!isLasso));
    byId("map-lasso").setAttribute("aria-pressed", String(isLasso));
    byId("map-canvas").classList.toggle("lasso", isLasso);
  }

  #down(event) {
    byId("map-canvas").setPointerCapture(event.pointerId);
    this.dragged = 0;
    this.corners = this.isLasso || event.shiftKey ? [[event.offsetX, event.offsetY]] : null;
    this.isDown = true;
  }

  #move(event) {
    if (!this.isDown) return;
    this.dragged += Math.abs(event.movementX) + Math.abs(event.movementY);
    if (this.corners) {
      this.corners.push([event.offsetX, event.offsetY]);
      this.points.draw(this.corners);
    } else this.points.move(event.movementX, event.movementY);
  }

  #up(event) {
    this.isDown = false;
    const { corners } = this;
    this.corners = null;
    if (corners?.length > 3) this.#choose(thinned(corners).map(([x, y]) => this.points.placeOf(x, y)));
    else if (this.dragged < 4) this.#openAt(event.offsetX, event.offsetY);
  }

  /** Show the tracks within corners in the table. */
  #choose(corners) {
    this.#useLasso(false);
    query.set({ lasso: corners });
    location.hash = "#tracks";
  }

  async #openAt(x, y) {
    const id = this.points.near(x, y, NEAR);
    if (id !== null) this.onOpen(await get(`tracks/${id}`));
  }

  async #showTip(x, y) {
    const tip = byId("map-tip");
    const id = this.isDown || x < 0 ? null : this.points.near(x, y, NEAR);
    tip.hidden = id === null;
    if (id === null) return;
    const row = await get(`tracks/${id}`);
    tip.replaceChildren(element("strong", {}, titleOf(row)), row.artist ? ` · ${row.artist}` : "", element("br"),
      genreTag(row.display_name ?? "none", session.colour(row.label)));
    tip.style.left = `${Math.min(x + 14, byId("map-canvas").clientWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
  }

  #press(event) {
    if (hasModifier(event)) return;
    const canvas = byId("map-canvas");
    const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    if (event.key in moves) this.points.move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.points.zoom(1.5);
    else if (event.key === "-") this.points.zoom(1 / 1.5);
    else if (event.key === "0") this.points.reset();
    else if (event.key === "l") this.#useLasso(!this.isLasso);
    else if (event.key === "Enter") this.#openAt(canvas.clientWidth / 2, canvas.clientHeight / 2);
    else return;
    event.preventDefault();
  }
}

function thinned(corners) {
  const step = Math.ceil(corners.length / N_CORNERS);
  return corners.filter((_, index) => index % step === 0);
}
