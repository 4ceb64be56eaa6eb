// One file's prediction: bars, spectrogram, evidence, timeline, player, downloads.

import { drawAxis, drawEvidence, drawFrequencies, drawSpectrogram, drawPassages, drawTimeline, levelsOf } from "./draw.js";
import { imageOf, save, timelineCsv, wavOf } from "./downloads.js";
import { Player } from "./player.js";
import { clock, colourOf, nameOf, percent } from "./words.js";

const byId = (id) => document.getElementById(id);
const N_FIRST = 3;
const IN_LEGEND = 0.1; // the most that a genre reaches anywhere

export class Result {
  /** onWhy is called when somebody wants to know why. */
  constructor(onWhy) {
    byId("more").addEventListener("click", () => this.#open("more"));
    byId("why").addEventListener("click", () => {
      this.#open("why");
      if (this.asksWhy) onWhy();
    });
    this.player = new Player(byId("player"), byId("stage"), byId("cursor"));
    byId("genre").addEventListener("change", () => this.#redraw());
    byId("deciding").addEventListener("click", () => this.player.playPassages(this.#passages()));
    byId("save-json").addEventListener("click", () => this.#saveJson());
    byId("save-csv").addEventListener("click", () =>
      save(this.#name("csv"), timelineCsv(this.prediction.timeline), "text/csv"));
    byId("save-png").addEventListener("click", () => this.#savePng());
    byId("save-wav").addEventListener("click", () => this.#saveWav());
    new ResizeObserver(() => this.prediction && this.#redraw()).observe(byId("stage"));
  }

  get asksWhy() {
    return byId("why").getAttribute("aria-expanded") === "true";
  }

  /** Open or close what a button names. */
  #open(id) {
    const button = byId(id);
    button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
    this.#unfold();
    this.#redraw();
  }

  #unfold() {
    for (const id of ["map", "evidence", "explanation"]) byId(id).hidden = !this.asksWhy;
    const isOpen = byId("more").getAttribute("aria-expanded") === "true";
    const rest = this.prediction.genres.length - N_FIRST;
    byId("more").hidden = rest < 1;
    byId("more").textContent = isOpen ? "Fewer genres" : `${rest} more`;
    [...byId("bars").children].forEach((item, rank) => { item.hidden = rank >= N_FIRST && !isOpen; });
  }

  hide() {
    byId("result").hidden = true;
    this.player.stop();
  }

  show(entry) {
    this.entry = entry;
    this.prediction = entry.prediction;
    this.explanation = null;
    this.levels = levelsOf(this.prediction.spectrogram);
    byId("result").hidden = false;
    this.player.load(entry.file, this.prediction.duration_seconds);
    this.#writePrediction();
    this.#writeSpans();
    const labels = this.prediction.genres.map((genre) => genre.label);
    byId("genre").replaceChildren(...labels.map((label) => new Option(label, label)));
    this.#redraw();
  }

  showNote(sentence) {
    byId("explanation").textContent = sentence;
  }

  showExplanation(explanation) {
    this.explanation = explanation;
    this.#redraw();
  }

  #writePrediction() {
    const { prediction } = this;
    byId("label").textContent = nameOf(prediction);
    const model = `model ${prediction.model.name} ${prediction.model.version}`;
    const reason = prediction.abstained ? `No genre reaches ${percent(prediction.threshold)}. ` : "";
    byId("about").textContent = `${reason}${prediction.path}, ${clock(prediction.duration_seconds)}, ${model}`;
    byId("bars").replaceChildren(...prediction.genres.map((genre) => this.#bar(genre)));
    this.#unfold();
    byId("warnings").hidden = !prediction.warnings.length;
    byId("warnings").replaceChildren(...prediction.warnings.map((warning) => element("li", warning)));
  }

  #bar({ label, probability }) {
    const item = document.createElement("li");
    const track = element("span", "", "track");
    const fill = element("div", "", "fill");
    fill.style.width = `${100 * probability}%`;
    fill.style.background = colourOf(this.prediction, label);
    track.append(fill);
    track.setAttribute("aria-hidden", "true");
    item.classList.toggle("below", probability < this.prediction.threshold);
    item.append(element("span", label), track, element("span", percent(probability), "number"));
    return item;
  }

  #writeSpans() {
    const { spans, cells, labels } = this.prediction.timeline;
    const most = labels.map((_, index) => Math.max(...cells.map((cell) => cell.probabilities[index])));
    const named = new Set(spans.map((span) => span.label));
    const shown = labels.filter((label, index) => named.has(label) || most[index] >= IN_LEGEND);
    byId("legend").replaceChildren(...shown.map((label) => this.#swatch(element("li", label), label)));
    const items = spans.map((span) => {
      const button = element("button", `${clock(span.start_seconds)} ${span.label} ${percent(span.probability)}`);
      button.type = "button";
      this.#swatch(button, span.label);
      button.addEventListener("click", () => this.player.jump(span.start_seconds));
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    byId("spans").replaceChildren(...items);
  }

  #swatch(node, label) {
    node.style.setProperty("--swatch", colourOf(this.prediction, label));
    return node;
  }

  #redraw() {
    if (this.asksWhy) this.#drawEvidence();
    const { timeline, duration_seconds: seconds } = this.prediction;
    drawTimeline(byId("timeline"), timeline, seconds);
    drawAxis(byId("axis"), seconds, clock);
    byId("deciding").disabled = byId("save-wav").disabled = !this.#passages().length;
    this.player.showPosition();
  }

  #drawEvidence() {
    const { spectrogram, duration_seconds: seconds } = this.prediction;
    const map = byId("map");
    const label = byId("genre").value;
    drawSpectrogram(map, spectrogram, this.levels, seconds, this.explanation !== null);
    if (this.explanation) {
      drawEvidence(map, this.explanation, label, seconds);
      drawPassages(map, this.#passages(), seconds);
      this.showNote(this.#sentences(label));
    }
    if (spectrogram.n_bins > 1) drawFrequencies(map, spectrogram);
  }

  #sentences(label) {
    const { curves, genre } = this.explanation;
    const passages = this.#passages().map((s) => `${clock(s.start_seconds)} to ${clock(s.end_seconds)}`);
    const where = passages.length
      ? `${passages.join(", ")} (white bars) ${passages.length > 1 ? "support" : "supports"} ${label} most.`
      : `No seconds support ${label}.`;
    const check = curves.better_than_random
      ? `The check on ${genre} holds: masking the strongest parts matters more than masking random ones.`
      : `The check on ${genre} FAILED: random parts matter as much. Do not rely on this image.`;
    const { coverage } = this.explanation;
    const covered = `${coverage[0].toUpperCase()}${coverage.slice(1)}.`;
    return `Orange supports ${label}, blue opposes it. ${where} ${check} ${covered}`;
  }

  #passages() {
    return this.explanation ? this.explanation.evidence[byId("genre").value].deciding : [];
  }

  #name(suffix) {
    return `${this.entry.name.replace(/\.[^.]*$/, "")}.${suffix}`;
  }

  #saveJson() {
    const { spectrogram: _, ...prediction } = this.prediction;
    const content = this.explanation ? { ...prediction, explanation: this.explanation } : prediction;
    save(this.#name("json"), JSON.stringify(content, null, 1), "application/json");
  }

  async #savePng() {
    const title = `${this.entry.name}: ${nameOf(this.prediction)}`;
    const shown = ["map", "timeline", "axis"].map(byId).filter((canvas) => !canvas.hidden);
    save(this.#name("png"), await imageOf(shown, title));
  }

  async #saveWav() {
    const decoder = new OfflineAudioContext(1, 1, 44100);
    try {
      const buffer = await decoder.decodeAudioData(await this.entry.file.arrayBuffer());
      save(this.#name(`${byId("genre").value}.wav`), wavOf(buffer, this.#passages()));
    } catch {
      this.showNote("This browser cannot decode the file; use: genrekit explain FILE -o deciding.wav");
    }
  }
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
