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

import numpy as np
from numpy.typing import NDArray

from genrekit import audio, demo
from genrekit.features import handcrafted
from genrekit.features.handcrafted.spectrum import SPEC
from handcrafted_librosa import Waveform, plain, shared

SECONDS = 30
RATE = SPEC.sample_rate


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
