// Why: genrekit.explain in the page. Parts are replaced by the training mean; the log-odds fall.

import { binHz } from "./features.js";

const N_BANDS = 12;
const WINDOW_SECONDS = 0.5;
const MOST_SEGMENTS = 24;
const FRACTIONS = [0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1];
const N_RANDOM = 3;
const PASSAGE_SECONDS = 3;
const N_PASSAGES = 3;

/** Return the JSON form of an Explanation of an analysis ({starts, features, rows, spec...}). */
export async function explanationOf(analysis, network, genre) {
  const { labels } = network.card;
  const { views } = network.front;
  const chosen = evenly(analysis.features.length);
  const features = chosen.map((index) => analysis.features[index]);
  const grid = new Grid(views);
  const areMeansKnown = views.every((view) => view.means.length);
  const empty = areMeansKnown ? filled(views, (view) => view.means) : filled(views, (view) => meansOf(features, view));
  const predict = (inputs) => network.predict(inputs);
  const whole = (await predict(features)).map(logOdds);
  const [nothing] = (await predict([empty])).map(logOdds);
  const evidence = { blocks: [], windows: [] };
  for (const [index, segment] of features.entries()) {
    const odds = (await predict(grid.withoutEach(segment, empty))).map(logOdds);
    const drops = odds.map((row) => row.map((value, label) => whole[index][label] - value));
    evidence.blocks.push(drops.slice(0, grid.n_blocks));
    evidence.windows.push(drops.slice(grid.n_blocks));
  }
  const starts = chosen.map((index) => analysis.starts[index]);
  const byLabel = labels.map((_, label) => ({
    segments: whole.map((odds) => odds[label] - nothing[label]),
    windows: evidence.windows.map((drops) => drops.map((drop) => drop[label])),
    blocks: evidence.blocks.map((drops) => grid.inRows(drops.map((drop) => drop[label]))),
  }));
  byLabel.forEach((found, label) => {
    const weights = chosen.map((index) => analysis.rows[index][label]);
    found.deciding = passagesOf(found.windows, weights, starts, analysis.spec.segment_seconds, analysis.seconds);
  });
  const label = labels.indexOf(genre);
  return {
    genre,
    labels,
    starts_seconds: starts,
    segment_seconds: analysis.spec.segment_seconds,
    evidence: Object.fromEntries(labels.map((name, i) => [name, byLabel[i]])),
    curves: await curvesOf(predict, features, empty, grid, byLabel[label].blocks, label),
    replaced_by: areMeansKnown ? "the mean of the training tracks" : "the mean of the track (the card has no feature_means)",
    method: "occlusion",
    n_segments: analysis.features.length,
    coverage: coverageOf(chosen.length, analysis),
  };
}

function coverageOf(n_explained, { features, spec, seconds }) {
  const explained = n_explained === features.length
    ? `all ${n_explained} segments were explained`
    : `${n_explained} of ${features.length} segments were explained, evenly spread`;
  return `${explained}; each is ${spec.segment_seconds} s long, the track lasts ${seconds.toFixed(0)} s`;
}

/** Cuts segments into the same seconds and the same frequencies in every view; the first decides. */
class Grid {
  constructor(views) {
    const [first] = views;
    const target = Math.round(first.spec.segment_seconds / WINDOW_SECONDS);
    this.n_windows = Math.min(Math.max(target, 4), 16, ...views.map((view) => view.n_frames));
    const bins = edges(first.n_bins, Math.min(N_BANDS, first.n_bins));
    const limits = bins.slice(1, -1).map((bin) => binHz(first.spec)[bin]);
    this.views = views.map((view, i) => ({
      name: view.name,
      n_frames: view.n_frames,
      frames: edges(view.n_frames, this.n_windows),
      bins: i === 0 ? bins : [0, ...limits.map((hz) => binHz(view.spec).filter((centre) => centre < hz).length), view.n_bins],
    }));
    this.n_bands = bins.length - 1;
    this.n_blocks = this.n_windows * this.n_bands;
  }

  /** Copy one block from source to target. */
  copy(target, source, block) {
    const [band, window] = [Math.floor(block / this.n_windows), block % this.n_windows];
    for (const { name, n_frames, frames, bins } of this.views) {
      for (let bin = bins[band]; bin < bins[band + 1]; bin += 1) {
        const from = bin * n_frames + frames[window];
        const to = bin * n_frames + frames[window + 1];
        target[name].set(source[name].subarray(from, to), from);
      }
    }
  }

  withoutEach(segment, empty) {
    const one = (blocks) => {
      const occluded = copyOf(segment);
      blocks.forEach((block) => this.copy(occluded, empty, block));
      return occluded;
    };
    const all = Array.from({ length: this.n_blocks }, (_, block) => block);
    const windows = Array.from({ length: this.n_windows }, (_, w) => all.filter((b) => b % this.n_windows === w));
    return [...all.map((block) => one([block])), ...windows.map(one)];
  }

