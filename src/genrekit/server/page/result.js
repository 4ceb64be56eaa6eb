// One file's answer: bars, spectrogram, evidence, timeline, player, downloads.

import { drawEvidence, drawFrequencies, drawSpectrogram, drawPassages, drawTimeline, levelsOf } from "./draw.js";
import { pictureOf, save, timelineCsv, wavOf } from "./downloads.js";
import { Player } from "./player.js";
import { clock, percent } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Result {
  constructor() {
    this.player = new Player(byId("player"), byId("stage"), byId("cursor"));
    byId("genre").addEventListener("change", () => this.#redraw());
    byId("deciding").addEventListener("click", () => this.player.playStretches(this.#stretches()));
    byId("save-json").addEventListener("click", () => this.#saveJson());
    byId("save-csv").addEventListener("click", () =>
      save(this.#name("csv"), timelineCsv(this.answer.timeline), "text/csv"));
    byId("save-png").addEventListener("click", () => this.#savePng());
    byId("save-wav").addEventListener("click", () => this.#saveWav());
    new ResizeObserver(() => this.answer && this.#redraw()).observe(byId("stage"));
  }

  hide() {
    byId("result").hidden = true;
    this.player.stop();
  }

  show(entry) {
    this.entry = entry;
    this.answer = entry.answer;
    this.why = null;
    this.levels = levelsOf(this.answer.spectrogram);
    byId("result").hidden = false;
    this.player.load(entry.file, this.answer.duration_seconds);
    this.#writeAnswer();
    this.#writeSpans();
    const labels = this.answer.genres.map((genre) => genre.label);
    byId("genre").replaceChildren(...labels.map((label) => new Option(label, label)));
    this.#redraw();
  }

  say(sentence) {
    byId("why").textContent = sentence;
  }

  showReasons(why) {
    this.why = why;
    this.#redraw();
  }

  #writeAnswer() {
    const { answer } = this;
    byId("answer").textContent = answer.label ?? "unknown";
    const model = `model ${answer.model.name} ${answer.model.version}`;
    const told = answer.abstained ? `No genre reaches ${percent(answer.threshold)}. ` : "";
    byId("about").textContent = `${told}${answer.path}, ${clock(answer.duration_seconds)}, ${model}`;
    byId("bars").replaceChildren(...answer.genres.map((genre) => this.#bar(genre)));
    byId("warnings").hidden = !answer.warnings.length;
    byId("warnings").replaceChildren(...answer.warnings.map((warning) => element("li", warning)));
  }

  #bar({ label, probability }) {
    const item = document.createElement("li");
    const track = element("span", "", "track");
    const fill = element("div", "", "fill");
    fill.style.width = `${100 * probability}%`;
    track.append(fill);
    track.setAttribute("aria-hidden", "true");
    item.classList.toggle("below", probability < this.answer.threshold);
    item.append(element("span", label), track, element("span", percent(probability), "number"));
    return item;
  }

  #writeSpans() {
    const { spans, labels, colours } = this.answer.timeline;
    const items = spans.map((span) => {
      const button = element("button", `${clock(span.start_seconds)} ${span.label}`);
      button.type = "button";
      button.style.setProperty("--swatch", colours[labels.indexOf(span.label)]);
      button.addEventListener("click", () => this.player.jump(span.start_seconds));
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    byId("spans").replaceChildren(...items);
  }

  #redraw() {
    const { spectrogram, timeline, duration_seconds: seconds } = this.answer;
    const map = byId("map");
    const label = byId("genre").value;
    drawSpectrogram(map, spectrogram, this.levels, seconds, this.why !== null);
    if (this.why) {
      drawEvidence(map, this.why, label, seconds);
      drawPassages(map, this.#stretches(), seconds);
      this.say(this.#reasons(label));
    }
    if (spectrogram.n_bins > 1) drawFrequencies(map, spectrogram);
    drawTimeline(byId("timeline"), timeline, seconds);
    byId("deciding").disabled = byId("save-wav").disabled = !this.#stretches().length;
    this.player.showPosition();
  }

  #reasons(label) {
    const { curves, genre } = this.why;
    const stretches = this.#stretches().map((s) => `${clock(s.start_seconds)} to ${clock(s.end_seconds)}`);
    const where = stretches.length
      ? `${stretches.join(", ")} (white bars) ${stretches.length > 1 ? "are" : "is"} what speaks most for ${label}.`
      : `No seconds speak for ${label}.`;
    const check = curves.better_than_random
      ? `The check on ${genre} holds: taking the strongest parts away matters more than taking any.`
      : `The check on ${genre} FAILED: random parts matter as much. Do not rely on this picture.`;
    const { coverage } = this.why;
    const covered = `${coverage[0].toUpperCase()}${coverage.slice(1)}.`;
    return `Orange speaks for ${label}, blue against it. ${where} ${check} ${covered}`;
  }

  #stretches() {
    return this.why ? this.why.evidence[byId("genre").value].deciding : [];
  }

  #name(suffix) {
    return `${this.entry.name.replace(/\.[^.]*$/, "")}.${suffix}`;
  }

  #saveJson() {
    const { spectrogram: _, ...answer } = this.answer;
    const content = this.why ? { ...answer, explanation: this.why } : answer;
    save(this.#name("json"), JSON.stringify(content, null, 1), "application/json");
  }

  async #savePng() {
    const title = `${this.entry.name}: ${this.answer.label ?? "unknown"}`;
    save(this.#name("png"), await pictureOf([byId("map"), byId("timeline")], title));
  }

  async #saveWav() {
    const decoder = new OfflineAudioContext(1, 1, 44100);
    try {
      const buffer = await decoder.decodeAudioData(await this.entry.file.arrayBuffer());
      save(this.#name(`${byId("genre").value}.wav`), wavOf(buffer, this.#stretches()));
    } catch {
      this.say("This browser cannot decode the file; use: genrekit explain FILE -o deciding.wav");
    }
  }
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
