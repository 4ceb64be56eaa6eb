// What can be taken along: tables, images, sound.

const FADE_SECONDS = 0.02;
const PAUSE_SECONDS = 0.25;

export function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** One row for every cell of the timeline: times, its genre, every genre's probability. */
export function timelineCsv(timeline) {
  const spanAt = (time) => timeline.spans.find((span) => span.end_seconds >= time)?.label ?? "";
  const rows = timeline.cells.map((cell) => {
    const best = timeline.labels[cell.probabilities.indexOf(Math.max(...cell.probabilities))];
    return [cell.start_seconds, cell.end_seconds, best, spanAt(cell.end_seconds), ...cell.probabilities];
  });
  return csvOf([["start_seconds", "end_seconds", "label", "span", ...timeline.labels], ...rows]);
}

/** One row for every file: its genre, every genre's probability, its length; or why it failed. */
export function listCsv(entries) {
  const labels = entries.find((entry) => entry.prediction)?.prediction.timeline.labels ?? [];
  const rows = entries.map(({ name, prediction, error }) => {
    const found = Object.fromEntries((prediction?.genres ?? []).map((genre) => [genre.label, genre.probability]));
    const best = [prediction?.label, prediction?.probability, prediction?.duration_seconds];
    return [name, ...best, error, ...labels.map((label) => found[label])].map((value) => value ?? "");
  });
  return csvOf([["file", "label", "probability", "duration_seconds", "error", ...labels], ...rows]);
}

/** The same as JSON; images and timelines are left out, each file's own download has them. */
export function listJson(entries) {
  const rows = entries.map(({ name, prediction, error }) => {
    const { spectrogram: _, timeline: __, ...fields } = prediction ?? {};
    return { file: name, error, ...fields };
  });
  return JSON.stringify(rows, null, 1);
}

function csvOf(table) {
  return table.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

function quoted(value) {
  const isFormula = typeof value === "string" && /^[=+\-@\t\r]/.test(value); // to a spreadsheet
  const text = isFormula ? `'${value}` : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Put canvases below each other on one image with a title. */
export function imageOf(canvases, title) {
  const width = canvases[0].width;
  const ratio = width / canvases[0].clientWidth;
  const head = Math.round(40 * ratio);
  const whole = document.createElement("canvas");
  whole.width = width;
  whole.height = head + canvases.reduce((sum, canvas) => sum + canvas.height + 4, 0);
  const context = whole.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, whole.width, whole.height);
  context.fillStyle = "#000000";
  context.font = `600 ${Math.round(18 * ratio)}px system-ui, sans-serif`;
  context.fillText(title, 8 * ratio, 26 * ratio);
  let top = head;
  for (const canvas of canvases) {
    context.drawImage(canvas, 0, top);
    top += canvas.height + 4;
  }
  return new Promise((resolve) => whole.toBlob(resolve, "image/png"));
}

/** Cut passages out of an AudioBuffer, faded, with pauses between; return 16-bit WAV. */
export function wavOf(buffer, passages) {
  const { sampleRate: rate, numberOfChannels: channels } = buffer;
  const pause = Math.round(PAUSE_SECONDS * rate);
  const parts = passages.map((passage) => [
    Math.round(passage.start_seconds * rate),
    Math.min(Math.round(passage.end_seconds * rate), buffer.length),
  ]);
  const length = parts.reduce((sum, [from, to]) => sum + to - from, pause * (parts.length - 1));
  const data = new DataView(new ArrayBuffer(44 + 2 * channels * length));
  writeHeader(data, channels, rate, 2 * channels * length);
  const sources = Array.from({ length: channels }, (_, channel) => buffer.getChannelData(channel));
  let at = 0;
  for (const [from, to] of parts) {
    for (let index = from; index < to; index += 1) {
      const gain = Math.min(1, Math.min(index - from, to - 1 - index) / (FADE_SECONDS * rate));
      sources.forEach((samples, channel) => {
        const value = Math.max(-1, Math.min(1, samples[index] * gain));
        data.setInt16(44 + 2 * (channels * (at + index - from) + channel), Math.round(32767 * value), true);
      });
    }
    at += to - from + pause;
  }
  return new Blob([data.buffer], { type: "audio/wav" });
}

function writeHeader(data, channels, rate, n_bytes) {
  const text = (at, letters) => [...letters].forEach((c, i) => data.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  data.setUint32(4, 36 + n_bytes, true);
  text(8, "WAVEfmt ");
  data.setUint32(16, 16, true);
  data.setUint16(20, 1, true); // PCM
  data.setUint16(22, channels, true);
  data.setUint32(24, rate, true);
  data.setUint32(28, 2 * channels * rate, true);
  data.setUint16(32, 2 * channels, true);
  data.setUint16(34, 16, true);
  text(36, "data");
  data.setUint32(40, n_bytes, true);
}
