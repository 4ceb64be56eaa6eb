// The page: choose files, predict them one after another, show the chosen one.

import { explain, predict, Problem, useKey } from "./api.js";
import { FileList } from "./list.js";
import { Recorder } from "./recorder.js";
import { Result } from "./result.js";

const byId = (id) => document.getElementById(id);
const list = new FileList(byId("list"), choose);
const result = new Result();
let chosen = null;
let working = Promise.resolve();

function showStatus(sentence, isError = false) {
  byId("status").textContent = sentence;
  byId("status").classList.toggle("error", isError);
}

/** Take files in; they are predicted in order, and the first new one is shown. */
function take(files) {
  const entries = [...files].map((file) => ({ file, name: file.name, prediction: null, error: null, explanation: null }));
  list.entries.push(...entries);
  chosen = entries[0] ?? chosen;
  list.show(chosen);
  entries.forEach(queue);
}

function queue(entry) {
  working = working.then(() => predictEntry(entry));
}

async function predictEntry(entry) {
  showStatus(`Analysing ${entry.name}…`);
  try {
    entry.prediction = await predict(entry.file, byId("precision").value);
    entry.error = null;
    showStatus("");
  } catch (error) {
    entry.error = error.message;
    showStatus(error.message, true);
    byId("key-form").hidden = !(error instanceof Problem && error.status === 401);
  }
  list.show(chosen);
  if (entry === chosen) await present(entry);
}

async function present(entry) {
  result.hide();
  if (entry.error) showStatus(entry.error, true);
  if (!entry.prediction) return;
  result.show(entry);
  await explainEntry(entry);
}

/** The evidence takes seconds: it comes after the prediction is on the page. */
async function explainEntry(entry) {
  if (!entry.explanation) {
    result.showNote("Taking parts of the music away to see which ones matter…");
    try {
      entry.explanation = await explain(entry.file, entry.prediction.genres[0].label);
    } catch (error) {
      if (entry === chosen) result.showNote(`No evidence: ${error.message}`);
      return;
    }
  }
  if (entry === chosen) result.showExplanation(entry.explanation);
}

function choose(entry) {
  chosen = entry;
  list.show(chosen);
  showStatus("");
  working = working.then(() => present(entry));
}

function predictAgain() {
  for (const entry of list.entries) {
    entry.prediction = null;
    queue(entry);
  }
  list.show(chosen);
}

byId("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
byId("precision").addEventListener("change", predictAgain);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key-form").hidden = true;
  predictAgain();
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
new Recorder(byId("record"), (file) => take([file]), (sentence) => showStatus(sentence, true));
