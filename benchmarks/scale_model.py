"""How long a collection takes on how many cores, and what runs out first: a simulation.

    python benchmarks/scale_model.py                      print the tables of docs/scale.md
    python benchmarks/scale_model.py --check CLIP.mp3 ... compare with runs of 1 and 2 workers

Fed by the service times that benchmarks/service_times.py measured. Events are simulated one by
one: a file waits for its turn on the storage's link, is transferred, waits for a worker, is
analysed there for a time drawn from the measured files, and its row is written. Each worker has a
few files under way, and asks for the next when one is done, so a slow worker holds nobody up and
memory is bounded.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import material

TIMES = Path(__file__).parent / "service_times.json"
N_AHEAD = 4  # files that a worker has under way while it processes one
FILES_PER_WORKER = 40  # simulated; the rate is steady long before
REQUEST_SECONDS = 0.1  # an object store's first byte, assumed
# Cores, and the link to the storage in bits per second: both assumed, as clouds sell them.
LINK_OF_CORES = {2: 1e9, 16: 10e9, 256: 100e9, 4096: 1e12}
TRACKS = (10**4, 10**5, 10**6, 10**7, 10**8, 10**9)
# Achieved, not advertised: a quarter of the 30 Tflop/s (float32) of a small data-centre GPU.
GPU_FLOPS = 7.5e12


@dataclass(frozen=True)
class Outcome:
    """What a simulated run came to: files a second, and how busy workers and link were."""

    rate: float
    worker_share: float
    link_share: float

    @property
    def bottleneck(self) -> str:
        """What the others wait for."""
        return "cores" if self.worker_share >= self.link_share else "link"


def simulate(
    n_workers: int,
    seconds: list[float],
    file_bytes: float = 0.0,
    link_bits: float = math.inf,
    request_seconds: float = 0.0,
    *,
    n_files: int | None = None,
    seed: int = 0,
) -> Outcome:
    """Run files through a link that serves one after the other and workers that serve in parallel.

    Args:
        n_workers: one core each.
        seconds: measured seconds of files, drawn from with equal chances.
        file_bytes: transferred for each.
        link_bits: bits per second of the link that all share.
        request_seconds: between asking for a file and its turn on the link.
        n_files: how many; None is enough for a steady rate.
        seed: of the draws.

    >>> simulate(2, [0.5], n_files=100).rate
    4.0
    >>> simulate(100, [0.5], file_bytes=1e6, link_bits=8e7, n_files=1000).bottleneck
    'link'
    """
    drawn = random.Random(seed)  # noqa: S311 - no secret
    total, transfer = n_files or n_workers * FILES_PER_WORKER, file_bytes * 8 / link_bits
    n_left = total
    link_free = busy = end = 0.0
    free_at = [0.0] * n_workers
    # What comes next: when, whether a file has arrived (or is asked for), and at which worker.
    events = [(0.0, False, worker) for _ in range(N_AHEAD + 1) for worker in range(n_workers)]
    while events:
        now, has_arrived, worker = heapq.heappop(events)
        if has_arrived:
            needed = drawn.choice(seconds)
            free_at[worker] = max(now, free_at[worker]) + needed
            busy += needed
            end = max(end, free_at[worker])
            heapq.heappush(events, (free_at[worker], False, worker))
        elif n_left:
            n_left -= 1
            link_free = max(now + request_seconds, link_free) + transfer
            heapq.heappush(events, (link_free, True, worker))
    return Outcome(total / end, busy / end / n_workers, total * transfer / end)


def read_times(path: Path = TIMES) -> dict[str, Any]:
    """Return the measured service times."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def costs(times: dict[str, Any]) -> Iterator[str]:
    """Write what a million tracks cost, by stage."""
    yield (
        f"Measured {times['measured']} on one core ({times['machine']}) with the model "
        f"`{times['model']}`, processor time, median of {times['clip']['n_files']} MP3s of 30 s\n"
        f"and {times['song']['n_files']} of 4 minutes; the machine was busy (load "
        f"{times['load_average']})."
    )
    yield ""
    yield (
        "| stage | 30-s clip, ms | core hours per million "
        "| 4-minute song, ms | core hours per million |"
    )
    yield "|---|---:|---:|---:|---:|"
    kinds = [times[kind]["stages_seconds"] for kind in ("clip", "song")]
    rows = {stage: [kind[stage] for kind in kinds] for stage in kinds[0]}
    rows["**together**"] = [sum(kind.values()) for kind in kinds]
    for stage, (clip, song) in rows.items():
        yield (
            f"| {stage.replace('_', ' ')} | {1000 * clip:.1f} | {clip / 3.6e-3:.1f} "
            f"| {1000 * song:.1f} | {song / 3.6e-3:.1f} |"
        )
    yield ""
    for kind, name in (("clip", "clip"), ("song", "song")):
        yield (
            f"A {name} is {times[kind]['input_bytes'] / 1e6:.2f} MB to read and a row of "
            f"{times[kind]['output_bytes']} bytes to write."
        )


