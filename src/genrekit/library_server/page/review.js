// Review of a plan: old to new, accepted or not, applied after a confirmation, undone.

import { get, send } from "./api.js";
import { ask, askGenres } from "./dialogs.js";
import { button, byId, counted, element, titleOf } from "./elements.js";
import { isUnfinished, jobs, notifyOf, showJobs } from "./jobs.js";
import { hasModifier } from "./keys.js";
import { albumOf, fillLine, makeLine, reviewHead } from "./lines.js";
import { planForm } from "./plan_form.js";
import { notify, session } from "./session.js";
import { Transactions } from "./transactions.js";
import { Windowed } from "./windowed.js";

const TABS = [["all", "n_lines"], ["open", "open"], ["accepted", "accepted"], ["rejected", "rejected"], ["applied", "applied"],
  ["failed", "failed"]];
const LOOK_MS = 4000;
const BLOCK = 500;

export class ReviewView {
  constructor(onOpen, onPlay, onWritten) {
    Object.assign(this, { onOpen, onPlay, onWritten });
    this.plan = null;
    this.changes = Promise.resolve();
    this.nPending = 0;
    this.decision = "all";
    this.transactions = new Transactions((job) => this.#written(job));
    this.jobs = element("ul", { className: "plain jobs" });
    jobs.addEventListener("change", () => showJobs(this.jobs, jobs.list.filter((job) =>
      ["plan", "apply", "undo"].includes(job.kind) && isUnfinished(job))));
    setInterval(() => this.#look(), LOOK_MS);
  }

  /** Show the plan, or the form that makes one. */
  async show() {
    if (!byId("review").childElementCount) this.#build();
    await this.refresh();
    await this.transactions.refresh();
  }

  async refresh() {
    try {
      await this.table.reload();
    } catch (error) {
      notify(error.message, true);
    }
  }

  #build() {
    this.summary = element("div", { className: "row toolbar" });
    this.reasons = element("details", { className: "reasons" });
    const table = element("div", { id: "plan-table", className: "windowed plan" });
    this.form = element("div", { className: "scrolls" });
    this.reviewing = element("div", { className: "reviewing" }, this.summary, this.reasons, table);
    byId("review").append(this.jobs, this.form, this.reviewing, this.transactions.section);
    this.table = new Windowed(table, "Plan", reviewHead(), {
      fetch: (offset, limit, signal) => this.#fetch(offset, limit, signal),
      make: () => makeLine(this.#actions()),
      fill: fillLine,
    });
    table.addEventListener("keydown", (event) => this.#press(event));
  }

  async #fetch(offset, limit, signal) {
    const plan = await get("plan", { offset, limit, decision: this.decision }, signal);
    this.#use(plan);
    return { total: plan.total, rows: plan.lines };
  }

  #use(plan) {
    const hadPlan = this.plan !== null && this.plan.state !== "none";
    this.plan = plan;
    const hasPlan = plan.state !== "none";
    this.reviewing.hidden = !hasPlan;
    this.form.hidden = hasPlan;
    if (!hasPlan && (hadPlan || !this.form.childElementCount)) this.#showForm();
    if (hasPlan) this.#showSummary();
  }

  #showForm() {
    if (session.isReadOnly) this.form.replaceChildren(element("p", {}, "There is no plan, and this library is read-only."));
    else this.form.replaceChildren(planForm(() => this.refresh()));
  }

  /** Ask anew which tracks, as the table shows others now. */
  renewForm() {
    if (this.form && this.plan?.state === "none") this.#showForm();
  }

  #showSummary() {
    const { summary, state } = this.plan;
    const focused = document.activeElement?.id;
    const tabs = TABS.filter(([key, field]) => key === "all" || summary[field]).map(([key, field]) =>
      button(`${key === "all" ? "All" : key[0].toUpperCase() + key.slice(1)} ${summary[field].toLocaleString("en")}`, () => {
        this.decision = key;
        this.table.reload({ toTop: true });
      }, { id: `tab-${key}`, "aria-pressed": String(this.decision === key) }));
    this.summary.replaceChildren(element("div", { className: "segmented", role: "group", "aria-label": "Lines" }, ...tabs),
      element("span", { className: "grow" }), ...(session.isReadOnly || state === "applying" ? [] : this.#verbs(summary)));
    if (focused) byId(focused)?.focus();
    this.reasons.hidden = !summary.reasons.length;
    const left = summary.reasons.reduce((sum, { n_tracks: count }) => sum + count, 0);
    this.reasons.replaceChildren(element("summary", {}, `${counted(left, "track")} left alone`), element("ul", {},
      ...summary.reasons.map(({ reason, n_tracks: count }) => element("li", {}, `${count.toLocaleString("en")}: ${reason}`))));
  }

  #verbs(summary) {
    const share = element("input", { type: "number", id: "accept-above", min: 0, max: 100, step: 1, value: this.above ?? 90,
      "aria-label": "Least probability in percent" });
    share.addEventListener("change", () => (this.above = share.value));
    const accept = () => this.#change("POST", "plan/accept", { min_probability: Number(share.value) / 100 });
    const drop = button("Drop", () => this.#drop(), { id: "plan-drop" });
    const file = element("a", { className: "button", href: "api/plan/file", download: "plan.jsonl", id: "plan-file" }, "Plan file");
    const apply = button(summary.accepted ? `Apply ${counted(summary.accepted, "change")}` : "Apply", () => this.#apply(), {
      className: "primary", id: "plan-apply", disabled: !summary.accepted });
    return [element("span", { className: "joined" }, button("Accept all above", accept, { id: "accept-all" }), share, " %"),
      drop, ...(summary.accepted ? [file] : []), apply];
  }

