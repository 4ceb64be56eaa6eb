// Elements, made of text that stays text.

import { percent } from "./common/words.js";

export const byId = (id) => document.getElementById(id);

/** Make an element: properties are set, those with a dash or "role" as attributes, data may be text or nodes. */
export function element(tag, properties = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...content.filter((part) => part !== null && part !== undefined && part !== ""));
  return made;
}

export function button(text, onClick, properties = {}) {
  const made = element("button", { type: "button", ...properties }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** A coloured dot and a genre's name. */
export function genreTag(name, colour) {
  const dot = element("span", { className: "dot", "aria-hidden": "true" });
  if (colour) dot.style.backgroundColor = colour;
  return element("span", { className: "genre" }, dot, element("span", {}, name));
}

/** The names of genres as small boxes; "none" where there are none. */
export function genreBoxes(names, kind = "") {
  if (!names.length) return [element("span", { className: `box none ${kind}` }, "none")];
  return names.map((name) => element("span", { className: `box ${kind}` }, name));
}

/** What the genres of a file become, and on a line below what its style does in a field of its own. */
export function genreChange({ old: before, new: after, style }) {
  const isKept = JSON.stringify(before) === JSON.stringify(after);
  const genres = element("span", { className: "genres" }, ...(isKept ? [] : [...genreBoxes(before, "old"), becomes()]),
    ...genreBoxes(after, isKept ? "" : "new"));
  return style ? [genres, element("span", { className: "note clip" }, `${style.field}: `, ...(style.old.length ? [style.old.join(", "), " ", becomes(), " "] : []),
    element("strong", {}, style.new.join(", ") || "none"))] : [genres];
}

/** An arrow that is read as "becomes". */
function becomes() {
  return element("span", { className: "arrow" }, element("span", { "aria-hidden": "true" }, "→"), element("span", { className: "unseen" }, "becomes"));
}

/** One line of a list of bars: a name, its share as a bar of a class and a colour, and in percent. */
export function bar(name, share, { kind = "", colour = "" } = {}) {
  const fill = element("div", { className: `fill ${kind}` });
  fill.style.width = `${100 * share}%`;
  fill.style.background = colour;
  return element("li", {}, element("span", {}, name), element("span", { className: "track", "aria-hidden": "true" }, fill),
    element("span", { className: "number" }, percent(share)));
}

/** A number with its noun: "1 track", "2 tracks". */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** The last part of a path, whatever the system. */
export function nameOf(path) {
  return path.split(/[/\\]/).pop();
}

/** What stands before a path's last part, with the separator. */
export function folderOf(path) {
  return path.slice(0, path.length - nameOf(path).length);
}

export function titleOf(row) {
  return row.title || nameOf(row.path);
}

/** Call a function once the calls to this one have paused. */
export function whenQuiet(milliseconds, act) {
  let timer = null;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), milliseconds);
  };
}

/** A time of the server, which is in UTC, as people here write it. */
export function when(time) {
  const date = new Date(/[Zz]|[+-]\d\d:?\d\d$/.test(time) ? time : `${time.replace(" ", "T")}Z`);
  return date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
