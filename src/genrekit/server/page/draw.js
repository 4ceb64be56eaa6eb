// Images on canvases: the network's input, the evidence over it, the genres under it.

/** Make a canvas as sharp as the screen; return its context and its size in CSS pixels. */
export function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** Turn the base64 of a spectrogram's JSON form into one byte for every bin and frame. */
export function levelsOf(spectrogram) {
  return Uint8Array.from(atob(spectrogram.data), (character) => character.charCodeAt(0));
}

const GREY = Array.from({ length: 256 }, (_, level) => [level, level, level]);
const STOPS = [[9, 9, 30], [59, 28, 104], [140, 41, 99], [222, 73, 61], [251, 159, 58], [252, 246, 184]];
const COLOURS = Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((value, i) => Math.round(value + (place - low) * (STOPS[low + 1][i] - value)));
});

/** Draw every segment at its place; what is in none stays empty. */
export function drawSpectrogram(canvas, spectrogram, levels, seconds, inGrey) {
  const { context, width, height } = prepare(canvas);
  const { n_bins: rows, n_frames: columns } = spectrogram;
  const palette = inGrey ? GREY : COLOURS;
  spectrogram.starts_seconds.forEach((start, segment) => {
    const first = segment * rows * columns;
    const tile = tileOf(columns, rows, (x, y) => [...palette[levels[first + y * columns + x]], 255]);
    const length = Math.min(spectrogram.segment_seconds, seconds - start);
    context.drawImage(tile, 0, 0, (columns * length) / spectrogram.segment_seconds, rows,
      (start / seconds) * width, 0, (length / seconds) * width + 0.5, height);
  });
}

/** Lay the evidence for one genre over the spectrogram: orange supports it, blue opposes it. */
export function drawEvidence(canvas, explanation, label, seconds) {
  const context = canvas.getContext("2d");
  const { clientWidth: width, clientHeight: height } = canvas;
  const { blocks } = explanation.evidence[label];
  const limit = Math.max(1e-6, ...blocks.flat(2).map(Math.abs));
  blocks.forEach((rows, segment) => {
    const start = explanation.starts_seconds[segment];
    const tile = tileOf(rows[0].length, rows.length, (x, y) => {
      const strength = (Math.abs(rows[y][x]) / limit) ** 0.7;
      return [...(rows[y][x] > 0 ? [255, 140, 0] : [40, 120, 255]), Math.round(225 * strength)];
    });
    context.drawImage(tile, (start / seconds) * width, 0,
      (explanation.segment_seconds / seconds) * width, height);
  });
}

/** Mark the seconds that decided by a bar along the upper edge. */
export function drawPassages(canvas, passages, seconds) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.strokeStyle = "#000000";
  for (const passage of passages) {
    const left = (passage.start_seconds / seconds) * canvas.clientWidth;
    const width = ((passage.end_seconds - passage.start_seconds) / seconds) * canvas.clientWidth;
    context.fillRect(left, 2, width, 6);
    context.strokeRect(left, 2, width, 6);
  }
}

/** Write a few of the bins' frequencies along the left edge. */
export function drawFrequencies(canvas, spectrogram) {
  const context = canvas.getContext("2d");
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 70%)";
  context.fillStyle = "#ffffff";
  for (const hertz of [250, 1000, 2000, 4000, 8000]) {
    const bin = spectrogram.bin_hz.findIndex((hz) => hz >= hertz);
    if (bin < 0) continue;
    const y = canvas.clientHeight * (1 - bin / spectrogram.n_bins);
    const text = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
    context.strokeText(text, 4, y);
    context.fillText(text, 4, y);
  }
}

/** Draw the probabilities stacked over time, the spans named below, the changes as lines. */
export function drawTimeline(canvas, timeline, seconds) {
  const { context, width, height } = prepare(canvas);
  const strip = 26;
  const left = (time) => Math.round((time / seconds) * width);
  for (const cell of timeline.cells) {
    let top = 0;
    cell.probabilities.forEach((probability, index) => {
      context.fillStyle = timeline.colours[index];
      const size = probability * (height - strip - 4);
      const x = left(cell.start_seconds);
      context.fillRect(x, top, left(cell.end_seconds) - x, size);
      top += size;
    });
  }
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const span of timeline.spans) {
    const x = left(span.start_seconds);
    const room = left(span.end_seconds) - x;
    context.fillStyle = timeline.colours[timeline.labels.indexOf(span.label)];
    context.fillRect(x, height - strip, room - 1, strip);
    if (context.measureText(span.label).width + 12 < room) {
      context.fillStyle = inkOn(context.fillStyle);
      context.fillText(span.label, x + 6, height - strip / 2);
    }
  }
  context.fillStyle = getComputedStyle(canvas).color;
  for (const time of timeline.change_points_seconds) context.fillRect(left(time) - 1, 0, 2, height);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];

/** Draw marks below the timeline, each with its time. */
export function drawAxis(canvas, seconds, textOf) {
  const { context, width, height } = prepare(canvas);
  const step = STEPS.find((its) => (its / seconds) * width >= 56) ?? Math.ceil(seconds);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "bottom";
  context.fillStyle = getComputedStyle(canvas).color;
  for (let time = 0; time <= seconds; time += step) {
    const x = (time / seconds) * width;
    const text = textOf(time);
    const room = context.measureText(text).width;
    context.fillRect(Math.min(x, width - 1), 0, 1, 5);
    context.fillText(text, Math.max(0, Math.min(x - room / 2, width - room)), height);
  }
}

/** Return black or white, whichever is easier to read on a colour (#rrggbb). */
function inkOn(colour) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red, green, blue] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000000" : "#ffffff";
}

function tileOf(columns, rows, colourAt) {
  const tile = new OffscreenCanvas(columns, rows);
  const context = tile.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      image.data.set(colourAt(x, y), 4 * ((rows - 1 - y) * columns + x)); // low bins at the bottom
    }
  }
  context.putImageData(image, 0, 0);
  return tile;
}