def sizing(times: dict[str, Any], kind: str) -> Iterator[str]:
    """Write how long each number of tracks takes on each number of cores."""
    own = times[kind]
    yield (
        "| cores, link | tracks/s | cores busy | link busy | waits for | "
        + " | ".join(f"10^{round(math.log10(n))}" for n in TRACKS)
        + " |"
    )
    yield "|---|---:|---:|---:|---|" + "---:|" * len(TRACKS)
    for n_cores, link_bits in LINK_OF_CORES.items():
        found = simulate(
            n_cores, own["files_seconds"], own["input_bytes"], link_bits, REQUEST_SECONDS
        )
        spans = " | ".join(_span(n / found.rate) for n in TRACKS)
        yield (
            f"| {n_cores}, {link_bits / 1e9:g} Gbit/s | {found.rate:,.0f} "
            f"| {found.worker_share:.0%} | {found.link_share:.0%} | {found.bottleneck} | {spans} |"
        )


def volumes(times: dict[str, Any]) -> Iterator[str]:
    """Write what lies on the disks and what the cores need from the network."""
    yield "| tracks | clips in | rows out | core hours | songs in | rows out | core hours |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    kinds = [times["clip"], times["song"]]
    for n_tracks in TRACKS:
        cells = []
        for kind in kinds:
            cells += [
                _size(n_tracks * kind["input_bytes"]),
                _size(n_tracks * kind["output_bytes"]),
                f"{n_tracks * sum(kind['stages_seconds'].values()) / 3600:,.1f}",
            ]
        yield f"| 10^{round(math.log10(n_tracks))} | {' | '.join(cells)} |"
    yield ""
    for kind, name in zip(kinds, ("clips", "songs"), strict=True):
        each = kind["input_bytes"] * 8 / sum(kind["stages_seconds"].values())
        yield (
            f"A core that processes {name} reads {each / 1e6:.0f} Mbit/s: a 10 Gbit/s link feeds "
            f"{10e9 / each:,.0f} cores."
        )


def gpu(times: dict[str, Any]) -> Iterator[str]:
    """Write what a GPU would change. An estimate from operations, not a measurement."""
    yield "| | 30-s clip | 4-minute song |"
    yield "|---|---:|---:|"
    rows: dict[str, list[str]] = {
        "operations of the network": [],
        "on the GPU, estimated": [],
        "at most this much faster": [],
        "cores that one GPU needs beside it": [],
    }
    for kind in (times["clip"], times["song"]):
        stages = kind["stages_seconds"]
        whole, network = sum(stages.values()), stages["network"]
        on_gpu = kind["network_flops"] / GPU_FLOPS
        for cells, text in zip(
            rows.values(),
            (
                f"{kind['network_flops'] / 1e9:.2f} Gflop",
                f"{1e6 * on_gpu:.0f} µs",
                f"{whole / (whole - network):.2f} times",
                f"{(whole - network) / on_gpu:,.0f}",
            ),
            strict=True,
        ):
            cells.append(text)
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"


