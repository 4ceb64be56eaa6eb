// The jobs of the server: watched while they run, shown with their progress.

import { get, send } from "./api.js";
import { button, byId, counted, element } from "./elements.js";
import { attempt, notify, session } from "./session.js";

const BUSY_MS = 700;
const IDLE_MS = 5000;
const OPEN = new Set(["running", "paused"]);
const WORDS = {
  running: "running", paused: "paused", interrupted: "interrupted: the program ended", done: "done", failed: "failed",
  cancelled: "cancelled",
};

/** Events: "change" after each look, "progress" with a job that went on, "end" with a job that ended. */
class Jobs extends EventTarget {
  list = [];
  #timer = null;

  async look() {
    clearTimeout(this.#timer);
    try {
      const before = new Map(this.list.map((job) => [job.id, job]));
      this.list = (await get("jobs")).jobs;
      for (const job of this.list) this.#compare(before.get(job.id), job);
      this.dispatchEvent(new Event("change"));
    } catch {
      // The next look says whether the program is back.
    }
    const isBusy = this.list.some((job) => job.state === "running");
    this.#timer = setTimeout(() => this.look(), isBusy && !document.hidden ? BUSY_MS : IDLE_MS);
  }

  #compare(before, job) {
    const kind = !OPEN.has(job.state) && before && OPEN.has(before.state) ? "end"
      : before && job.done !== before.done ? "progress" : null;
    if (kind) this.dispatchEvent(new CustomEvent(kind, { detail: job }));
  }

  /** Start a job; returns it, or null where the server refuses, which is shown then. */
  async start(path, body) {
    let job = null;
    await attempt(async () => {
      job = await send("POST", path, body);
      this.list = [job, ...this.list];
      await this.look();
    });
    return job;
  }

  /** Start a job and wait until it has ended; returns null where it is refused. */
  async run(path, body) {
    const job = await this.start(path, body);
    if (!job) return null;
    for (;;) {
      const now = this.list.find(({ id }) => id === job.id);
      if (now && !OPEN.has(now.state)) return now;
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
  }

  newest(...kinds) {
    return this.list.find((job) => kinds.includes(job.kind));
  }
}

export const jobs = new Jobs();

/** Whether a job runs, is paused, or was interrupted and may go on. */
export function isUnfinished(job) {
  return OPEN.has(job.state) || job.state === "interrupted";
}

/** Show what a job that has ended said last. */
export function notifyOf(job) {
  notify(job.messages.at(-1) ?? `${job.title}: ${job.state}`, job.state === "failed");
}

/** Keep the header's line about what is going on. */
export function startJobs() {
  jobs.addEventListener("change", () => {
    const open = jobs.list.filter((job) => OPEN.has(job.state));
    byId("working").textContent = open.map((job) => `${job.title}${share(job)}`).join(" · ");
    byId("working").classList.toggle("busy", open.some((job) => job.state === "running"));
  });
  return jobs.look();
}

function share(job) {
  return job.total ? ` ${Math.floor((100 * job.done) / job.total)} %` : "";
}

/** Bring a list of cards in line with jobs; the focus stays. */
export function showJobs(list, shown) {
  const cards = new Map([...list.children].map((card) => [card.dataset.job, card]));
  const wanted = shown.map((job) => {
    const card = cards.get(String(job.id)) ?? makeCard(job);
    fillCard(card, job);
    return card;
  });
  if (wanted.length !== list.children.length || wanted.some((card, index) => card !== list.children[index])) {
    list.replaceChildren(...wanted);
  }
}

function makeCard(job) {
  const title = element("strong", { className: "grow" });
  const state = element("span", { className: "note" });
  const bar = element("progress", { "aria-label": job.title });
  const act = (verb) => () => attempt(async () => {
    await send("POST", `jobs/${job.id}/${verb}`);
    await jobs.look();
  });
  const buttons = Object.fromEntries(["pause", "resume", "cancel"].map((verb) =>
    [verb, button(verb[0].toUpperCase() + verb.slice(1), act(verb))]));
  const messages = element("ul", { className: "messages" });
  const details = element("details", {}, element("summary", {}), messages);
  const card = element("li", { className: "card job" }, element("div", { className: "row" }, title, ...Object.values(buttons)),
    bar, state, details);
  card.dataset.job = String(job.id);
  card.parts = { title, state, bar, buttons, messages, details };
  return card;
}

function fillCard(card, job) {
  const { title, state, bar, buttons, messages, details } = card.parts;
  title.textContent = job.title;
  const count = job.total === null ? counted(job.done, "file") : `${job.done.toLocaleString("en")} of ${counted(job.total, "file")}`;
  state.textContent = job.done || job.total ? `${WORDS[job.state]}, ${count}` : WORDS[job.state];
  bar.hidden = !OPEN.has(job.state);
  if (job.total) Object.assign(bar, { max: job.total, value: job.done });
  else bar.removeAttribute("value");
  const canWrite = !session.isReadOnly;
  buttons.pause.hidden = !(canWrite && job.state === "running" && job.can_pause);
  buttons.resume.hidden = !(canWrite && ["paused", "interrupted"].includes(job.state));
  buttons.cancel.hidden = !(canWrite && isUnfinished(job));
  details.hidden = !job.messages.length;
  details.firstChild.textContent = counted(job.messages.length, "message");
  if (messages.childElementCount !== job.messages.length || messages.lastChild?.textContent !== job.messages.at(-1)) {
    messages.replaceChildren(...job.messages.map((text) => element("li", {}, text)));
  }
  card.dataset.state = job.state;
}
