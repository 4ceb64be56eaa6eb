"""Time the front ends on 30 s of made audio, beside librosa where it is installed.

Usage: ``python benchmarks/features.py``. Both sides run in one process, in turn, on one thread; the
best of several rounds counts. Compare the ratio, not the milliseconds, between machines.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.features import FeatureSpec, decibels

SECONDS = 30
ROUNDS = 20
SPECS = {
    "log_mel 22050/2048/512/128": FeatureSpec(),
    "log_mel 16000/512/256/96": FeatureSpec(
        sample_rate=16000, n_fft=512, hop_length=256, n_mels=96
    ),
    "log_stft 22050/2048/512": FeatureSpec(kind="log_stft"),
}


def plain(waveform: NDArray[np.float32], spec: FeatureSpec) -> NDArray[Any]:
    """The same decibels by librosa's own calls."""
    import librosa

    frames: dict[str, Any] = {
        "n_fft": spec.n_fft,
        "hop_length": spec.hop_length,
        "pad_mode": spec.padding,
    }
    if spec.kind == "log_mel":
        power = librosa.feature.melspectrogram(
            y=waveform, sr=spec.sample_rate, n_mels=spec.n_mels, **frames
        )
    else:
        power = np.abs(librosa.stft(waveform, **frames)) ** 2
    return np.asarray(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None))


def best_milliseconds(*calls: Callable[[], object]) -> list[float]:
    """Run the calls in turn, so that a busy moment of the machine meets all of them."""
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[index] = min(best[index], 1e3 * (time.perf_counter() - start))
    return best


def main() -> None:
    with_librosa = importlib.util.find_spec("librosa") is not None
    rng = np.random.default_rng(0)
    for name, spec in SPECS.items():
        waveform = 0.1 * rng.standard_normal(SECONDS * spec.sample_rate).astype(np.float32)
        ours_call = partial(decibels, waveform, spec)
        if not with_librosa:
            print(f"{name:28} {best_milliseconds(ours_call)[0]:6.1f} ms per {SECONDS} s")
            continue
        difference_db = np.abs(decibels(waveform, spec) - plain(waveform, spec)).max()
        ours, theirs = best_milliseconds(ours_call, partial(plain, waveform, spec))
        print(
            f"{name:28} {ours:6.1f} ms per {SECONDS} s; librosa {theirs:6.1f} ms; "
            f"{theirs / ours:.1f} times as fast; largest difference {difference_db:.1e} dB"
        )


if __name__ == "__main__":
    main()
