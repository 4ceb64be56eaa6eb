// Which genre when: genrekit.inference.timeline, number for number.

import { trackProbabilities } from "./aggregation.js";

const LEAST_PROBABILITY = 1e-3;

/** Return the JSON form of a timeline. `constants` holds change_penalty and colours. */
export function timelineOf(predicted, card, constants) {
  const { labels } = card;
  const segments = predicted.filter((segment) => segment.end_seconds > segment.start_seconds);
  const cells = gridOf(segments, labels);
  const length = segments.length && segments[0].end_seconds - segments[0].start_seconds;
  const path = cells.length ? bestPath(cells, length, constants.change_penalty) : [];
  const spans = spansOf(runsOf(cells, path, segments), card);
  const changes = spans.slice(1).filter((span, i) => span.label !== spans[i].label);
  return {
    labels,
    colours: labels.map((_, i) => constants.colours[i % constants.colours.length]),
    cells,
    spans,
    change_points_seconds: changes.map((span) => span.start_seconds),
    change_penalty: constants.change_penalty,
  };
}

function gridOf(segments, labels) {
  const times = segments.flatMap((segment) => [segment.start_seconds, segment.end_seconds]);
  const points = [...new Set(times)].sort((a, b) => a - b);
  const cells = points.slice(1).map((end, i) => {
    const over = segments.filter((s) => s.start_seconds <= points[i] && s.end_seconds >= end);
    const mean = (label) => over.reduce((sum, s) => sum + s.probabilities[label], 0) / over.length;
    return { start_seconds: points[i], end_seconds: end, probabilities: over.length ? labels.map(mean) : null };
  });
  return cells.filter((cell) => cell.probabilities);
}

/** The labels that explain the cells best when every change costs the penalty (Viterbi 1967). */
function bestPath(cells, segmentSeconds, penalty) {
  const cameFrom = [];
  let best = [];
  cells.forEach((cell, t) => {
    const weight = (cell.end_seconds - cell.start_seconds) / segmentSeconds;
    const gains = cell.probabilities.map((p) => weight * Math.log(Math.max(p, LEAST_PROBABILITY)));
    if (t === 0) {
      best = gains;
      return;
    }
    const changed = Math.max(...best) - penalty;
    const leader = best.indexOf(Math.max(...best));
    cameFrom[t] = best.map((value, label) => (changed > value ? leader : label));
    best = best.map((value, label) => Math.max(value, changed) + gains[label]);
  });
  const path = [best.indexOf(Math.max(...best))];
  for (let t = cells.length - 1; t > 0; t -= 1) path.unshift(cameFrom[t][path[0]]);
  return path;
}

/** Neighbouring cells of one label; a gap between segments ends a run. Its members are the segments in it. */
function runsOf(cells, path, segments) {
  const runs = [];
  cells.forEach((cell, t) => {
    const last = runs.at(-1);
    const goesOn = last && path[t] === path[t - 1] && cell.start_seconds <= cells[t - 1].end_seconds;
    if (goesOn) last.end_seconds = cell.end_seconds;
    else runs.push({ start_seconds: cell.start_seconds, end_seconds: cell.end_seconds, members: [] });
  });
  for (const segment of segments) {
    const middle = (segment.start_seconds + segment.end_seconds) / 2;
    runs.find((run) => run.end_seconds > middle).members.push(segment);
  }
  return runs;
}

/** Join runs that touch and get the same label; one with no segment's middle joins any. */
function spansOf(runs, card) {
  const found = [];
  for (const { start_seconds, end_seconds, members } of runs) {
    const label = members.length ? bestOf(members, card).label : null;
    const last = found.at(-1);
    const touches = last?.end_seconds === start_seconds;
    if (touches && (last.label === null || label === null || last.label === label)) {
      Object.assign(last, { end_seconds, members: [...last.members, ...members], label: last.label ?? label });
    } else found.push({ start_seconds, end_seconds, members, label });
  }
  return found.map(({ members, ...span }) => ({ ...span, ...bestOf(members, card) }));
}

/** What the segments would be called, were they a track of their own. */
function bestOf(segments, card) {
  const probabilities = trackProbabilities(segments.map((segment) => card.labels.map((label) => segment.probabilities[label])), card);
  const probability = Math.max(...probabilities);
  return { label: card.labels[probabilities.indexOf(probability)], probability };
}
