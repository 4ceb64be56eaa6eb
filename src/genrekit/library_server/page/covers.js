// Cover pictures: one request an album, and none while the table is scrolled.

import { addressOf } from "./api.js";
import { titleOf } from "./elements.js";

const known = new Map(); // of albums: an address, or null where there is no picture
const QUIET_MS = 120;
let waiting = [];
let timer = null;

/** Show a row's cover in an element, or the initial of its album. */
export function showCover(place, row, isQuick = false) {
  const key = albumOf(row);
  if (place.dataset.album === key) return;
  place.dataset.album = key;
  place.style.setProperty("--hue", hueOf(key));
  place.replaceChildren((row.album || row.artist || titleOf(row) || "?").trim().charAt(0).toUpperCase());
  const address = known.get(key);
  if (address === null) return;
  if (address || isQuick) load(place, key, address ?? addressOf(row.id, "cover"));
  else {
    waiting.push([place, key, addressOf(row.id, "cover")]);
    clearTimeout(timer);
    timer = setTimeout(loadWaiting, QUIET_MS);
  }
}

function loadWaiting() {
  for (const [place, key, address] of waiting) {
    if (place.dataset.album === key && place.isConnected && known.get(key) !== null) load(place, key, address);
  }
  waiting = [];
}

function load(place, key, address) {
  const image = new Image();
  image.alt = "";
  image.addEventListener("load", () => {
    known.set(key, address);
    if (place.dataset.album === key) place.replaceChildren(image);
  });
  image.addEventListener("error", () => known.set(key, null));
  image.src = address;
}

function albumOf(row) {
  const folder = row.path.replace(/[^/\\]*$/, "");
  return row.album ? `${folder}\n${row.album}` : row.path;
}

function hueOf(text) {
  let hash = 0;
  for (const character of text) hash = (31 * hash + character.codePointAt(0)) % 360;
  return String(hash);
}
