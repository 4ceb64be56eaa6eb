// The panel's timeline with its evidence, and the cursor that follows what is played.

import { get } from "./api.js";
import { byId } from "./elements.js";
import { session } from "./session.js";
import { sound } from "./sound.js";
import { drawEvidence, drawPassages, drawSpectrogram, drawTimeline, levelsOf, prepare } from "./common/draw.js";
import { Player } from "./common/player.js";
import { clock, percent } from "./common/words.js";

export class StageView {
  constructor() {
    this.player = new Player(byId("player"), byId("stage"), byId("cursor"));
    this.row = null;
    this.timeline = null;
    this.explanation = null;
    for (const kind of ["click", "keydown"]) {
      byId("stage").addEventListener(kind, (event) => event.key !== "Tab" && this.#take(), { capture: true });
    }
    byId("track-play").addEventListener("click", () => sound.toggle(this.row));
    byId("why").addEventListener("click", () => this.#explain());
    byId("deciding").addEventListener("click", () => {
      this.#take();
      this.player.playPassages(this.#passages());
    });
    sound.addEventListener("change", () => this.#showPlaying());
    new ResizeObserver(() => this.#draw()).observe(byId("stage"));
  }

  async show(row) {
    this.row = row;
    this.timeline = null;
    this.explanation = null;
    byId("evidence-canvas").hidden = true;
    byId("deciding").hidden = true;
    byId("why").disabled = true;
    byId("stage").classList.add("empty-stage");
    this.#say("Analysing…");
    this.#showPlaying();
    try {
      const timeline = await get(`tracks/${row.id}/timeline`);
      if (this.row !== row) return;
      this.timeline = timeline;
      byId("why").disabled = false;
      byId("stage").classList.remove("empty-stage");
      this.#say(inWords(timeline, row));
    } catch (error) {
      if (this.row === row) this.#say(error.message);
    }
    this.#showPlaying();
    this.#draw();
  }

  leave() {
    this.row = null;
  }

  /** Let the player play this track; its cursor is on the stage then. */
  #take() {
    if (this.row) sound.take(this.row);
  }

  #showPlaying() {
    if (!this.row) return;
    const isHere = sound.row?.id === this.row.id;
    byId("cursor").hidden = !isHere;
    this.player.watch(this.timeline?.duration_seconds ?? this.row.duration_seconds ?? 0);
    byId("track-play").textContent = sound.isPlaying(this.row.id) ? "Pause" : "Play";
  }

  async #explain() {
    const { row } = this;
    byId("why").disabled = true;
    this.#say("Masking parts of the music to see which ones matter…");
    try {
      const explanation = await get(`tracks/${row.id}/explanation`);
      if (this.row !== row) return;
      this.explanation = explanation;
      byId("evidence-canvas").hidden = false;
      byId("deciding").hidden = !this.#passages().length;
      this.#say(this.#sentences());
      this.#draw();
    } catch (error) {
      if (this.row === row) this.#say(error.message);
    }
  }

  #passages() {
    return this.explanation.evidence[this.explanation.genre].deciding;
  }

  #sentences() {
    const name = session.name(this.explanation.genre);
    const { better_than_random: holds } = this.explanation.curves;
    return `Orange supports ${name}, blue opposes it, white bars mark the seconds that decide. `
      + (holds ? "The check holds: the strongest parts matter more than random ones." : "The check FAILED: random parts matter as much.");
  }

  #draw() {
    if (!this.timeline || !this.row) return;
    const { duration_seconds: seconds, spectrogram } = this.timeline;
    if (this.explanation) {
      const canvas = byId("evidence-canvas");
      if (spectrogram) drawSpectrogram(canvas, spectrogram, levelsOf(spectrogram), seconds, true);
      else prepare(canvas);
      drawEvidence(canvas, this.explanation, this.explanation.genre, seconds);
      drawPassages(canvas, this.#passages(), seconds);
    }
    drawTimeline(byId("timeline"), named(this.timeline), seconds);
    this.player.showPosition();
  }

  #say(sentence) {
    byId("stage-note").textContent = sentence;
  }
}

/** Every span with its probability; where the scan took parts of a long track, the whole track's answer too. */
function inWords({ spans, label, probability }, row) {
  const parts = spans.map((span) => `${clock(span.start_seconds)} ${session.name(span.label)} ${percent(span.probability)}`);
  const isSame = label === row.label && percent(probability) === percent(row.probability);
  if (!spans.length || row.label === null || isSame) return parts.join(", ");
  const whole = `${session.name(label)} ${percent(probability)}`;
  return `${parts.join(", ")}. The entire track: ${whole}; the genre above is from the segments that the scan analysed.`;
}

/** The timeline with the genres' display names. */
function named(timeline) {
  const spans = timeline.spans.map((span) => ({ ...span, label: session.name(span.label) }));
  return { ...timeline, spans, labels: timeline.labels.map((label) => session.name(label)) };
}