  #actions() {
    return {
      decide: (line, decision) => this.#decide([line], decision), edit: (line) => this.#edit(line),
      album: (line, decision) => this.#decideAlbum(line, decision), open: (line) => this.onOpen(rowOf(line)),
      isOpen: () => this.#isOpen(),
    };
  }

  #isOpen() {
    return this.plan.state === "review" && !session.isReadOnly;
  }

  #decide(lines, decision) {
    return this.#change("PATCH", "plan", { decisions: lines.map(({ id }) => ({ id, decision })) });
  }

  async #decideAlbum(line, decision) {
    const lines = [];
    for (let offset = 0; ; offset += BLOCK) {
      const plan = await get("plan", { offset, limit: BLOCK, decision: this.decision });
      lines.push(...plan.lines.filter((other) => albumOf(other) === albumOf(line)));
      if (offset + BLOCK >= plan.total || (lines.length && albumOf(plan.lines.at(-1)) !== albumOf(line))) break;
    }
    await this.#decide(lines, decision);
  }

  async #edit(line) {
    const names = await askGenres(`Genres for ${titleOf(line)}`, line.new);
    if (names?.length) await this.#change("PATCH", "plan", { decisions: [{ id: line.id, new: names, decision: "accepted" }] });
  }

  /** Change the plan once the changes before have come through; show it when none is left. */
  #change(method, path, body) {
    this.nPending += 1;
    this.changes = this.changes.then(() => this.#send(method, path, body));
    return this.changes;
  }

  /** Where another reviewer was quicker, show what is true now and say so. */
  async #send(method, path, body) {
    let isRefused = false;
    try {
      const { revision } = await send(method, path, { ...body, revision: this.plan.revision });
      this.plan.revision = revision;
      notify("");
    } catch (error) {
      isRefused = true;
      notify(error.status === 409 ? "Somebody else changed the plan in the meantime; this is its current state. Your last decision was not kept."
        : error.message, true);
    }
    this.nPending -= 1;
    if (!this.nPending || isRefused) await this.refresh();
  }

  async #drop() {
    const count = this.plan.summary.n_lines;
    if (await ask({ title: `Drop the plan of ${counted(count, "change")}?`, yes: "Drop",
      content: [element("p", {}, "Its decisions are lost. No file is changed.")] })) await this.#change("DELETE", "plan", {});
  }

  async #apply() {
    const { summary, revision } = this.plan;
    const left = summary.open + summary.rejected;
    const isMeant = await ask({ title: `Write genres into ${counted(summary.accepted, "file")}?`, yes: `Apply ${summary.accepted}`, content: [
      element("p", {}, `${counted(summary.accepted, "accepted change")}; ${counted(left, "other")} of the plan ${left === 1 ? "is" : "are"} not written.`),
      element("p", { className: "note" }, "Only the genre changes in each file, and its style where the plan says so. Every file can be undone to the byte.")] });
    if (!isMeant) return;
    const job = await jobs.run("apply", { revision, expected_count: summary.accepted });
    if (job) await this.#written(job);
    else await this.refresh();
  }

  async #written(job) {
    notifyOf(job);
    await this.refresh();
    await this.transactions.refresh();
    this.transactions.section.open = true;
    this.onWritten();
  }

  /** See what another reviewer does. */
  async #look() {
    if (byId("review").hidden || document.hidden || !this.plan || this.nPending) return;
    const plan = await get("plan", { offset: 0, limit: 1, decision: this.decision }).catch(() => null);
    if (plan && plan.revision !== this.plan.revision) await this.refresh();
  }

  #press(event) {
    const line = this.table.activeRow;
    if (hasModifier(event) || event.target !== this.table.place || !line) return;
    const decision = { a: "accepted", r: "rejected", o: "open" }[event.key];
    const isOpen = this.#isOpen();
    if (decision && isOpen) {
      this.#decide([line], decision);
      this.table.update(new Map([[line.id, { ...line, decision }]]));
      this.table.activate(this.table.active + 1);
    } else if (event.key === "e" && isOpen) this.#edit(line);
    else if (event.key === "A" && isOpen) this.#decideAlbum(line, "accepted");
    else if (event.key === "Enter") this.onOpen(rowOf(line));
    else if (event.key === " ") this.onPlay(rowOf(line));
    else if (!this.table.press(event.key)) return;
    event.preventDefault();
  }
}

/** A line, as the row of its track. */
function rowOf(line) {
  return { ...line, id: line.track_id, duration_seconds: null };
}
