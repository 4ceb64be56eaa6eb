"""Three synthetic tracks, with which genrekit can be tried and checked without any music.

They are a drum machine, a string pad and a distorted guitar. On one machine every run makes the
same bits, so ``genrekit doctor`` compares a model's predictions for them with those recorded when
the model was shipped. They have no true genre.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from genrekit.errors import unknown_name
from genrekit.files import write_beside

Waveform = NDArray[np.float32]

SAMPLE_RATE = 44_100
DURATION_SECONDS = 12.0
NAMES = ("drums", "strings", "guitar")


def synthesise(name: str) -> Waveform:
    """Synthesise one of the tracks.

    Args:
        name: one of NAMES.

    Returns:
        Audio at SAMPLE_RATE with its peak at 0.9. Shape (2, samples).

    Raises:
        ValueError: no track has this name.
    """
    makers = {"drums": _drums, "strings": _strings, "guitar": _guitar}
    if name not in makers:
        raise ValueError(unknown_name("made track", name, makers))
    return makers[name]()


def flac(name: str) -> bytes:
    """Return one of the tracks as a FLAC file, 16 bit.

    Args:
        name: one of NAMES.

    Raises:
        ValueError: no track has this name.
    """
    stream = io.BytesIO()
    waveform = synthesise(name)
    soundfile.write(stream, waveform.T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def write(folder: Path) -> list[Path]:
    """Write every synthetic track as FLAC, 16 bit.

    Args:
        folder: where to write; created if it is missing. Files of the same names are replaced.

    Returns:
        The paths written, in the order of NAMES.

    Raises:
        OSError: the folder cannot be written.
    """
    paths = [folder / f"{name}.flac" for name in NAMES]
    for path in paths:
        with write_beside(path) as stream:
            stream.write(flac(path.stem))
    return paths


def _drums() -> Waveform:
    """A drum machine at 124 beats a minute over a plucked bass."""
    noise = np.random.default_rng(20).standard_normal(SAMPLE_RATE // 2)
    time = _time(0.5)
    # The kick's pitch falls from 160 Hz to 45 Hz: phase is the integral of the frequency.
    kick = np.sin(2 * np.pi * (45 * time + 115 / 30 * (1 - np.exp(-30 * time)))) * np.exp(-9 * time)
    snare = (0.6 * noise + 0.4 * np.sin(2 * np.pi * 190 * time)) * np.exp(-18 * time)
    hat = np.diff(noise, prepend=0.0) * np.exp(-60 * time)
    step_seconds = 60 / 124 / 4
    mix = _silence()
    for step in range(int(DURATION_SECONDS / step_seconds)):
        start_seconds = step * step_seconds
        if step % 4 == 0:
            _add(mix, kick, start_seconds, 0.8)
        if step % 8 == 4:
            _add(mix, snare, start_seconds, 0.45)
        _add(mix, hat, start_seconds, 0.16 if step % 2 else 0.08)
        if step % 4 == 2:
            _add(mix, _pluck(_hz(33 + (0, 0, 3, 5)[step // 16 % 4]), 0.4), start_seconds, 0.5)
    return _stereo(mix, delay_seconds=0.0)


def _strings() -> Waveform:
    """Slow four-part chords of a bowed pad with vibrato."""
    chords = ((50, 57, 62, 65), (46, 58, 62, 65), (48, 55, 60, 64), (45, 57, 61, 64))
    mix = _silence()
    for index, chord in enumerate(chords):
        time = _time(DURATION_SECONDS / len(chords) + 0.4)
        swell = np.minimum(time / 0.7, 1.0) * np.minimum((time[-1] - time) / 0.4, 1.0)
        for voice, note in enumerate(chord):
            vibrato = 0.004 * np.sin(2 * np.pi * 5.3 * time + voice)
            phase = 2 * np.pi * _hz(note) * (time + vibrato / 5.3)
            tone = sum(np.sin(k * phase + voice) / k**1.4 for k in range(1, 12))
            _add(mix, tone * swell, index * DURATION_SECONDS / len(chords), 0.12)
    return _stereo(mix, delay_seconds=0.011)


def _guitar() -> Waveform:
    """Fast palm-muted power chords through a clipping amplifier, with a kick below."""
    time = _time(0.25)
    kick = np.sin(2 * np.pi * (50 * time + 3 * (1 - np.exp(-40 * time)))) * np.exp(-16 * time)
    step_seconds = 60 / 170 / 2
    riff = (40, 40, 40, 43, 40, 40, 46, 45)
    clean, low = _silence(), _silence()
    for step in range(int(DURATION_SECONDS / step_seconds)):
        note = riff[step % len(riff)]
        length_seconds = step_seconds * (0.9 if note == 40 else 1.6)
        for interval in (0, 7, 12):
            _add(clean, _pluck(_hz(note + interval), length_seconds), step * step_seconds, 0.4)
        _add(low, kick, step * step_seconds, 0.5)
    return _stereo(0.6 * np.tanh(14 * clean) + low, delay_seconds=0.017)


def _time(duration_seconds: float) -> NDArray[np.float64]:
    return np.arange(round(duration_seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _silence() -> NDArray[np.float64]:
    return np.zeros(round(DURATION_SECONDS * SAMPLE_RATE))


def _hz(midi_note: int) -> float:
    return float(440.0 * 2 ** ((midi_note - 69) / 12))


def _pluck(frequency_hz: float, duration_seconds: float) -> NDArray[np.float64]:
    """Sum of decaying harmonics; the higher ones decay faster, as on a string."""
    time = _time(duration_seconds)
    harmonics = [np.sin(2 * np.pi * k * frequency_hz * time) / k for k in range(1, 9)]
    decays = [np.exp(-(2 + 2 * k) * time) for k in range(1, 9)]
    fade = np.minimum((duration_seconds - time) / 0.005, 1.0)  # no click at the end
    plucked: NDArray[np.float64] = fade * np.sum(np.multiply(harmonics, decays), axis=0)
    return plucked


def _add(
    mix: NDArray[np.float64], sound: NDArray[np.float64], start_seconds: float, gain: float
) -> None:
    """Add sound to mix in place; what would extend past the end is cut off."""
    start = round(start_seconds * SAMPLE_RATE)
    room = mix[start : start + sound.size]
    room += gain * sound[: room.size]


def _stereo(mono: NDArray[np.float64], delay_seconds: float) -> Waveform:
    """Delay the right channel a little and bring the peak to 0.9. Shape (2, samples)."""
    right = np.roll(mono, round(delay_seconds * SAMPLE_RATE))
    both = np.stack([mono, right])
    return np.asarray(0.9 * both / np.abs(both).max(), dtype=np.float32)
