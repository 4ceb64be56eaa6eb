"""Time the 57 hand-crafted columns of one 30-s clip on one core, beside librosa in the same run.

Usage: ``python benchmarks/handcrafted.py [SONG ...]``; without songs, made audio. The ways take
turns, and each counts with the processor time of its best round, so that other work on the machine
does as little harm as it can. Compare the ratio, not the milliseconds, between machines.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import argparse
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit import audio, demo
from genrekit.features import handcrafted
from genrekit.features.handcrafted.spectrum import SPEC

SECONDS = 30
RATE = SPEC.sample_rate
REFLECT: dict[str, Any] = {"pad_mode": "reflect"}

Waveform = NDArray[np.float32]


def plain(waveform: Waveform) -> NDArray[np.float64]:
    """Compute the columns by librosa's plain calls, each of them for itself."""
    import librosa

    feature = librosa.feature
    parts = [
        feature.chroma_stft(y=waveform, sr=RATE, **REFLECT),
        feature.rms(y=waveform, **REFLECT),
        feature.spectral_centroid(y=waveform, sr=RATE, **REFLECT),
        feature.spectral_bandwidth(y=waveform, sr=RATE, **REFLECT),
        feature.spectral_rolloff(y=waveform, sr=RATE, **REFLECT),
        feature.zero_crossing_rate(waveform),
        librosa.effects.harmonic(waveform, **REFLECT),
        librosa.effects.percussive(waveform, **REFLECT),
    ]
    onsets = librosa.onset.onset_strength(y=waveform, sr=RATE, aggregate=np.median, **REFLECT)
    tempo = feature.tempo(onset_envelope=onsets, sr=RATE)[0]
    return _row(parts, tempo, feature.mfcc(y=waveform, sr=RATE, **REFLECT))


def shared(waveform: Waveform) -> NDArray[np.float64]:
    """Compute the columns by librosa's best arrangement: one spectrum, one mel, HPSS once."""
    import librosa

    feature = librosa.feature
    spectrum = librosa.stft(waveform, **REFLECT)
    magnitude = np.abs(spectrum)
    power = magnitude**2
    log_mel = librosa.power_to_db(feature.melspectrogram(S=power, sr=RATE))
    # Cut at the last whole hop, as the published table's parts are.
    harmonic, percussive = (
        librosa.util.fix_length(librosa.istft(part), size=waveform.size)
        for part in librosa.decompose.hpss(spectrum)
    )
    centroid = feature.spectral_centroid(S=magnitude, sr=RATE)
    parts = [
        feature.chroma_stft(S=power, sr=RATE),
        feature.rms(y=waveform, **REFLECT),
        centroid,
        feature.spectral_bandwidth(S=magnitude, sr=RATE, centroid=centroid),
        feature.spectral_rolloff(S=magnitude, sr=RATE),
        feature.zero_crossing_rate(waveform),
        harmonic,
        percussive,
    ]
    onsets = librosa.onset.onset_strength(S=log_mel, sr=RATE, aggregate=np.median)
    tempo = feature.tempo(onset_envelope=onsets, sr=RATE)[0]
    return _row(parts, tempo, feature.mfcc(S=log_mel))


def _row(
    parts: list[NDArray[Any]], tempo: float, cepstra: NDArray[np.float64]
) -> NDArray[np.float64]:
    moments = [moment for part in parts for moment in (part.mean(), part.var())]
    return np.array([*moments, tempo, *(m for c in cepstra for m in (c.mean(), c.var()))])


def best_milliseconds(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run the ways in turn, the first time unmeasured, because librosa compiles parts of itself."""
    best = dict.fromkeys(ways, float("inf"))
    for index in range(rounds + 1):
        for name, call in ways.items():
            start = time.process_time()
            call()
            if index:
                best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def largest_difference(found: NDArray[np.float64], expected: NDArray[np.float64]) -> str:
    """Say which column differs most, leaving out the two means that are almost zero."""
    relative = np.abs(found - expected) / np.abs(expected)
    for name in ("harmony_mean", "perceptr_mean"):
        relative[handcrafted.COLUMNS.index(name)] = 0.0
    worst = int(np.argmax(relative))
    return f"{relative[worst]:.1e} ({handcrafted.COLUMNS[worst]})"


def made() -> Waveform:
    track = audio.resample(demo.synthesise(demo.NAMES[0]), demo.SAMPLE_RATE, RATE)
    return np.resize(audio.downmix(track)[0], SECONDS * RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    waveforms = {"made audio": made()}
    if arguments.songs:
        waveforms = {
            song.name: audio.load(song, RATE, duration_seconds=SECONDS)[0]
            for song in arguments.songs
        }
    for name, waveform in waveforms.items():
        ways: dict[str, Callable[[], object]] = {"genrekit": partial(handcrafted.values, waveform)}
        if importlib.util.find_spec("librosa") is not None:
            ways["librosa, plain calls"] = partial(plain, waveform)
            ways["librosa, best arrangement"] = partial(shared, waveform)
            difference = largest_difference(handcrafted.values(waveform), shared(waveform))
            print(f"{name}: largest relative difference {difference}")
        best = best_milliseconds(ways, arguments.rounds)
        for way, milliseconds in best.items():
            ratio = milliseconds / best["genrekit"]
            print(f"{name}: {way:26} {milliseconds:7.1f} ms, {ratio:5.1f} times genrekit")


if __name__ == "__main__":
    main()
