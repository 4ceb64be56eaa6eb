// Scan and watch folders, and see how far it is.

import { button, byId, element } from "./elements.js";
import { jobs, showJobs } from "./jobs.js";
import { session } from "./session.js";

/** A form that scans the folder that is written into it, or watches it. */
export function scanForm(id) {
  const input = element("input", { id, required: true, autocomplete: "off", spellcheck: false, placeholder: "/home/me/Music" });
  input.setAttribute("list", "folders");
  const form = element("form", { className: "row" },
    element("label", { htmlFor: id }, "Folder"), input,
    element("button", { className: "primary", value: "scan" }, "Scan"),
    element("button", { value: "watch" }, "Scan and watch"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const folder = input.value.trim();
    if (event.submitter?.value === "watch") jobs.start("watch", { folder });
    else jobs.start("scan", { folders: [folder] });
  });
  return form;
}

export class ScanView {
  constructor() {
    this.list = element("ul", { className: "plain jobs" });
    this.retry = element("input", { type: "checkbox", id: "retry" });
    jobs.addEventListener("change", () => showJobs(this.list, jobs.list.filter(({ kind }) => kind === "scan" || kind === "watch")));
    session.addEventListener("change", () => this.#fill());
  }

  #fill() {
    if (byId("scan").childElementCount) return;
    const scan = () => jobs.start("scan", { folders: session.fields.folders, retry: this.retry.checked });
    const again = button("Scan the whole library again", scan, { className: "writes" });
    byId("scan").append(
      element("div", { className: "card writes" }, element("h2", {}, "Scan a folder"),
        element("p", {}, "Every track in it is analysed on this computer. Tracks that were analysed before are skipped, "
          + "even if a file was moved or retagged. A watched folder is scanned whenever a file arrives."),
        scanForm("scan-folder"),
        element("div", { className: "row" }, again,
          element("label", { className: "radio" }, this.retry, "Retry failed files"))),
      element("h2", {}, "Scans"), this.list,
      element("p", { className: "note" }, `Library: ${session.fields.database}. genrekit ${session.fields.version}.`),
      element("datalist", { id: "folders" }, ...session.fields.folders.map((folder) => element("option", { value: folder }))));
  }
}
