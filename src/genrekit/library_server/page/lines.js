// The lines of a plan: the album where it begins, the track, old and new, the reason, the decision.

import { showCover } from "./covers.js";
import { button, element, folderOf, genreChange, titleOf } from "./elements.js";
import { percent } from "./common/words.js";

const OUTCOMES = { changed: "written", unchanged: "unchanged", failed: "failed" };

export function albumOf(line) {
  return line.album ? `${line.album_artist ?? folderOf(line.path)}\n${line.album}` : line.path;
}

export function reviewHead() {
  const heads = [["album", "Album"], ["track", "Track"], ["change", "Change"], ["why", "Why"], ["decision", "Decision"]];
  return element("div", { className: "cells", role: "row", "aria-rowindex": "1" },
    ...heads.map(([name, text]) => element("span", { role: "columnheader", className: `p-${name}` }, text)));
}

/** Make an empty line; actions are called with the line that it shows. */
export function makeLine(actions) {
  const made = element("div", { className: "cells line", role: "row" });
  const cell = (name, ...content) => element("span", { role: "gridcell", className: `p-${name}` }, ...content);
  const act = (name, ...values) => () => actions[name](made.line, ...values);
  const cover = element("span", { className: "cover" });
  const album = element("span", { className: "clip" });
  const whole = button("Accept album", act("album", "accepted"), { className: "small", tabIndex: -1 });
  const title = button("", act("open"), { className: "plain-button clip", tabIndex: -1 });
  const artist = element("span", { className: "note clip" });
  const change = cell("change");
  const why = cell("why");
  const buttons = [["accepted", "✓", "Accept"], ["rejected", "✕", "Reject"]].map(([decision, sign, text]) => {
    const decide = () => actions.decide(made.line, made.line.decision === decision ? "open" : decision);
    return [decision, button(sign, decide, { className: `decide ${decision}`, title: text, tabIndex: -1, "aria-label": text })];
  });
  const edit = button("✎", act("edit"), { className: "decide", title: "Edit", tabIndex: -1, "aria-label": "Edit the genres" });
  const outcome = element("span", { className: "note" });
  made.append(cell("album", cover, element("span", { className: "two-lines" }, album, whole)),
    cell("track", element("span", { className: "two-lines" }, title, artist)), change, why,
    cell("decision", ...buttons.map(([, one]) => one), edit, outcome));
  made.parts = { cover, album, whole, title, artist, change, why, buttons, edit, outcome, isOpen: actions.isOpen };
  return made;
}

export function fillLine(made, line, index, before) {
  const { cover, album, whole, title, artist, change, why, buttons, edit, outcome, isOpen } = made.parts;
  if (made.line === line && made.before === before && made.wasOpen === isOpen()) return;
  Object.assign(made, { line, before, wasOpen: isOpen() });
  const isFirst = !before || albumOf(before) !== albumOf(line);
  made.classList.toggle("first", isFirst);
  cover.parentElement.classList.toggle("absent", !isFirst);
  showCover(cover, { ...line, id: line.track_id });
  album.textContent = line.album ?? "No album";
  whole.hidden = !line.album || !isOpen() || !isFirst;
  title.textContent = titleOf(line);
  artist.replaceChildren(line.artist ?? "", element("span", { className: "on-phone" }, line.album ? ` · ${line.album}` : ""));
  change.replaceChildren(...genreChange(line));
  const number = line.probability === null ? "" : percent(line.probability);
  const isSaid = !number || line.why.includes(number);
  const reasons = [isSaid ? line.why : `${number}, ${line.why}`, ...line.warnings].join("; ");
  why.textContent = reasons.replaceAll(" %", "\u00a0%"); // so that no line begins with a per cent sign
  why.title = why.textContent;
  for (const [decision, one] of buttons) {
    one.setAttribute("aria-pressed", String(line.decision === decision));
    one.hidden = !isOpen() || Boolean(line.outcome);
  }
  edit.hidden = !isOpen() || Boolean(line.outcome);
  outcome.textContent = line.outcome ? [OUTCOMES[line.outcome], line.reason].filter(Boolean).join(": ") : isOpen() ? "" : line.decision;
  outcome.title = outcome.textContent;
  made.dataset.decision = line.outcome ?? line.decision;
}
