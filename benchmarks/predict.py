"""How fast genrekit is, on one set of files in one run: against decoding alone and the plain ways.

    python benchmarks/predict.py [song.mp3 ...] [--files 60] [--jobs 2] [--model accurate ...]

Files given are repeated until there are enough; without any, genrekit's made tracks are used.
Every way runs in the same number of processes, one thread each, after a warm-up. The source
projects' ways (a mel image of each of ten parts, with axes or without; one image of the STFT,
cut in ten) are also shown as their notebooks run them: one process, every thread. Only the row
"predict_files" includes the workers' start. Ratios are over decoding alone, of wall time and of
processor time (user and system, of all threads): smaller is better, and on a machine with other
work the second is the one to believe.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import material
import pool_timing
import ways
from genrekit.audio import isolation
from genrekit.models import registry

Run = Callable[[Path], object]
SOURCE_WAYS: dict[str, Callable[..., Run]] = {
    "source projects' way, ten mel figures": partial(ways.source, ways.documented_figure),
    "source projects' way, ten mel images": partial(ways.source, ways.published_image),
    "source projects' way, STFT cut in ten": ways.source_cut,
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Result:
    """What one way took for a set of files."""

    name: str
    n_files: int
    wall_seconds: float
    peak_mb: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def seconds_per_file(self) -> float:
        """Wall time over files, with all processes at work."""
        return self.wall_seconds / self.n_files


def measure(
    name: str,
    make: Callable[..., Run],
    model: str | None,
    files: list[Path],
    n_processes: int | None = None,
) -> Result:
    """Run one way over files in JOBS (or n_processes) processes, after each has been warmed up."""
    n_processes = n_processes or JOBS
    found = pool_timing.measure(
        partial(_with_one_core, make, model),
        files,
        n_processes,
        n_warm=2 * n_processes,
        helpers=isolation.idle_pids,  # FFmpeg decodes in them
    )
    return Result(name, len(files), found.wall_seconds, found.peak_mb, found.cpu_seconds)


def _with_every_core(make: Callable[[int], Run]) -> Run:
    for variable in THREADS:
        os.environ.pop(variable)
    return make(os.cpu_count() or 1)


def _with_one_core(make: Callable[..., Run], model: str | None) -> Run:
    for variable in THREADS:
        os.environ[variable] = "1"
    return make(model) if model else make()


def measure_predict_files(model: str, files: list[Path]) -> Result:
    """Run the product's batch, the workers' start included."""
    from genrekit import Classifier

    start = time.perf_counter()
    results = list(Classifier(model).predict_files(files, JOBS))
    wall_seconds = time.perf_counter() - start
    failed = [result for result in results if not hasattr(result, "label")]
    if failed:
        raise SystemExit(f"predict_files failed: {failed[0]}")
    return Result(f"predict_files, {model}", len(files), wall_seconds)


def tell(title: str, results: Sequence[Result]) -> None:
    """Print one set's table; the first result is decoding alone."""
    limit, cpu_limit = results[0].seconds_per_file, results[0].cpu_seconds / results[0].n_files
    print(f"\n## {title}\n")
    print("| way | files/s | ms per file | x decoding alone | processor time, x | MB per process |")
    print("|---|---:|---:|---:|---:|---:|")
    for result in results:
        each = result.seconds_per_file
        peak = f"{result.peak_mb:.0f}" if result.peak_mb else ""
        cpu = result.cpu_seconds / result.n_files / cpu_limit
        cells = (f"{1 / each:.2f}", f"{1000 * each:.1f}", f"{each / limit:.2f}")
        print("|", " | ".join([result.name, *cells, f"{cpu:.2f}" if cpu else "", peak]), "|")


def short_files(files: list[Path], models: list[str], n_slow: int) -> None:
    """Compare every way on 30-s MP3s."""
    results = [measure("decoding alone", ways.decoding, None, files)]
    for model in models:
        results.append(measure(f"genrekit, {model}", ways.genrekit, model, files))
        one = f"genrekit, {model}, one process"
        results.append(measure(one, ways.genrekit, model, files[: len(files) // JOBS], 1))
        results.append(measure_predict_files(model, files))
        if missing := ways.missing(ways.PLAIN_NEEDS):
            print(f"skipped: the plain way needs {missing}", file=sys.stderr)
        else:
            results.append(measure(f"plain way, {model}", ways.plain, model, files[:n_slow]))
    if missing := ways.missing(ways.SOURCE_NEEDS):
        print(f"skipped: the source projects' way needs {missing}", file=sys.stderr)
    else:
        few = files[: 4 * JOBS]
        for name, make in SOURCE_WAYS.items():
            as_published = partial(_with_every_core, make)
            results.append(measure(f"{name}, one process", as_published, None, few, 1))
            results.append(measure(f"{name}, all processes", make, None, few))
    tell("30-s MP3s, stereo, 44.1 kHz, every second predicted", results)
    slow = {r.name: r.seconds_per_file for r in results if r.name.startswith(("plain", "source"))}
    for result in results:
        for name, seconds in slow.items() if result.name.startswith("genrekit") else ():
            if not name.startswith("plain") or name.endswith(result.name.partition(", ")[2]):
                factor = seconds / result.seconds_per_file
                print(f"\n{result.name} is {factor:.1f} times as fast as the {name}.")


def long_files(songs: dict[str, list[Path]], models: list[str]) -> None:
    """Compare evenly spread segments with decoding whole songs, per format."""
    for kind, files in songs.items():
        results = [measure("decoding alone", ways.decoding, None, files)]
        results += [measure(f"genrekit, {m}", ways.genrekit, m, files) for m in models]
        tell(f"4-minute songs, {kind}, evenly spread segments", results)


def start_up(one: Path, models: list[str]) -> None:
    """Time the command line from a cold process; the least of five runs."""
    command = [sys.executable, "-m", "genrekit"]
    print("\n## Command line, from the start of the process to its end\n")
    print("| command | seconds |\n|---|---:|")
    rows = {f"predict --model {m} one.mp3": ["predict", "--model", m, str(one)] for m in models}
    for name, arguments in {"--help": ["--help"], **rows}.items():
        runs = [_timed([*command, *arguments]) for _ in range(5)]
        print(f"| genrekit {name} | {min(runs):.2f} |")


def _timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", nargs="*", type=Path, help="30-s audio files to repeat")
    parser.add_argument("--files", type=int, default=60, help="30-s MP3s (default: 60)")
    parser.add_argument("--long", type=int, default=8, help="songs a format (default: 8)")
    parser.add_argument("--slow", type=int, default=16, help="files of the plain way (default: 16)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", action="append", help="default: every model found")
    return parser.parse_args()


JOBS = 1


def main() -> None:
    """Make the material, measure everything, print tables."""
    global JOBS  # noqa: PLW0603 - one number that every measurement shares
    options = arguments()
    JOBS = options.jobs
    models = options.model or registry.names()
    print(f"{platform.processor() or platform.machine()}, {JOBS} processes, Python", end=" ")
    print(f"{platform.python_version()}, models: {', '.join(models)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own, so that this one stays small: see pool_timing.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            short = pool.apply(material.short_mp3s, (options.songs, options.files, folder))
            songs = pool.apply(material.long_songs, (short, options.long, folder))
        short_files(short, models, options.slow)
        long_files(songs, models)
        start_up(short[0], models)


if __name__ == "__main__":
    main()
