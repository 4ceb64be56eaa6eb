// Which genre when: genrekit.inference.timeline, number for number.

const LEAST_PROBABILITY = 1e-3;

/** Return the JSON form of a timeline. `constants` holds change_penalty and colours. */
export function timelineOf(segments, labels, constants) {
  const cells = gridOf(segments, labels);
  const length = segments.length && segments[0].end_seconds - segments[0].start_seconds;
  const path = cells.length ? bestPath(cells, length, constants.change_penalty) : [];
  const spans = cells.length ? spansOf(cells, path, labels) : [];
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

function spansOf(cells, path, labels) {
  const runs = [];
  cells.forEach((cell, t) => {
    const last = runs.at(-1);
    const goesOn = last && path[t] === path[t - 1] && cell.start_seconds <= cells[t - 1].end_seconds;
    if (goesOn) last.push(cell);
    else runs.push(Object.assign([cell], { label: path[t] }));
  });
  return runs.map((run) => {
    const total = run.at(-1).end_seconds - run[0].start_seconds;
    const weighed = run.reduce((sum, c) => sum + c.probabilities[run.label] * (c.end_seconds - c.start_seconds), 0);
    return {
      start_seconds: run[0].start_seconds,
      end_seconds: run.at(-1).end_seconds,
      label: labels[run.label],
      probability: weighed / total,
    };
  });
}
