"""Varied made music: no two songs share a tempo, a key, a tune or a sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile

SAMPLE_RATE = 22050


def write_tone(path: Path) -> None:
    """Write a tenth of a second of a tone as WAV, whatever the suffix, with the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(0.3 * np.arange(800)), 8000, format="WAV")


def song(seed: int, seconds: float = 10.0, *, drums: bool = False) -> np.ndarray:
    """A random tune of decaying harmonics, over random drum hits if asked for. Shape (samples,)."""
    rng = np.random.default_rng(seed)
    mix = np.zeros(round(seconds * SAMPLE_RATE))
    step_seconds = rng.uniform(0.11, 0.23)
    scale = rng.uniform(45, 57) + np.array([0, 2, 3, 5, 7, 8, 10, 12, 14, 15])
    timbre = rng.uniform(0.2, 1.0, 4) / np.arange(1, 5)
    for step in range(int(seconds / step_seconds)):
        start = round(step * step_seconds * SAMPLE_RATE)
        for note in rng.choice(scale, 1 if drums else 2, replace=False):
            _add(mix, start, _tone(440 * 2 ** ((note - 69) / 12), timbre))
        if drums and rng.random() < 0.7:
            hit = rng.standard_normal(3000) * np.exp(-np.arange(3000) / rng.uniform(100, 700))
            _add(mix, start, 2 * hit)
    mix += 0.003 * rng.standard_normal(mix.size)
    return (0.5 * mix / np.abs(mix).max()).astype(np.float32)


def _tone(frequency_hz: float, timbre: np.ndarray) -> np.ndarray:
    time = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    partials = [
        level * np.sin(2 * np.pi * k * frequency_hz * time) * np.exp(-4 * k * time)
        for k, level in enumerate(timbre, start=1)
    ]
    return np.sum(partials, axis=0)


def _add(mix: np.ndarray, start: int, sound: np.ndarray) -> None:
    room = mix[start : start + sound.size]
    room += sound[: room.size]


def write(path: Path, waveform: np.ndarray) -> Path:
    """Write 16-bit audio in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, _pcm(waveform), SAMPLE_RATE)
    return path


def write_mp3(path: Path, waveform: np.ndarray, bit_rate: int = 64_000) -> Path:
    """Code to MP3 at a constant bit rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(_pcm(waveform)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler("s16p", "mono", SAMPLE_RATE, stream.codec_context.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def _pcm(waveform: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16)
