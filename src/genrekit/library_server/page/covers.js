// Cover pictures: one request an album, and none while the table is scrolled.

import { addressOf } from "./api.js";
import { folderOf, titleOf } from "./elements.js";

const known = new Map(); // of albums that have a picture: its address
const without = new Set(); // ids of tracks that have none
const QUIET_MS = 120;
let waiting = [];
let timer = null;

/** Show a row's cover in an element, or the initial of its album; at once where it is quick. */
export function showCover(place, row, isQuick = false) {
  const key = albumOf(row);
  if (place.dataset.album === key && (place.firstElementChild || place.dataset.track === String(row.id))) return;
  place.dataset.album = key;
  place.dataset.track = String(row.id);
  place.style.setProperty("--hue", hueOf(key));
  place.replaceChildren((row.album || row.artist || titleOf(row) || "?").trim().charAt(0).toUpperCase());
  if (isQuick || known.has(key)) load(place, key, row.id);
  else {
    waiting.push([place, key, row.id]);
    clearTimeout(timer);
    timer = setTimeout(loadWaiting, QUIET_MS);
  }
}

function loadWaiting() {
  for (const [place, key, id] of waiting) {
    if (place.dataset.album === key && place.isConnected) load(place, key, id);
  }
  waiting = [];
}

function load(place, key, id) {
  if (without.has(id) && !known.has(key)) return;
  const address = known.get(key) ?? addressOf(id, "cover");
  const image = new Image();
  image.alt = "";
  image.addEventListener("load", () => {
    known.set(key, address);
    if (place.dataset.album === key) place.replaceChildren(image);
  });
  image.addEventListener("error", () => without.add(id));
  image.src = address;
}

function albumOf(row) {
  return row.album ? `${folderOf(row.path)}\n${row.album}` : row.path;
}

function hueOf(text) {
  let hash = 0;
  for (const character of text) hash = (31 * hash + character.codePointAt(0)) % 360;
  return String(hash);
}
