// The page: choose files, hear them one after another, show the chosen one.

import { explain, predict, Problem, useKey } from "./api.js";
import { FileList } from "./list.js";
import { Recorder } from "./recorder.js";
import { Result } from "./result.js";

const byId = (id) => document.getElementById(id);
const list = new FileList(byId("list"), choose);
const result = new Result();
let chosen = null;
let working = Promise.resolve();

function say(sentence, isError = false) {
  byId("status").textContent = sentence;
  byId("status").classList.toggle("error", isError);
}

/** Take files in; they are heard in order, and the first new one is shown. */
function take(files) {
  const entries = [...files].map((file) => ({ file, name: file.name, answer: null, error: null, why: null }));
  list.entries.push(...entries);
  chosen = entries[0] ?? chosen;
  list.show(chosen);
  entries.forEach(queue);
}

function queue(entry) {
  working = working.then(() => hear(entry));
}

async function hear(entry) {
  say(`Listening to ${entry.name}…`);
  try {
    entry.answer = await predict(entry.file, byId("precision").value);
    entry.error = null;
    say("");
  } catch (error) {
    entry.error = error.message;
    say(error.message, true);
    byId("key-form").hidden = !(error instanceof Problem && error.status === 401);
  }
  list.show(chosen);
  if (entry === chosen) await present(entry);
}

async function present(entry) {
  result.hide();
  if (entry.error) say(entry.error, true);
  if (!entry.answer) return;
  result.show(entry);
  await findReasons(entry);
}

/** The evidence takes seconds: it comes after the answer is on the page. */
async function findReasons(entry) {
  if (!entry.why) {
    result.say("Taking parts of the music away to see which ones matter…");
    try {
      entry.why = await explain(entry.file, entry.answer.genres[0].label);
    } catch (error) {
      if (entry === chosen) result.say(`No evidence: ${error.message}`);
      return;
    }
  }
  if (entry === chosen) result.showReasons(entry.why);
}

function choose(entry) {
  chosen = entry;
  list.show(chosen);
  say("");
  working = working.then(() => present(entry));
}

function hearAgain() {
  for (const entry of list.entries) {
    entry.answer = null;
    queue(entry);
  }
  list.show(chosen);
}

byId("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
byId("precision").addEventListener("change", hearAgain);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  byId("key-form").hidden = true;
  hearAgain();
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
new Recorder(byId("record"), (file) => take([file]), (sentence) => say(sentence, true));
