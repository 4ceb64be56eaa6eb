// The page: views by the address's part behind #, and what happens between them.

import { get } from "./api.js";
import { byId, element } from "./elements.js";
import { startFilters } from "./filters.js";
import { jobs, startJobs } from "./jobs.js";
import { startKeys } from "./keys.js";
import { MapView } from "./map.js";
import { query } from "./query.js";
import { ReviewView } from "./review.js";
import { ScanView } from "./scanning.js";
import { notify, session } from "./session.js";
import { sound } from "./sound.js";
import { TeachView } from "./teach.js";
import { TrackPanel } from "./track.js";
import { TracksView } from "./tracks.js";

const RENEW_MS = 3000;
let renewed = 0;
const open = (row) => panel.open(row);
const play = (row) => sound.toggle(row);
const panel = new TrackPanel(changed, (track) => views.review.transactions.run({ track: track.id }));
const views = {
  tracks: new TracksView(open, play),
  map: new MapView(open),
  review: new ReviewView(open, play, renew),
  teach: new TeachView(open, changed),
  scan: new ScanView(),
};

function viewName() {
  const name = location.hash.slice(1);
  return name in views ? name : "tracks";
}

function showView() {
  const chosen = viewName();
  for (const name of Object.keys(views)) byId(name).hidden = name !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("filters").hidden = !(chosen === "tracks" || chosen === "map") || session.isEmpty;
  document.title = `${byId(chosen).getAttribute("aria-label")} · genrekit library`;
  notify("");
  views[chosen].show?.();
}

/** A track was corrected: show it everywhere, and count anew. */
async function changed(row) {
  views.tracks.table.update(new Map([[row.id, row]]));
  await session.load();
  views.teach.recount();
  if (panel.row?.id === row.id) await panel.refresh();
}

/** The library has changed: fetch what is shown once more. */
async function renew() {
  await session.load();
  await Promise.all([views.tracks.refresh(), views.map.refresh(), panel.refresh()]);
}

/** Renew while a job goes on, but not at each of its steps. */
async function renewAtTimes() {
  if (performance.now() - renewed < RENEW_MS) return;
  renewed = performance.now();
  await renew();
}

async function start() {
  startKeys();
  startFilters();
  sound.start(open);
  try {
    await session.load();
  } catch (error) {
    notify(error.message, true);
    return;
  }
  document.body.classList.toggle("read-only", session.isReadOnly);
  byId("plan-these").addEventListener("click", () => {
    location.hash = "#review";
    views.review.renewForm();
  });
  addEventListener("hashchange", showView);
  showView();
  await views.tracks.refresh();
  jobs.addEventListener("end", () => renew());
  jobs.addEventListener("progress", (event) => event.detail.kind !== "train" && renewAtTimes());
  await startJobs();
  const { genres } = await get("genres");
  byId("genre-names").append(...genres.map((name) => element("option", { value: name })));
}

start().catch((error) => notify(error.message, true));
