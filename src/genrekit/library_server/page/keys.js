// The keyboard: what every view understands, and the help that `?` opens.

import { ask } from "./dialogs.js";
import { byId, element } from "./elements.js";
import { sound } from "./sound.js";

const HELP = [
  ["Everywhere", [["?", "this help"], ["/", "search"], ["g, then 1 … 5", "Tracks, Map, Review, Teach, Scan"], ["p", "play or pause"],
    ["Esc", "close the track"]]],
  ["In a table", [["↑ ↓ or k j", "one row"], ["Page ↑ ↓, Home, End", "further"], ["Enter", "open the track"], ["Space", "play it"]]],
  ["Tracks", [["1 … 8", "sort by a column, again for the other direction"]]],
  ["Review", [["a", "accept"], ["r", "reject"], ["o", "leave open"], ["e", "edit the genres"], ["A", "accept the whole album"]]],
  ["Map", [["arrows", "move"], ["+ −", "zoom"], ["0", "all"], ["Enter", "open the track in the middle"], ["l", "lasso"]]],
  ["Position in a track", [["← →", "one second, five with Shift"], ["Space", "play or pause"]]],
];
const VIEWS = ["#tracks", "#map", "#review", "#teach", "#scan"];

/** Whether a key belongs to the browser or the system, not to the page. */
export function hasModifier(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
}

export function startKeys() {
  let isGoing = false;
  byId("keys").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (hasModifier(event) || event.target.closest("input, select, textarea, dialog")) return;
    if (isGoing && VIEWS[Number(event.key) - 1]) {
      location.hash = VIEWS[Number(event.key) - 1];
      event.stopPropagation();
      event.preventDefault();
    } else if (event.key === "?") help();
    else if (event.key === "/") {
      event.preventDefault();
      location.hash = byId("map").hidden ? "#tracks" : "#map";
      byId("search").focus();
    } else if (event.key === "p" && sound.row) sound.toggle(sound.row);
    isGoing = event.key === "g";
  }, { capture: true });
}

function help() {
  if (byId("dialog").open) return;
  ask({ title: "Keyboard", content: HELP.map(([title, keys]) => element("section", {}, element("h3", {}, title),
    element("dl", { className: "keys" }, ...keys.flatMap(([key, text]) => [element("dt", {}, key), element("dd", {}, text)])))) });
}
