// The form that makes a plan: which tracks, and how careful.

import { byId, element } from "./elements.js";
import { jobs } from "./jobs.js";
import { query } from "./query.js";
import { session } from "./session.js";

const MODES = [
  ["fill-missing", "Fill missing genres", "Placeholders such as Other or Unknown count as missing."],
  ["append", "Add to existing genres", "The genres that a file has are kept."],
  ["merge", "Add, and make genres narrower", "A style replaces its wider genre: Rock becomes Metal."],
  ["replace", "Replace existing genres", "Even if the tag names another genre."],
];

const STYLES = {
  predicted: ["As predicted: Metal", {}],
  widest: ["The widest genre only: Rock", { depth: 1 }],
  both: ["With its wider genres first: Rock, Metal", { with_parents: true }],
  STYLE: ["Rock, and Metal in the field STYLE", { style_field: "STYLE" }],
  GROUPING: ["Rock, and Metal in the field GROUPING", { style_field: "GROUPING" }],
  SUBGENRE: ["Rock, and Metal in the field SUBGENRE", { style_field: "SUBGENRE" }],
};

/** Make the form; onDone gets the job that made the plan. */
export function planForm(onDone) {
  const form = element("form", { className: "card writes", id: "plan-form" },
    element("h2", {}, "Propose genres"),
    element("p", {}, "A plan lists the genres to write into files. You review it here; "
      + "no file is changed until you apply it."),
    fieldset("Tracks", radios("scope", scopes())),
    fieldset("What to do", radios("mode", MODES)),
    element("details", {}, element("summary", {}, "More"), ...options()),
    element("div", { className: "row end" }, element("button", { className: "primary" }, "Propose")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const job = await jobs.run("plan", bodyOf(new FormData(form)));
    if (job) onDone(job);
  });
  return form;
}

function scopes() {
  const folders = session.fields.folders.map((folder) => [`folder:${folder}`, folder, ""]);
  const whole = ["all", "The whole library", ""];
  const shown = query.isWhole ? [] : [["query", byId("track-count").textContent || "The tracks in the table", "As the table shows them now."]];
  return [...shown, whole, ...(folders.length > 1 ? folders : [])];
}

function bodyOf(fields) {
  const scope = fields.get("scope");
  const chosen = scope === "query" ? { filter: query.conditions }
    : scope.startsWith("folder:") ? { folders: [scope.slice(7)] } : {};
  const precision = fields.get("precision");
  return {
    ...chosen, mode: fields.get("mode"), by_album: fields.has("by-album"), top: Number(fields.get("top")),
    min_precision: precision === "" ? null : Number(precision) / 100, profile: fields.get("profile"),
    genre_map: fields.get("names") || null, ...STYLES[fields.get("styles")][1],
  };
}

function fieldset(title, content) {
  return element("fieldset", {}, element("legend", {}, title), ...content);
}

function radios(name, choices) {
  return choices.map(([value, text, note], index) => {
    const input = element("input", { type: "radio", name, value, checked: index === 0 });
    return element("label", { className: "radio" }, input, element("span", {}, text, note && element("span", { className: "note" }, ` ${note}`)));
  });
}

function options() {
  const { profiles, genre_maps: names } = session.fields;
  const precision = element("input", { type: "number", id: "plan-precision", name: "precision", min: 0, max: 99, step: "any", placeholder: "90" });
  const top = element("input", { type: "number", id: "plan-top", name: "top", min: 1, max: 9, value: 1, required: true });
  const album = element("input", { type: "checkbox", name: "by-album" });
  return [
    labelled("Required precision of proposals, in %", precision),
    labelled("Maximum genres per file", top),
    labelled("Styles (Metal is a style of Rock)", select("styles", Object.entries(STYLES).map(([key, [text]]) => [key, text]))),
    labelled("Genre names", select("names", [["", "as spelled by genrekit"], ...names.map((name) => [name, name])])),
    labelled("Player", select("profile", profiles.map((name) => [name, name]))),
    element("label", { className: "radio" }, album, element("span", {}, "The same genre for all tracks of an album")),
  ];
}

function select(name, choices) {
  return element("select", { name, id: `plan-${name}` }, ...choices.map(([value, text]) => new Option(text, value)));
}

function labelled(text, field) {
  return element("p", { className: "field" }, element("label", { htmlFor: field.id }, text), field);
}
