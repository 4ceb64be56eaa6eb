// The front end: every view of a segment, as genrekit.inference.frontend computes them.

import { resample } from "./sound.js";

const MOST_LIFT_DB = 40; // as in genrekit.features.level

/** Turns segments, cut at the highest sample rate of a card's views, into the inputs of a network. */
export class FrontEnd {
  constructor(views) {
    this.views = views.map((view) => new View(view));
    this.spec = this.views.map((view) => view.spec).reduce((a, b) => (b.sample_rate > a.sample_rate ? b : a));
  }

  /** Return the features of a segment by the name of the view. */
  compute(segment) {
    return Object.fromEntries(this.views.map((view) => [view.name, view.compute(this.#at(segment, view))]));
  }

  #at(segment, view) {
    const resampled = resample(segment, this.spec.sample_rate, view.spec.sample_rate);
    if (resampled.length === view.n_samples) return resampled;
    const whole = new Float32Array(view.n_samples); // rounding: a sample at most is missing
    whole.set(resampled.subarray(0, view.n_samples));
    return whole;
  }
}

/** One view: (decibels, brought to level_db, - mean) / std of a segment, n_bins rows of n_frames. */
class View {
  constructor({ name, features: spec, feature_means: means }) {
    this.name = name;
    this.spec = spec;
    this.means = means;
    this.n_samples = Math.round(spec.segment_seconds * spec.sample_rate);
    this.size = spec.n_fft;
    this.n_spectrum = 1 + spec.n_fft / 2;
    this.n_bins = spec.kind === "log_mel" ? spec.n_mels : this.n_spectrum;
    this.n_frames = 1 + Math.floor(this.n_samples / spec.hop_length);
    this.window = Float64Array.from({ length: this.size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / this.size));
    this.filters = spec.kind === "log_mel" ? melFilters(spec) : null;
    this.fourier = new Fourier(this.size);
  }

  compute(segment) {
    const values = this.decibels(segment);
    const { mean, std } = this.spec;
    const lift = this.#lift(values);
    return values.map((value) => (value + lift - mean) / std);
  }

  /** What brings a segment to the mean power of level_db when it is added. */
  #lift(values) {
    const target = this.spec.level_db;
    if (target === null || target === undefined) return 0;
    const power = values.reduce((sum, value) => sum + 10 ** (value / 10), 0) / values.length;
    return Math.min(target - 10 * Math.log10(power), MOST_LIFT_DB);
  }

  decibels(segment) {
    const { hop_length: hop, floor_db: floor } = this.spec;
    const least = 10 ** (floor / 10);
    const values = new Float32Array(this.n_bins * this.n_frames);
    const padded = this.#pad(segment);
    const frame = new Float64Array(this.size);
    for (let t = 0; t < this.n_frames; t += 1) {
      for (let i = 0; i < this.size; i += 1) frame[i] = padded[t * hop + i] * this.window[i];
      const power = this.fourier.power(frame);
      for (let bin = 0; bin < this.n_bins; bin += 1) {
        values[bin * this.n_frames + t] = 10 * Math.log10(Math.max(this.#band(power, bin), least));
      }
    }
    return values;
  }

  #band(power, bin) {
    if (!this.filters) return power[bin];
    const { first, weights } = this.filters[bin];
    let sum = 0;
    for (let i = 0; i < weights.length; i += 1) sum += weights[i] * power[first + i];
    return sum;
  }

  #pad(segment) {
    const half = this.size / 2;
    const padded = new Float64Array(segment.length + this.size);
    padded.set(segment, half);
    if (this.spec.padding === "reflect") {
      for (let i = 0; i < half; i += 1) {
        padded[half - 1 - i] = segment[i + 1];
        padded[half + segment.length + i] = segment[segment.length - 2 - i];
      }
    }
    return padded;
  }
}

/** The centre of every bin in Hz. */
export function binHz(spec) {
  if (spec.kind === "log_stft") {
    return Array.from({ length: 1 + spec.n_fft / 2 }, (_, bin) => (bin * spec.sample_rate) / spec.n_fft);
  }
  return melEdges(spec).slice(1, -1);
}

function melEdges(spec) {
  const [low, high] = [spec.f_min, spec.f_max ?? spec.sample_rate / 2].map((hz) => toMel(hz, spec.mel_scale));
  const step = (high - low) / (spec.n_mels + 1);
  return Array.from({ length: spec.n_mels + 2 }, (_, i) => toHz(low + i * step, spec.mel_scale));
}

/** Slaney's triangles of unit area, each with its first bin and its weights from there on. */
function melFilters(spec) {
  const edges = melEdges(spec);
  const n_spectrum = 1 + spec.n_fft / 2;
  return Array.from({ length: spec.n_mels }, (_, band) => {
    const [left, centre, right] = edges.slice(band, band + 3);
    const dense = Array.from({ length: n_spectrum }, (_, bin) => {
      const hz = (bin * spec.sample_rate) / spec.n_fft;
      const height = Math.max(0, Math.min((hz - left) / (centre - left), (right - hz) / (right - centre)));
      return Math.fround((height * 2) / (right - left));
    });
    const first = Math.max(0, dense.findIndex((weight) => weight > 0));
    const last = dense.findLastIndex((weight) => weight > 0);
    return { first, weights: dense.slice(first, Math.max(first, last + 1)) };
  });
}

const SLANEY_STEP = Math.log(6.4) / 27;

function toMel(hz, scale) {
  if (scale === "htk") return 2595 * Math.log10(1 + hz / 700);
  return hz < 1000 ? (3 * hz) / 200 : 15 + Math.log(hz / 1000) / SLANEY_STEP;
}

function toHz(mel, scale) {
  if (scale === "htk") return 700 * (10 ** (mel / 2595) - 1);
  return mel < 15 ? (200 * mel) / 3 : 1000 * Math.exp(SLANEY_STEP * (mel - 15));
}

/** Power spectra of real frames, by the Fourier transform of Cooley & Tukey (1965). */
class Fourier {
  constructor(size) {
    if (size & (size - 1)) throw new Error(`n_fft is ${size}; a power of two is needed`);
    this.size = size;
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.spectrum = new Float64Array(1 + size / 2);
    this.cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sines = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    this.order = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit += 1) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  power(frame) {
    const { size, real, imaginary, order, spectrum } = this;
    for (let i = 0; i < size; i += 1) real[i] = frame[order[i]];
    imaginary.fill(0);
    for (let length = 2; length <= size; length *= 2) this.#butterflies(length);
    for (let i = 0; i < spectrum.length; i += 1) spectrum[i] = real[i] ** 2 + imaginary[i] ** 2;
    return spectrum;
  }

  #butterflies(length) {
    const { size, real, imaginary, cosines, sines } = this;
    const half = length / 2;
    const step = size / length;
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < half; k += 1) {
        const [a, b] = [start + k, start + k + half];
        const [cosine, sine] = [cosines[k * step], sines[k * step]];
        const re = real[b] * cosine + imaginary[b] * sine;
        const im = imaginary[b] * cosine - real[b] * sine;
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
    }
  }
}