def _span(seconds: float) -> str:
    for unit, length in (("years", 31557600), ("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _size(n_bytes: float) -> str:
    for unit, length in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= length:
            return f"{n_bytes / length:,.1f} {unit}"
    return f"{n_bytes / 1e6:,.1f} MB"


def tables(times: dict[str, Any]) -> dict[str, str]:
    """Return every table of docs/scale.md by the name that stands before it there."""
    return {
        "costs": "\n".join(costs(times)),
        "volumes": "\n".join(volumes(times)),
        "clips": "\n".join(sizing(times, "clip")),
        "songs": "\n".join(sizing(times, "song")),
        "gpu": "\n".join(gpu(times)),
    }


@dataclass(frozen=True)
class Run:
    """A real run by n_workers: means over the workers, in seconds.

    ``running`` is on a core, ``waiting`` for a core that others have, as the kernel counts both.
    """

    n_workers: int
    n_files: int
    wall: float
    running: float
    waiting: float

    @property
    def rate(self) -> float:
        """Files a second, had a core been free whenever a worker wanted one."""
        return self.n_files / (self.wall - self.waiting)


def real_run(files: list[Path], n_workers: int, model: str) -> Run:
    """Predict files by the product's workers, their start left out."""
    from genrekit import Classifier

    n_warm = 4 * n_workers
    started: tuple[float, dict[int, tuple[float, float]]] = (0.0, {})
    results = Classifier(model).predict_files([*files[:n_warm], *files], n_workers)
    for index, _ in enumerate(results):
        if index == n_warm - 1:
            started = time.perf_counter(), _scheduled()
        if index == n_warm + len(files) - 1:
            wall, now = time.perf_counter() - started[0], _scheduled()
    spent = [(now[pid][0] - run, now[pid][1] - wait) for pid, (run, wait) in started[1].items()]
    running, waiting = (sum(column) / n_workers for column in zip(*spent, strict=True))
    return Run(n_workers, len(files), wall, running, waiting)


def _scheduled() -> dict[int, tuple[float, float]]:
    """Return each worker's seconds on a core and waiting for one, by process.

    One worker is this process itself.
    """
    pids = [worker.pid or 0 for worker in multiprocessing.active_children()] or [os.getpid()]
    found = {}
    for pid in pids:
        stats = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
        found[pid] = int(stats[0]) / 1e9, int(stats[1]) / 1e9
    return found


def check(clips: list[Path], n_files: int, times: dict[str, Any]) -> Iterator[str]:
    """Write what runs of one and two workers came to, beside the simulation."""
    yield f"Load average {os.getloadavg()[0]:.1f}; {n_files} files a run."
    yield ""
    yield (
        "| workers | wall, s | on a core | waiting for a core | ms of core per file "
        "| files/s, less waiting | simulated | difference |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    with tempfile.TemporaryDirectory() as folder:
        files = material.short_mp3s(clips, n_files, Path(folder))
        for n_workers in (1, 2):
            run = real_run(files, n_workers, times["model"])
            expected = simulate(n_workers, times["clip"]["files_seconds"]).rate
            yield (
                f"| {n_workers} | {run.wall:.1f} | {run.running / run.wall:.0%} "
                f"| {run.waiting / run.wall:.0%} "
                f"| {1000 * run.running * n_workers / run.n_files:.1f} | {run.rate:.1f} "
                f"| {expected:.1f} | {run.rate / expected - 1:+.0%} |"
            )


def main() -> None:
    """Print the tables, or the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=Path, default=TIMES, help="what service_times.py wrote")
    parser.add_argument("--check", nargs="*", type=Path, help="30-s MP3s (default: made tracks)")
    parser.add_argument("--files", type=int, default=100, help="of each real run (default: 100)")
    options = parser.parse_args()
    times = read_times(options.times)
    if options.check is not None:
        print("\n".join(check(options.check, options.files, times)))
        return
    for name, table in tables(times).items():
        print(f"<!-- {name} -->\n{table}\n")


if __name__ == "__main__":
    main()
