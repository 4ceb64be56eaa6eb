// The network in WebAssembly, and the calibration of segments: genrekit.models.runtime.

import { FrontEnd } from "./features.js";
import * as ort from "./ort.wasm.min.mjs";

const BATCH_SIZE = 4;

export class Network {
  /** Load the model folder; nothing is fetched from another host. */
  static async load(folder) {
    const card = await (await fetch(new URL("card.json", folder))).json();
    ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
    ort.env.wasm.numThreads = 1;
    const model = await (await fetch(new URL("model.onnx", folder))).arrayBuffer();
    return new Network(card, await ort.InferenceSession.create(new Uint8Array(model)));
  }

  constructor(card, session) {
    this.card = card;
    this.front = new FrontEnd(card.views);
    this.session = session;
  }

  /** Return the calibrated probabilities of segments, as FrontEnd.compute gives them. */
  async predict(segments) {
    return (await this.analyse(segments)).rows;
  }

  /** Return them, and whether each segment is music: genrekit.inference.music_gate. */
  async analyse(segments) {
    const gate = this.card.music_gate;
    const rows = [];
    const music = [];
    for (let start = 0; start < segments.length; start += BATCH_SIZE) {
      const batch = segments.slice(start, start + BATCH_SIZE);
      const inputs = this.front.views.map((view) => [view.name, tensorOf(batch, view)]);
      const { logits, embedding } = await this.session.run(Object.fromEntries(inputs), gate ? ["logits", "embedding"] : ["logits"]);
      const n_labels = this.card.labels.length;
      batch.forEach((_, i) => rows.push(this.#calibrated(logits.data.slice(i * n_labels, (i + 1) * n_labels))));
      batch.forEach((_, i) => music.push(!gate || gate.weights.reduce((sum, weight, k) => sum + weight * embedding.data[i * gate.weights.length + k], gate.bias) > 0));
    }
    return { rows, music };
  }

  #calibrated(logits) {
    const { temperature, bias } = this.card.calibration;
    const scaled = Array.from(logits, (logit, i) => (logit + (bias[i] ?? 0)) / temperature);
    const highest = Math.max(...scaled);
    const powers = scaled.map((value) => Math.exp(value - highest));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  }
}

function tensorOf(segments, { name, n_bins, n_frames }) {
  const data = new Float32Array(segments.length * n_bins * n_frames);
  segments.forEach((segment, i) => data.set(segment[name], i * n_bins * n_frames));
  return new ort.Tensor("float32", data, [segments.length, n_bins, n_frames]);
}
