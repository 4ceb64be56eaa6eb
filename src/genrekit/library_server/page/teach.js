// Teach: correct what the model is unsure of, train on it, use the result where it is better.

import { get, send } from "./api.js";
import { showCover } from "./covers.js";
import { genreField } from "./dialogs.js";
import { button, byId, counted, element, genreTag, titleOf } from "./elements.js";
import { isUnfinished, jobs, notifyOf, showJobs } from "./jobs.js";
import { comparison } from "./comparison.js";
import { attempt, session } from "./session.js";
import { sound } from "./sound.js";
import { percent } from "./common/words.js";

const N_TRACKS = 14;

export class TeachView {
  constructor(onOpen, onChange) {
    Object.assign(this, { onOpen, onChange });
    this.list = element("ul", { className: "plain teaching" });
    this.jobs = element("ul", { className: "plain jobs" });
    this.result = element("div");
    this.progress = element("p", { role: "status" });
    this.train = button("Train on tags and corrections", () => this.#train(), { className: "primary writes", id: "train" });
    jobs.addEventListener("change", () => this.#showJob());
    sound.addEventListener("change", () => this.#showPlaying());
  }

  async show() {
    if (!byId("teach").childElementCount) this.#build();
    if (!this.list.childElementCount) await this.refresh();
    this.#showJob();
  }

  #build() {
    byId("teach").append(
      element("div", { className: "card" }, element("h2", {}, "Teach it your genres"), this.lead = element("p"), this.progress,
        element("div", { className: "row" }, this.train, button("Other tracks", () => this.refresh(), { id: "other-tracks" })),
        this.jobs, this.result),
      this.list);
  }

  /** Ask for the tracks that teach most now. */
  async refresh() {
    await attempt(async () => {
      const { tracks } = await get("teach", { n: N_TRACKS });
      this.kept = new Set();
      this.lead.textContent = tracks.length
        ? `These ${counted(tracks.length, "uncertain track")} would teach the model most: no two from one album, and as different as possible.`
        : "No tracks are left to correct: all are corrected, or nothing has been scanned yet.";
      this.list.replaceChildren(...tracks.map((row) => this.#card(row)));
      this.total = tracks.length;
      this.#count();
    });
  }

  #card(row) {
    const cover = element("span", { className: "cover" });
    showCover(cover, row, true);
    const play = button("▶", () => sound.toggle(row), { className: "play", "aria-label": `Play ${titleOf(row)}` });
    play.dataset.play = row.id;
    const title = button(titleOf(row), () => this.onOpen(row), { className: "plain-button clip" });
    const guess = element("p", { className: "guess" }, genreTag(row.display_name ?? "none", session.colour(row.label)),
      row.probability === null ? "" : element("span", { className: "number" }, percent(row.probability)),
      element("span", { className: "note" }, row.why));
    const answer = element("div", { className: "answer" });
    const card = element("li", { className: "card teach" }, cover, play, element("div", { className: "two-lines" }, title,
      element("span", { className: "note clip" }, [row.artist, row.album].filter(Boolean).join(" · "))), guess, answer);
    this.#ask(card, answer, row);
    return card;
  }

  #ask(card, answer, row) {
    card.classList.remove("kept");
    if (session.isReadOnly) return;
    const field = genreField(`teach-${row.id}`, row.correction ?? []);
    const keep = (genres) => attempt(async () => {
      const changed = await send("PUT", `tracks/${row.id}/correction`, { genres });
      this.kept.add(row.id);
      this.#showKept(card, answer, changed);
      this.onChange(changed);
    });
    const save = () => {
      const names = field.names();
      if (names.length) keep(names);
      else field.input.focus();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !field.input.value.trim()) save();
    });
    const right = row.display_name ? button(`✓ ${row.display_name}`, () => keep([row.display_name]), { "aria-label": `It is ${row.display_name}` }) : "";
    answer.replaceChildren(right, field, button("Keep", save, { "aria-label": `Keep the genres of ${titleOf(row)}` }));
  }

  #showKept(card, answer, row) {
    card.classList.add("kept");
    const change = button("Change", () => {
      this.kept.delete(row.id);
      this.#ask(card, answer, row);
      this.#count();
    }, { "aria-label": `Change the genres of ${titleOf(row)}` });
    answer.replaceChildren(element("strong", {}, `✓ ${row.correction.join(", ")}`), change);
    this.#count();
    card.nextElementSibling?.querySelector(".answer button, .answer input")?.focus();
  }

  #count() {
    const all = counted(session.fields.counts.corrected, "correction");
    this.progress.textContent = `${this.kept.size} of ${this.total} corrected here, ${all} in total.`;
    this.progress.hidden = !this.total;
  }

  recount() {
    if (this.kept) this.#count();
  }

  #showPlaying() {
    for (const play of this.list.querySelectorAll("[data-play]")) {
      play.textContent = sound.isPlaying(Number(play.dataset.play)) ? "❚❚" : "▶";
    }
  }

  async #train() {
    const job = await jobs.run("train", {});
    if (job && job.state !== "done") notifyOf(job);
  }

  #showJob() {
    const job = jobs.newest("train");
    const isOpen = job !== undefined && isUnfinished(job);
    showJobs(this.jobs, isOpen ? [job] : []);
    this.train.disabled = isOpen;
    if (job?.result && this.shown !== job.id) {
      this.shown = job.id;
      this.result.replaceChildren(comparison(job.result, session.isReadOnly ? null : () => this.#accept(job)));
    } else if (isOpen) {
      this.shown = null;
      this.result.replaceChildren();
    }
  }

  async #accept(job) {
    await attempt(async () => {
      const { model } = await send("POST", "train/accept", { job: job.id });
      const { folders } = session.fields;
      this.result.replaceChildren(element("p", { className: "row" }, `${model} is used from the next scan on.`,
        folders.length ? button("Scan the library now", () => jobs.start("scan", { folders }), { id: "scan-now" }) : ""));
      await session.load();
    });
  }
}
