// The page: choose files, predict them one after another, show the chosen one.

import { explain, models, predict, Problem, useKey } from "./api.js";
import { listCsv, listJson, save } from "./downloads.js";
import { FileList } from "./list.js";
import { Recorder } from "./recorder.js";
import { Result } from "./result.js";
import { percent } from "./words.js";

const byId = (id) => document.getElementById(id);
const list = new FileList(byId("list"), choose);
const result = new Result(() => chosen?.prediction && explainEntry(chosen));
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
  byId("empty").hidden = true;
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
    entry.prediction = await predict(entry.file, byId("precision").value, byId("model").value);
    entry.error = null;
    showStatus("");
  } catch (error) {
    entry.error = error.message;
    const needsKey = error instanceof Problem && error.status === 401;
    const isShown = needsKey || entry === chosen; // others have the reason in their row
    showStatus(isShown ? error.message : "", true);
    byId("key-form").hidden = !needsKey;
  }
  list.show(chosen);
  if (entry === chosen) await present(entry);
}

async function present(entry) {
  result.hide();
  if (entry.error) showStatus(entry.error, true);
  if (!entry.prediction) return;
  result.show(entry);
  if (result.asksWhy) await explainEntry(entry);
}

/** The evidence takes seconds: it comes when somebody wants it, after the prediction. */
async function explainEntry(entry) {
  if (!entry.explanation) {
    result.showNote("Masking parts of the music to see which ones matter…");
    try {
      const { genres, model } = entry.prediction;
      entry.explanation = await explain(entry.file, genres[0].label, model.name);
    } catch (error) {
      if (entry === chosen) result.showNote(`No evidence: ${error.message}`);
      return;
    }
  }
  if (entry === chosen) result.showExplanation(entry.explanation);
}

/** Predict a track that genrekit made itself. */
async function takeDemo(name) {
  const response = await fetch(`demo/${name}.flac`);
  if (!response.ok) return showStatus("The server has no such track.", true);
  return take([new File([await response.blob()], `${name}.flac`, { type: "audio/flac" })]);
}

/** Offer the server's models where it has several, each with how often it was right. */
async function offerModels() {
  const found = await models().catch(() => []); // the key is missing: it is asked for later
  byId("models").hidden = found.length < 2;
  byId("model").replaceChildren(...found.map(({ name, metrics: [measured] }) => {
    const share = measured ? `, ${percent(measured.accuracy.value)} right on ${measured.n_tracks} tracks` : "";
    return new Option(`${name}${share}`, name);
  }));
}

function choose(entry) {
  chosen = entry;
  list.show(chosen);
  showStatus("");
  working = working.then(() => present(entry));
}

function predictAgain() {
  for (const entry of list.entries) {
    entry.prediction = entry.explanation = null;
    queue(entry);
  }
  list.show(chosen);
}

byId("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
byId("precision").addEventListener("change", predictAgain);
byId("model").addEventListener("change", predictAgain);
byId("save-list-csv").addEventListener("click", () => save("genres.csv", listCsv(list.entries), "text/csv"));
byId("save-list-json").addEventListener("click", () =>
  save("genres.json", listJson(list.entries), "application/json"));
for (const button of document.querySelectorAll("[data-demo]")) {
  button.addEventListener("click", () => takeDemo(button.dataset.demo));
}
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key-form").hidden = true;
  offerModels();
  predictAgain();
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
offerModels();
new Recorder(byId("record"), (file) => take([file]), (sentence) => showStatus(sentence, true));
