"""How an engine grows with its workers, and what Ray adds to a file.

    python benchmarks/engines.py SONG.mp3 ... [--files 256] [--rounds 3] [--json]

Each engine predicts the same copies of the songs in blocks of 8, by one worker and by two, in turn.
The clock runs from the first block that is done to the last, so that starting Ray (seconds) and the
workers' imports are left out: what is compared is the cost of one more file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import material
from genrekit.batch.engines import Engine, Limits, LocalEngine
from genrekit.batch.prediction_task import PredictFiles
from genrekit.batch.ray_engine import RayEngine
from genrekit.batch.sources import BatchSource

BLOCK_FILES = 8


def files_per_second(engine: Engine, blocks: list[list[BatchSource]]) -> float:
    """Return the steady rate: files after the first block done, over the time since then."""
    task = PredictFiles.of(None)
    done: list[tuple[float, int]] = []
    with engine.workers(task.start, Limits()) as workers:
        done += [(time.perf_counter(), len(results)) for _, results in workers.map(blocks)]
    n_files = sum(count for _, count in done[1:])
    return n_files / (done[-1][0] - done[0][0])


def main() -> None:
    """Print files/s of each engine by one and two workers, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--files", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    kinds: dict[str, Callable[[int], Engine]] = {"local": LocalEngine, "ray": RayEngine}
    engines = {f"{name} {n}": kind(n) for name, kind in kinds.items() for n in (1, 2)}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        paths = material.short_mp3s(options.songs, options.files, Path(folder))
        listed = [BatchSource(str(path)) for path in paths]
        blocks = [listed[i : i + BLOCK_FILES] for i in range(0, len(listed), BLOCK_FILES)]
        for _ in range(options.rounds):
            for name, engine in engines.items():
                rates[name].append(files_per_second(engine, blocks))
    middle = {key: statistics.median(found) for key, found in rates.items()}
    ratios = {
        "local, two workers over one": middle["local 2"] / middle["local 1"],
        "ray, two workers over one": middle["ray 2"] / middle["ray 1"],
        "ray's overhead a file, one worker": middle["local 1"] / middle["ray 1"] - 1,
        "ray's overhead a file, two workers": middle["local 2"] / middle["ray 2"] - 1,
    }
    if options.json:
        print(json.dumps({"files_per_second": rates, "ratios": ratios}))
        return
    for key, found in rates.items():
        print(f"{key:<8} {middle[key]:6.1f} files/s  ({min(found):.1f} to {max(found):.1f})")
    for key, ratio in ratios.items():
        print(f"{key:<36} {ratio:6.2f}")


if __name__ == "__main__":
    main()
