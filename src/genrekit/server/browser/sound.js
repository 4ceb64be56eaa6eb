// From a file to segments: decode, mix down, resample, cut. The same steps as genrekit.audio.

const DECODED_HZ = 44100; // browsers bring every file to the rate of the context that decodes it
const ATTENUATION_DB = 125;
const PASSBAND = 0.913; // of the lower half sample rate, as soxr's HQ has it

const kernelsBy = new Map();

/** Return mono samples of a file at a sample rate. */
export async function monoOf(file, rate) {
  const decoder = new OfflineAudioContext(1, 1, DECODED_HZ);
  const buffer = await decoder.decodeAudioData(await file.arrayBuffer());
  return { waveform: resample(mixDown(buffer), buffer.sampleRate, rate), seconds: buffer.duration };
}

function mixDown(buffer) {
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < mono.length; i += 1) mono[i] += samples[i] / buffer.numberOfChannels;
  }
  return mono;
}

/** Resample by a windowed sinc (Kaiser 1974), one set of weights for every phase. */
export function resample(waveform, from, to) {
  if (from === to) return waveform;
  const divisor = greatestDivisor(from, to);
  const [up, down] = [to / divisor, from / divisor];
  const key = `${from} ${to}`;
  if (!kernelsBy.has(key)) kernelsBy.set(key, kernelsOf(from, to, up));
  const kernels = kernelsBy.get(key);
  const half = (kernels[0].length - 1) >> 1;
  const result = new Float32Array(Math.round((waveform.length * to) / from));
  for (let i = 0; i < result.length; i += 1) {
    const place = i * down;
    const centre = Math.floor(place / up);
    const kernel = kernels[place % up];
    const first = Math.max(0, half - centre);
    const last = Math.min(kernel.length, waveform.length - centre + half);
    let sum = 0;
    for (let k = first; k < last; k += 1) sum += kernel[k] * waveform[centre - half + k];
    result[i] = sum;
  }
  return result;
}

function kernelsOf(from, to, n_phases) {
  const stop = Math.min(from, to) / 2;
  const cutoff = ((1 + PASSBAND) / 2) * (stop / from); // in cycles a sample
  const width = 2 * Math.PI * (1 - PASSBAND) * (stop / from);
  const half = Math.ceil((ATTENUATION_DB - 8) / (2.285 * width) / 2);
  const beta = 0.1102 * (ATTENUATION_DB - 8.7);
  return Array.from({ length: n_phases }, (_, phase) => {
    const kernel = new Float64Array(2 * half + 1);
    for (let k = 0; k < kernel.length; k += 1) {
      const time = k - half - phase / n_phases;
      const share = Math.min(1, Math.abs(time) / (half + 1));
      const window = bessel(beta * Math.sqrt(1 - share * share)) / bessel(beta);
      const x = 2 * cutoff * time;
      kernel[k] = 2 * cutoff * window * (time === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
    }
    return kernel;
  });
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel(x) {
  let [term, sum] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(a, b) {
  return b ? greatestDivisor(b, a % b) : a;
}

/** Cut a whole track as genrekit.inference.segments does; return [start in samples, samples] pairs. */
export function cut(track, spec) {
  const n_kept = spec.first_seconds ? Math.round(spec.first_seconds * spec.sample_rate) : track.length;
  const waveform = track.subarray(0, n_kept);
  const size = Math.round(spec.segment_seconds * spec.sample_rate);
  const hop = Math.max(1, Math.round(spec.segment_hop_seconds * spec.sample_rate));
  if (waveform.length < size) {
    return [[0, Float32Array.from({ length: size }, (_, i) => waveform[i % waveform.length])]];
  }
  const pieces = [];
  let start = 0;
  for (; start + size <= waveform.length; start += hop) pieces.push([start, waveform.subarray(start, start + size)]);
  if (waveform.length - (start - hop + size) >= size / 2) {
    pieces.push([waveform.length - size, waveform.subarray(-size)]);
  }
  return pieces;
}
