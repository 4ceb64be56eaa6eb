// What was written so far, and how to take it back.

import { get } from "./api.js";
import { ask } from "./dialogs.js";
import { button, counted, element, when } from "./elements.js";
import { jobs } from "./jobs.js";
import { attempt, session } from "./session.js";

export class Transactions {
  /** onDone gets the job that has undone something. */
  constructor(onDone) {
    this.onDone = onDone;
    this.list = element("ul", { className: "plain", id: "written" });
    this.summary = element("summary");
    this.section = element("details", { className: "written", hidden: true }, this.summary, this.list);
  }

  async refresh() {
    await attempt(async () => {
      const { transactions } = await get("transactions");
      this.section.hidden = !transactions.length;
      this.summary.textContent = `Written ${counted(transactions.length, "time")}`;
      this.list.replaceChildren(...transactions.map((transaction) => this.#item(transaction)));
    });
  }

  #item(transaction) {
    const { started, n_files: counts, is_undoable: isUndoable } = transaction;
    const time = when(started);
    const states = Object.entries(counts).map(([state, count]) => `${counted(count, "file")} ${state}`).join(", ");
    const undo = button("Undo", () => this.#undo(transaction), { className: "danger", "aria-label": `Undo the changes of ${time}` });
    return element("li", { className: "row" }, element("span", { className: "grow" }, element("strong", {}, time), ` ${states}`),
      isUndoable && !session.isReadOnly ? undo : "");
  }

  async #undo({ id, n_files: counts }) {
    const count = Object.values(counts).reduce((sum, one) => sum + one, 0);
    const isMeant = await ask({ title: `Undo the changes of ${counted(count, "file")}?`, yes: "Undo", isDangerous: true,
      content: [element("p", {}, "Each file is restored to the byte, unless it has changed since.")] });
    if (isMeant) await this.run({ transaction: id });
  }

  async run(what) {
    const job = await jobs.run("undo", what);
    if (job) await this.onDone(job);
  }
}
