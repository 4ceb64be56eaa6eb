"""How fast a library is scanned: against decoding alone, and when nothing has changed.

    python benchmarks/library.py [song.mp3 ...] [--files 120] [--jobs 2] [--unchanged 10000]

The songs given (each of them once: the same audio is never analysed twice), or made ones, are
decoded whole and scanned in turn, twice, in the same number of processes; both include the start
of the workers.
The processor time of all processes is shown beside the wall time, since other programs hardly
change it. The last part scans 10,000 links to ten small files, and again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from genrekit import audio, demo
from genrekit.batch.engines import LocalEngine
from genrekit.library import database, scan
from genrekit.workers import Pool

SECONDS = 30
N_ROUNDS = 2
DEADLINE_SECONDS = 600.0


def start_decoding() -> Callable[[Path], int]:
    audio.silence_decoders()
    return lambda path: audio.load(path).shape[-1]


def cpu_seconds() -> float:
    """Return what this process and its ended children have used."""
    return sum(os.times()[:4])


def decode(files: list[Path], jobs: int) -> tuple[float, float]:
    """Return the wall and the processor time of decoding in seconds."""
    began, used = time.perf_counter(), cpu_seconds()
    with Pool(start_decoding, jobs, item_seconds=DEADLINE_SECONDS) as pool:
        for _ in pool.map(files, in_order=False):
            pass
    return time.perf_counter() - began, cpu_seconds() - used


def scan_once(paths: list[Path], db: Path, jobs: int) -> tuple[float, int]:
    """Return what one scan took in seconds, and how many tracks were analysed."""
    began = time.perf_counter()
    with database.opened(db) as connection:
        report = scan.run(connection, scan.plan(connection, paths), LocalEngine(jobs))
    return time.perf_counter() - began, report.n_analysed


def make_songs(folder: Path, n_files: int) -> list[Path]:
    """Write tracks that differ by a little noise, 30 s each."""
    paths = []
    for index in range(n_files):
        music = demo.synthesise(demo.NAMES[index % len(demo.NAMES)])
        n_times = -(-SECONDS * demo.SAMPLE_RATE // music.shape[1])
        noise = 1e-3 * np.random.default_rng(index).standard_normal(n_times * music.shape[1])
        paths.append(folder / f"{index:04}.mp3")
        soundfile.write(paths[-1], (np.tile(music, n_times) + noise).T, demo.SAMPLE_RATE)
    return paths


def make_links(folder: Path, n_files: int) -> None:
    """Write ten files of one second, and links to them until there are n_files."""
    originals = []
    for index in range(10):
        noise = np.random.default_rng(index).uniform(-0.5, 0.5, demo.SAMPLE_RATE)
        originals.append(folder / f"{index}.flac")
        soundfile.write(originals[-1], noise, demo.SAMPLE_RATE)
    for index in range(10, n_files):
        place = folder / f"album {index // 10}"
        place.mkdir(exist_ok=True)
        os.link(originals[index % 10], place / f"{index}.flac")


def compare(songs: list[Path], folder: Path, jobs: int) -> None:
    for number in range(N_ROUNDS):
        decoding_seconds, decoding_cpu = decode(songs, jobs)
        used = cpu_seconds()
        scan_seconds, n_analysed = scan_once(songs, folder / f"{number}.sqlite3", jobs)
        scan_cpu = cpu_seconds() - used
        print(
            f"{len(songs)} files, {jobs} jobs: decoding alone {decoding_seconds:.1f} s "
            f"({len(songs) / decoding_seconds:.1f} files/s), scan {scan_seconds:.1f} s "
            f"({len(songs) / scan_seconds:.1f} files/s, {n_analysed} analysed): "
            f"{scan_seconds / decoding_seconds:.2f} times decoding; processor time "
            f"{decoding_cpu:.1f} and {scan_cpu:.1f} s: {scan_cpu / decoding_cpu:.2f} times"
        )


def rescan(folder: Path, n_files: int, jobs: int) -> None:
    music = folder / "links"
    music.mkdir()
    make_links(music, n_files)
    for name in ("first scan", "second scan", "third scan"):
        seconds, n_analysed = scan_once([music], folder / "links.sqlite3", jobs)
        print(f"{n_files} small files, {name}: {seconds:.2f} s, {n_analysed} analysed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--files", type=int, default=120, help="how many are made or taken")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--unchanged", type=int, default=10000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        songs = options.songs[: options.files] or make_songs(folder, options.files)
        compare(songs, folder, options.jobs)
        rescan(folder, options.unchanged, options.jobs)


if __name__ == "__main__":
    main()
