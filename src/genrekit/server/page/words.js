// Numbers as people read them.

const CLOSE = 0.1;
const LEAST_SECOND = 0.2;

export function percent(probability) {
  const text = (100 * probability).toFixed(1);
  return text === "0.0" && probability > 0 ? "< 0.1 %" : `${text} %`;
}

/** Name a prediction for people: a genre, the two that it lies between, or "unknown". */
export function nameOf(prediction) {
  const [first, second] = prediction.genres;
  if (prediction.label === null) return "unknown";
  const isClose = second && second.probability >= LEAST_SECOND && first.probability - second.probability < CLOSE;
  return isClose ? `between ${first.label} and ${second.label}` : prediction.label;
}

/** Return the colour that a genre has in bars, timeline and list. */
export function colourOf(prediction, label) {
  const { labels, colours } = prediction.timeline;
  return colours[labels.indexOf(label)] ?? "transparent";
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${parts[0]}:${parts[1]}` : `${Number(parts[0])}:${parts[1]}`;
}
