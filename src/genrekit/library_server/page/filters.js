// The filters beside the table and the map: search, kinds of tracks, the tree of genres.

import { button, byId, element, genreTag, whenQuiet } from "./elements.js";
import { KINDS, query } from "./query.js";
import { session } from "./session.js";
import { percent } from "./common/words.js";

const SEARCH_MS = 30;
const WIDE = matchMedia("(min-width: 60rem)");

export function startFilters() {
  byId("search-form").addEventListener("submit", (event) => event.preventDefault());
  const search = whenQuiet(SEARCH_MS, () => query.set({ search: byId("search").value.trim() }));
  byId("search").addEventListener("input", search);
  session.addEventListener("change", show);
  query.addEventListener("change", show);
  byId("filter-details").open = WIDE.matches;
  WIDE.addEventListener("change", () => {
    byId("filter-details").open = WIDE.matches;
  });
}

function show() {
  if (byId("search").value.trim() !== query.search) byId("search").value = query.search;
  const { counts, labels, threshold } = session.fields;
  const kinds = KINDS.filter(([kind]) => kind === "all" || counts[kind] || query.filter === kind);
  fill(byId("kinds"), kinds.map(([kind, text]) => {
    const name = kind === "below" ? `Below ${percent(threshold)}` : text;
    return choice(`kind-${kind}`, element("span", {}, name), counts[kind], query.filter === kind, 0, () =>
      query.set({ filter: kind }));
  }));
  fill(byId("genres"), tree(labels).map(({ label, depth }) =>
    choice(`genre-${label.label}`, genreTag(label.display_name, label.colour), label.n_tracks,
      query.genre === label.label, depth, () =>
        query.set({ genre: query.genre === label.label ? null : label.label }))));
  byId("filter-summary").textContent = summary();
}

/** Put choices into a list, and the focus back to where it was. */
function fill(list, items) {
  const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
  list.replaceChildren(...items);
  if (focused) byId(focused)?.focus();
}

function choice(id, name, count, isChosen, depth, onClick) {
  const number = element("span", { className: "number" }, (count ?? 0).toLocaleString("en"));
  const made = button(name, onClick, { id, "aria-pressed": String(isChosen) });
  made.append(number);
  made.style.paddingInlineStart = `${0.6 + depth}rem`;
  return element("li", {}, made);
}

/** The labels with the narrower ones below their wider one. */
function tree(labels) {
  const names = new Set(labels.map((label) => label.label));
  const below = Map.groupBy(labels, (label) => (names.has(label.parent) ? label.parent : null));
  const walk = (parent, depth) => (below.get(parent) ?? []).flatMap((label) =>
    [{ label, depth }, ...walk(label.label, depth + 1)]);
  return walk(null, 0);
}

function summary() {
  const parts = [KINDS.find(([kind]) => kind === query.filter && kind !== "all")?.[1]];
  if (query.genre) parts.push(session.name(query.genre));
  if (query.lasso) parts.push("from the map");
  return parts.filter(Boolean).join(", ");
}
