// In place of the page's api.js: the same results, made in this browser. Nothing is uploaded.

import { trackProbabilities } from "./aggregation.js";
import { explanationOf } from "./explain.js";
import { binHz } from "./features.js";
import { Network } from "./network.js";
import { cut, monoOf } from "./sound.js";
import { timelineOf } from "./timeline.js";
import { percent } from "./words.js";

const SILENCE_PEAK = 1e-4;
const RANGE_DB = 80;
const folder = new URL("model/", import.meta.url);
const constants = fetch(new URL("constants.json", import.meta.url)).then((response) => response.json());
const loaded = Network.load(folder);
const analysisOf = new WeakMap();

document.getElementById("docs").remove();
document.getElementById("where").textContent = "Your music stays on this machine: everything is computed in this browser.";

/** A file that cannot be predicted; it has no status, because there is no server. */
export class Problem extends Error {}

export function useKey() {}

/** Return the one model that lies beside the page. */
export async function models() {
  return [(await loaded).card];
}

/** Return the JSON form of a file's Prediction, with its spectrogram and its timeline. */
export async function predict(file, minPrecision) {
  const network = await loaded;
  const threshold = thresholdFor(network.card, minPrecision);
  const analysis = await analyse(file, network);
  analysisOf.set(file, analysis);
  return predictionOf(file, analysis, network, threshold, await constants);
}

/** Return the JSON form of a file's Explanation. */
export async function explain(file, genre) {
  const network = await loaded;
  return explanationOf(analysisOf.get(file) ?? (await analyse(file, network)), network, genre);
}

async function analyse(file, network) {
  const { front } = network;
  const { spec } = front;
  const { waveform, seconds } = await monoOf(file, spec.sample_rate).catch(() => {
    throw new Problem(`${file.name} cannot be decoded by this browser; choose an audio file, such as MP3, FLAC or WAV`);
  });
  if (!waveform.length) throw new Problem(`${file.name} holds no sound`);
  const pieces = cut(waveform, spec);
  const features = pieces.map(([, samples]) => front.compute(samples));
  const { rows, music } = await network.analyse(features);
  const loud = pieces.map(([, samples]) => samples.some((value) => Math.abs(value) >= SILENCE_PEAK));
  return { starts: pieces.map(([start]) => start / spec.sample_rate), features, rows, music, spec, seconds, loud };
}

function predictionOf(file, analysis, network, threshold, fixed) {
  const { card } = network;
  const { seconds, spec, loud } = analysis;
  const n_loud = count(loud);
  const music = loud.map((isLoud, i) => isLoud && analysis.music[i]);
  const share = count(music) / Math.max(1, n_loud);
  const votes = votersOf(loud, music, share, fixed); // silence and what is no music do not vote
  const rows = analysis.rows.filter((_, i) => votes[i]);
  const starts = analysis.starts.filter((_, i) => votes[i]);
  const named = (row) => Object.fromEntries(card.labels.map((label, i) => [label, row[i]]));
  const track = rows.length
    ? trackProbabilities(rows, card)
    : card.labels.map(() => 1 / card.labels.length);
  const genres = card.labels.map((label, i) => ({ label, probability: track[i] })).sort((a, b) => b.probability - a.probability);
  const segments = rows.map((row, i) => ({
    start_seconds: rounded(starts[i]),
    end_seconds: rounded(Math.min(starts[i] + spec.segment_seconds, seconds)),
    probabilities: named(row),
  }));
  const warnings = [];
  if (seconds < spec.segment_seconds) warnings.push("shorter than one segment; it was repeated to fill one");
  if (!n_loud) warnings.push("silent: no sample is louder than -80 dB, so it gets no genre");
  else if (n_loud < loud.length) {
    const share = Math.round(100 * (1 - n_loud / loud.length));
    warnings.push(`silent: ${share} % of its segments hold no sample louder than -80 dB; they are left out`);
  }
  if (rows.length < n_loud) warnings.push(notMusic(share, rows.length));
  const abstained = !rows.length || genres[0].probability < threshold;
  return {
    path: file.name,
    label: abstained ? null : genres[0].label,
    probability: genres[0].probability,
    abstained,
    threshold,
    duration_seconds: rounded(seconds),
    genres,
    segments,
    model: { name: card.name, version: card.version, sha256: card.onnx_sha256 },
    warnings,
    spectrogram: spectrogramOf(analysis, network.front.views[0]),
    timeline: timelineOf(segments, card, fixed),
  };
}

/** Which segments say the genre: genrekit.inference.music_gate.voters. */
function votersOf(loud, music, share, { mostly_music_share, some_music_share }) {
  if (share > mostly_music_share) return loud;
  return share < some_music_share ? loud.map(() => false) : music;
}

function notMusic(share, n_voters) {
  const said = `not music: ${percent(1 - share)} of its segments sound like`;
  return n_voters ? `${said} something else; they are left out` : `${said} speech, noise or effects, so it gets no genre`;
}

function count(values) {
  return values.filter(Boolean).length;
}

/** genrekit.explain.spectrogram's JSON form. */
function spectrogramOf({ features, starts }, { name, spec, n_bins, n_frames }) {
  const decibels = features.map((segment) => segment[name].map((value) => value * spec.std + spec.mean));
  const high = decibels.reduce((most, segment) => segment.reduce((a, b) => Math.max(a, b), most), -Infinity);
  const low = Math.max(spec.floor_db, high - RANGE_DB);
  const scale = 255 / Math.max(high - low, 1e-6);
  const bytes = decibels.map((segment) => Uint8Array.from(segment, (db) => Math.min(255, Math.max(0, Math.round((db - low) * scale)))));
  return {
    data: btoa(bytes.map((part) => Array.from(part, (byte) => String.fromCharCode(byte)).join("")).join("")),
    n_segments: bytes.length,
    n_bins,
    n_frames,
    starts_seconds: starts.map(rounded),
    n_left_out: 0,
    segment_seconds: spec.segment_seconds,
    seconds_per_frame: spec.hop_length / spec.sample_rate,
    bin_hz: binHz(spec),
    low_db: low,
    high_db: high,
    seen_by_network: true,
  };
}

function thresholdFor(card, minPrecision) {
  if (!minPrecision) return 0;
  const reached = card.precision_curve.filter((point) => point.precision >= Number(minPrecision));
  if (!reached.length) throw new Problem(`model ${card.name} cannot reach a precision of ${minPrecision}`);
  return reached.reduce((best, point) => (point.coverage > best.coverage ? point : best)).threshold;
}

function rounded(seconds) {
  return Math.round(1000 * seconds) / 1000;
}