  inRows(values) {
    return Array.from({ length: this.n_bands }, (_, band) =>
      values.slice(band * this.n_windows, (band + 1) * this.n_windows));
  }
}

async function curvesOf(predict, features, empty, grid, blocks, label) {
  const random = generator(1);
  const best = blocks.map((rows) => rows.flat().map((value, i) => [value, i]).sort((a, b) => b[0] - a[0]).map((x) => x[1]));
  const shuffles = Array.from({ length: N_RANDOM }, () => blocks.map(() => shuffled(grid.n_blocks, random)));
  const curve = async (orders, isBack) => {
    const current = features.map((segment) => copyOf(isBack ? empty : segment));
    const found = [];
    let done = 0;
    for (const fraction of FRACTIONS) {
      const due = Math.round(fraction * grid.n_blocks);
      orders.forEach((order, i) =>
        order.slice(done, due).forEach((block) => grid.copy(current[i], isBack ? features[i] : empty, block)));
      done = due;
      found.push(meanOf((await predict(current)).map((row) => row[label])));
    }
    return found;
  };
  const averaged = async (isBack) => {
    const all = [];
    for (const orders of shuffles) all.push(await curve(orders, isBack));
    return FRACTIONS.map((_, i) => meanOf(all.map((found) => found[i])));
  };
  const curves = {
    fractions: FRACTIONS,
    deletion: await curve(best, false),
    insertion: await curve(best, true),
    random_deletion: await averaged(false),
    random_insertion: await averaged(true),
  };
  const areas = Object.fromEntries(Object.entries(curves).slice(1).map(([name, values]) => [name, area(values)]));
  const falls = areas.deletion < areas.random_deletion;
  return { ...curves, areas, better_than_random: falls && areas.insertion > areas.random_insertion };
}

/** Up to three passages with the largest mean of evidence times probability, in order of time. */
function passagesOf(windows, weights, starts, length, seconds) {
  const step = length / windows[0].length;
  const n = Math.min(Math.max(1, Math.round(PASSAGE_SECONDS / step)), windows[0].length);
  const runs = [];
  windows.forEach((row, i) => {
    const values = row.map((value) => value * weights[i]);
    const last = runs.at(-1);
    if (last && Math.abs(last.start + last.values.length * step - starts[i]) < step / 10) last.values.push(...values);
    else runs.push({ start: starts[i], values });
  });
  const candidates = runs.flatMap(({ start, values }) =>
    Array.from({ length: values.length - n + 1 }, (_, first) => ({
      start_seconds: start + first * step,
      end_seconds: Math.min(start + (first + n) * step, seconds),
      evidence: meanOf(values.slice(first, first + n)),
    })));
  const found = [];
  for (const one of candidates.sort((a, b) => b.evidence - a.evidence)) {
    const free = found.every((s) => one.end_seconds <= s.start_seconds || one.start_seconds >= s.end_seconds);
    if (one.evidence > 0 && free && found.length < N_PASSAGES) found.push(one);
  }
  return found.sort((a, b) => a.start_seconds - b.start_seconds);
}

/** Indices of at most 24 of n segments, every second, fourth, eighth... of them. */
function evenly(n) {
  let every = 1;
  while (Math.ceil(n / every) > MOST_SEGMENTS) every *= 2;
  return Array.from({ length: Math.ceil(n / every) }, (_, i) => i * every);
}

/** A segment that holds one number for every bin of every view. */
function filled(views, numbersOf) {
  return Object.fromEntries(views.map((view) => {
    const numbers = numbersOf(view);
    return [view.name, Float32Array.from({ length: view.n_bins * view.n_frames }, (_, i) => numbers[Math.floor(i / view.n_frames)])];
  }));
}

function meansOf(features, { name, n_bins, n_frames }) {
  return Array.from({ length: n_bins }, (_, bin) =>
    meanOf(features.map((segment) => meanOf(segment[name].subarray(bin * n_frames, (bin + 1) * n_frames)))));
}

function copyOf(segment) {
  return Object.fromEntries(Object.entries(segment).map(([name, values]) => [name, values.slice()]));
}

function logOdds(probabilities) {
  const kept = probabilities.map((p) => Math.min(Math.max(p, 1e-9), 1 - 1e-9));
  return kept.map((p) => Math.log(p / (1 - p)));
}

function edges(n_items, n_parts) {
  return Array.from({ length: n_parts + 1 }, (_, i) => Math.round((i * n_items) / n_parts));
}

function area(values) {
  return values.slice(1).reduce((sum, value, i) => sum + ((value + values[i]) / 2) * (FRACTIONS[i + 1] - FRACTIONS[i]), 0);
}

function meanOf(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function shuffled(n, random) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Numbers in [0, 1) that are the same in every run (mulberry32 by Tommy Ettinger). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
