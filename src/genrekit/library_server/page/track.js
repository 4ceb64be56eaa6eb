// The panel of one track: what is known of it, from whom, what was changed, and its correction.

import { get, send } from "./api.js";
import { showCover } from "./covers.js";
import { genreField } from "./dialogs.js";
import { bar, button, byId, counted, element, genreBoxes, genreChange, genreTag, titleOf, when } from "./elements.js";
import { attempt, notify, session } from "./session.js";
import { sound } from "./sound.js";
import { StageView } from "./stage.js";
import { percent } from "./common/words.js";

const SOURCES = { audio: "Sound", album: "Album", artist: "Artist", folder: "Folder", tag: "Tag" };
const N_SHOWN = 5;

export class TrackPanel {
  /** onChange gets the row of a track that was changed, and refreshes the panel; onUndo runs the undo of a track. */
  constructor(onChange, onUndo) {
    this.onChange = onChange;
    this.onUndo = onUndo;
    this.stage = new StageView();
    this.row = null;
    byId("track-close").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.row && !byId("dialog").open) this.close();
    });
  }

  async open(row, { focus = true } = {}) {
    if (this.row === null) this.back = document.activeElement;
    this.row = row;
    byId("track").hidden = false;
    byId("track-title").textContent = titleOf(row);
    byId("track-by").textContent = [row.artist, row.album].filter(Boolean).join(" · ");
    showCover(byId("track-cover"), row, true);
    byId("track-answer").replaceChildren();
    byId("track-facts").replaceChildren();
    byId("track").scrollTop = 0;
    if (focus) byId("track-title").focus();
    this.stage.show(row);
    await this.refresh();
  }

  close() {
    byId("track").hidden = true;
    this.row = null;
    this.stage.leave();
    if (this.back?.isConnected) this.back.focus();
  }

  /** Fetch what is known of the track once more. */
  async refresh() {
    const { row } = this;
    if (!row) return;
    try {
      const track = await get(`tracks/${row.id}`);
      if (this.row?.id !== row.id) return;
      byId("track-answer").replaceChildren(...answer(track));
      byId("track-facts").replaceChildren(this.#correction(track), ...sources(track), ...this.#history(track), path(track));
      this.#showSimilar(row);
    } catch (error) {
      if (this.row?.id === row.id) notify(error.message, true);
    }
  }

  #correction(track) {
    const names = track.correction ?? [];
    const section = block("correction-title", "Correction");
    if (session.isReadOnly) {
      section.append(element("p", {}, names.length ? names.join(", ") : "None."));
      return section;
    }
    const field = genreField("track-genre", names);
    const save = () => this.#change(track, "PUT", { genres: field.names() });
    section.append(
      element("p", { className: "note" }, "Your correction is kept as a label to train the model on; no file is changed."), field,
      element("div", { className: "row" }, button("Keep", save, { className: "primary" }),
        track.correction ? button("Take back", () => this.#change(track, "DELETE")) : ""));
    return section;
  }

  async #change(track, method, body) {
    await attempt(async () => {
      const row = await send(method, `tracks/${track.id}/correction`, body);
      await this.onChange(row);
      byId("track-genre")?.focus();
    });
  }

  #history(track) {
    if (!track.history.length) return [];
    const section = block("history-title", "Changes");
    const list = element("ol", { className: "plain" });
    for (const change of track.history) {
      list.append(element("li", { className: "change" }, ...genreChange(change),
        element("span", { className: "note" }, `${when(change.time)}, ${change.state}`)));
    }
    section.append(list);
    const isUndoable = track.history.some((change) => change.state === "done");
    if (isUndoable && !session.isReadOnly) {
      section.append(button("Undo the changes of this file", () => this.onUndo(track), { className: "danger" }));
    }
    return [section];
  }

  async #showSimilar(row) {
    if (!session.fields.model?.has_embedding) return;
    const { tracks } = await get(`tracks/${row.id}/similar`, { top: 8 });
    if (this.row?.id !== row.id || !tracks.length) return;
    const section = block("similar-title", "Sounds like");
    section.append(element("ul", { className: "plain" }, ...tracks.map((other) => {
      const cover = element("span", { className: "cover" });
      showCover(cover, other, true);
      const open = button(element("span", { className: "two-lines" }, element("strong", {}, titleOf(other)),
        element("span", { className: "note" }, other.artist ?? "")), () => this.open(other), { className: "similar" });
      open.prepend(cover);
      open.append(genreTag(other.display_name ?? "", session.colour(other.label)));
      return element("li", {}, open);
    })));
    byId("similar-title")?.parentElement.remove();
    byId("track-facts").append(section);
  }
}

function block(id, title) {
  return element("section", { "aria-labelledby": id }, element("h3", { id }, title));
}

function answer(track) {
  const shown = [];
  if (track.is_missing) shown.push(element("p", { className: "warnings" }, "The file is gone."));
  if (track.error) shown.push(element("p", { className: "warnings" }, track.error));
  if (track.warnings.length) {
    shown.push(element("ul", { className: "warnings" }, ...track.warnings.map((text) => element("li", {}, text))));
  }
  const bars = track.probabilities.slice(0, N_SHOWN).map(({ label, display_name: name, probability }) =>
    bar(name, probability, { colour: session.colour(label) }));
  const others = track.probabilities.length - bars.length;
  shown.push(element("ul", { className: "bars", "aria-label": "Probabilities" }, ...bars));
  if (others > 0) shown.push(element("p", { className: "note" }, `${counted(others, "other genre")} below.`));
  return shown;
}

function sources(track) {
  if (!track.sources.length) return [];
  const section = block("sources-title", "Sources of the genre");
  const head = element("tr", {}, ...["Source", "Says", "Weight"].map((text) => element("th", { scope: "col" }, text)));
  const rows = track.sources.map((source) => {
    const names = source.labels.map((label) => session.name(label)).join(", ");
    const says = source.probability === null ? names : `${names} ${percent(source.probability)}`;
    return element("tr", {}, element("th", { scope: "row" }, SOURCES[source.source]), element("td", {}, says),
      element("td", { className: "number" }, source.weight === null ? "" : percent(source.weight)));
  });
  section.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  if (track.together) {
    section.append(element("p", {}, "Together: ", genreTag(session.name(track.together.label), session.colour(track.together.label)),
      ` ${percent(track.together.probability)}`));
  }
  for (const conflict of track.conflicts) section.append(element("p", { className: "warnings" }, conflict));
  return [section];
}

function path(track) {
  const section = block("file-title", "File");
  section.append(element("p", { className: "path" }, track.path),
    element("p", { className: "row" }, element("span", { className: "note" }, "Genre in its tags"), ...genreBoxes(track.tags)));
  return section;
}
