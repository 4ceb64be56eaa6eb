"""What decoding costs: probe, decode whole, seek to 12 segments of 3 s, on 4-minute songs.

    python benchmarks/audio.py [SONG]

Without a song, genrekit's made tracks are used. Best of five, one process, one core.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import material
from genrekit import audio

RATE = 16000
N_SEGMENTS, SEGMENT_SECONDS = 12, 3.0
N_TIMES = 5


def best_ms(action: Callable[[], object]) -> float:
    times = []
    for _ in range(N_TIMES):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


def main() -> None:
    songs = [Path(name) for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short = material.short_mp3s(songs, 1, folder)
        long = material.long_songs(short, 1, folder)
        heads = ("seconds", "probe ms", "whole ms", "seek ms", "ratio")
        print(f"{'format':10}" + "".join(f"{head:>10}" for head in heads))
        measure("short", short[0])
        for kind, (path,) in long.items():
            measure(kind, path)


def measure(kind: str, path: Path) -> None:
    info = audio.probe(path)
    last = max(0.0, info.duration_seconds - SEGMENT_SECONDS)
    starts = np.linspace(0, last, N_SEGMENTS).tolist()
    probed = best_ms(lambda: audio.probe(path))
    whole = best_ms(lambda: audio.load(info, RATE))
    seek = best_ms(lambda: audio.read_segments(info, RATE, starts, SEGMENT_SECONDS))
    row = (info.duration_seconds, probed, whole, seek, seek / whole)
    print(f"{kind:10}" + "".join(f"{value:10.2f}" for value in row))


if __name__ == "__main__":
    main()
