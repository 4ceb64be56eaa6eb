// From segments to their track: genrekit.inference.aggregation, number for number.

function tempered(probabilities, temperature) {
  const highest = Math.max(...probabilities);
  const powers = probabilities.map((p) => (p / highest) ** (1 / temperature));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

/** Join the segments of a track: the tempered mean, or the share of votes where the card has it. */
export function trackProbabilities(rows, { aggregation, calibration }) {
  const mean = rows[0].map((_, label) => rows.reduce((sum, row) => sum + row[label], 0) / rows.length);
  if (aggregation === "mean_probability") return tempered(mean, calibration.track_temperature);
  const votes = mean.map(() => 0);
  rows.forEach((row) => (votes[row.indexOf(Math.max(...row))] += 1));
  const most = Math.max(...votes);
  const tied = votes.filter((n) => n === most).length > 1;
  const weighed = votes.map((n, label) => n + (tied ? 1e-3 * mean[label] : 0));
  const total = weighed.reduce((a, b) => a + b);
  return weighed.map((weight) => weight / total);
}
