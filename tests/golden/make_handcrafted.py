"""Make handcrafted.npz: what librosa computes of made signals, column by column.

Run once with librosa installed: ``python tests/golden/make_handcrafted.py``. The test reads the
file and needs no librosa. Each case keeps its waveform (16-bit) and the 57 columns.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np

SAMPLE_RATE = 22050
REFLECT = {"pad_mode": "reflect"}


def band(seconds: float, seed: int) -> np.ndarray:
    """A chord a quarter tone flat that changes twice, struck at 100 beats a minute, in noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    roots = np.array([220.0, 261.6, 293.7])[(3 * time / seconds).astype(int)] * 2 ** (-1 / 24)
    signal = sum(
        0.1 / n * np.sin(2 * np.pi * np.cumsum(ratio * n * roots) / SAMPLE_RATE)
        for ratio in (1.0, 1.26, 1.5)
        for n in (1, 2, 3)
    )
    signal = signal + 0.3 * rng.standard_normal(time.size) * np.exp(-25 * (time % 0.6))
    signal += 0.002 * rng.standard_normal(time.size)
    return np.round(signal * 32767).clip(-32768, 32767).astype(np.int16)


def pauses(seconds: float, seed: int) -> np.ndarray:
    """The same with digital silence in it."""
    signal = band(seconds, seed)
    signal[signal.size // 4 : signal.size // 2] = 0
    signal[-4000:] = 0
    return signal


CASES = {
    "band": band(2.51, 1),
    "pauses": pauses(1.5, 2),
    "short": band(0.1, 3),
    "silence": np.zeros(5000, np.int16),
}


def moments(part: np.ndarray) -> list[float]:
    """Mean and variance in double precision."""
    return [float(part.mean(dtype=np.float64)), float(part.var(dtype=np.float64))]


def parts(waveform: np.ndarray) -> list[np.ndarray]:
    """librosa.effects.hpss as it was when the table was made: reflected, cut at the last hop."""
    masked = librosa.decompose.hpss(librosa.stft(waveform, **REFLECT))
    inverse = (librosa.istft(part) for part in masked)
    return [librosa.util.fix_length(part, size=waveform.size) for part in inverse]


def columns(waveform: np.ndarray) -> np.ndarray:
    """The 57 columns of the published table."""
    feature = librosa.feature
    described = [
        feature.chroma_stft(y=waveform, sr=SAMPLE_RATE, **REFLECT),
        feature.rms(y=waveform, **REFLECT),
        feature.spectral_centroid(y=waveform, sr=SAMPLE_RATE, **REFLECT),
        feature.spectral_bandwidth(y=waveform, sr=SAMPLE_RATE, **REFLECT),
        feature.spectral_rolloff(y=waveform, sr=SAMPLE_RATE, **REFLECT),
        feature.zero_crossing_rate(waveform),
        *parts(waveform),
    ]
    log_mel = librosa.power_to_db(feature.melspectrogram(y=waveform, sr=SAMPLE_RATE, **REFLECT))
    onsets = librosa.onset.onset_strength(S=log_mel, sr=SAMPLE_RATE, aggregate=np.median)
    tempo = feature.tempo(onset_envelope=onsets, sr=SAMPLE_RATE)[0] if onsets.any() else 0.0
    row = [moment for part in described for moment in moments(part)]
    row.append(tempo)
    row += [moment for part in feature.mfcc(S=log_mel) for moment in moments(part)]
    return np.array(row)


def main() -> None:
    """Write handcrafted.npz beside this script."""
    arrays = {}
    for name, samples in CASES.items():
        arrays[f"{name}.samples"] = samples
        arrays[f"{name}.columns"] = columns(samples.astype(np.float32) / 32768)
    np.savez_compressed(Path(__file__).with_name("handcrafted.npz"), **arrays)


if __name__ == "__main__":
    main()
