"""genrekit beside what one would use instead, on the same files and cores, in one run.

    python benchmarks/peers.py SONG ... [--files 24] [--jobs 2] [--environments FOLDER]

Each peer is installed from the package registry into an environment of its own (several GB in
all; kept where ``--environments`` says, else thrown away). A row holds files a second of JOBS
processes with one thread each, after a warm-up; wall time and processor time over those of
decoding alone; the peak memory of one process; what the environment takes on disk; and the time
from the start of a cold process to its first answer, the least of three. A peer that cannot be
installed or run has its reason in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import material

HERE = Path(__file__).parent
ROOT = HERE.parent
WAYS = HERE / "peer_ways.py"
MUSICNN_SEGMENT_SECONDS = 3.0
LIMIT_SECONDS = 1800


@dataclass(frozen=True)
class Peer:
    """One row: a way of ``peer_ways.py``, and the packages that it needs."""

    way: str
    title: str
    packages: tuple[str, ...]
    n_files: int | None = None


READING = ("soundfile", "soxr")
SPEECH = ("torch", "transformers", *READING)
PEERS = (
    Peer("decoding", "decoding alone (libsndfile)", (str(ROOT),)),
    Peer("genrekit_fast", "genrekit, `fast`: genre, every second", (str(ROOT),)),
    Peer("genrekit_accurate", "genrekit, `accurate`", (str(ROOT),)),
    Peer("musicnn", "musicnn by librosa and ONNX Runtime: tags", ("librosa", "onnxruntime"), 12),
    Peer("panns", "PANNs CNN14: AudioSet classes", ("torch", "panns-inference", *READING), 12),
    Peer("ast", "AST: AudioSet classes", SPEECH, 4),
    Peer("distilhubert", "DistilHuBERT: genre head", SPEECH, 8),
    Peer("wav2vec2", "wav2vec 2.0 base: genre head", SPEECH, 4),
    Peer("genrekit_features", "genrekit: 57 columns", (str(ROOT),)),
    Peer("librosa_features", "librosa: the same 57 columns, best arrangement", ("librosa",), 8),
    Peer(
        "pyaudioanalysis",
        "pyAudioAnalysis: mid-term features",
        (
            "pyAudioAnalysis",
            "imbalanced-learn",
            "plotly",
            "hmmlearn",
            "eyed3",
            "pydub",
            "tqdm",
            "scipy",
            "matplotlib",
        ),
        8,
    ),
    Peer("essentia", "Essentia: MusicExtractor", ("essentia",), 8),
    Peer("opensmile", "openSMILE: ComParE 2016", ("opensmile", *READING), 8),
)


@dataclass(frozen=True)
class Row:
    """What was measured of one peer."""

    title: str
    n_files: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    disk_mb: float
    cold_seconds: float


def install(packages: tuple[str, ...], folder: Path) -> Path:
    """Make the environment of a peer, unless it is there; return its Python.

    Raises:
        RuntimeError: a package cannot be installed; the message is pip's last line.
    """
    python = folder / "bin/python"
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        constraint = (
            [] if str(ROOT) in packages else ["--constraint", str(ROOT / "constraints.txt")]
        )
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*map(str, pip), *constraint, *packages])
        done.touch()
    return python


def _run(command: list[str], **variables: str) -> str:
    """Run a command and return its output; its last line of error is the reason of a failure."""
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
        env={**_environment(), **variables},
    )
    if found.returncode:
        lines = found.stderr.strip().splitlines() or [f"exit code {found.returncode}"]
        raise RuntimeError(lines[-1])
    return found.stdout


def _environment() -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, **dict.fromkeys(threads, "1"), "HF_HUB_OFFLINE": "1"}


def disk_mb(folder: Path) -> float:
    """Return what an environment takes, without pip and setuptools, which every one has."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = [path for path in files if not {"pip", "setuptools"} & set(path.parts)]
    return sum(path.stat().st_size for path in kept) / 1e6


def measure(peer: Peer, files: list[Path], jobs: int, folder: Path, network: Path) -> Row:
    """Install one peer, time its cold start, and run it over the files.

    Raises:
        RuntimeError: it cannot be installed or run.
    """
    python = install(peer.packages, folder)
    size = disk_mb(folder)
    names = [str(path) for path in files[: peer.n_files]]
    with tempfile.TemporaryDirectory() as home:
        given = {"HOME": home, "MUSICNN_ONNX": str(network)}
        colds = []
        for _ in range(3):
            start = time.perf_counter()
            _run([str(python), str(WAYS), peer.way, "once", names[0]], **given)
            colds.append(time.perf_counter() - start)
        output = _run([str(python), str(WAYS), peer.way, str(jobs), *names], **given)
    return Row(peer.title, len(names), disk_mb=size, cold_seconds=min(colds), **json.loads(output))


def export_musicnn(path: Path) -> None:
    """Write musicnn as published, with random weights, for segments of three seconds."""
    import torch

    from genrekit.models import registry
    from genrekit.networks.musicnn import Musicnn

    spec = registry.find("fast").card.segments
    network = Musicnn(spec, ("pooled", "embedding", "tags")).eval()
    n_frames = round(MUSICNN_SEGMENT_SECONDS * spec.sample_rate / spec.hop_length)
    features = torch.zeros(2, spec.n_mels, n_frames)
    torch.onnx.export(
        network,
        (features,),
        path,
        input_names=["features"],
        dynamic_axes={"features": {0: "n"}},
        dynamo=False,
    )


def show(rows: list[Row], reasons: dict[str, str]) -> None:
    """Print the table, then what could not be measured."""
    limit = rows[0]
    each, cpu_each = limit.wall_seconds / limit.n_files, limit.cpu_seconds / limit.n_files
    print(
        "| what | files/s | x decoding | processor time, x | MB a process | MB on disk | cold, s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        seconds = row.wall_seconds / row.n_files
        cpu = row.cpu_seconds / row.n_files / cpu_each
        cells = (f"{1 / seconds:.2f}", f"{seconds / each:.1f}", f"{cpu:.1f}")
        sizes = (f"{row.peak_mb:.0f}", f"{row.disk_mb:.0f}", f"{row.cold_seconds:.2f}")
        print("|", " | ".join([row.title, *cells, *sizes]), "|")
    for title, reason in reasons.items():
        print(f"\nNot measured: {title}: {reason}")


def main() -> None:
    """Measure every peer and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", nargs="*", type=Path, help="30-s audio files to repeat")
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--environments", type=Path, help="keep the environments here")
    parser.add_argument("--only", action="append", choices=[peer.way for peer in PEERS])
    options = parser.parse_args()
    rows: list[Row] = []
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        files = material.short_mp3s(options.songs, options.files, scratch)
        environments = options.environments or scratch / "environments"
        export_musicnn(scratch / "musicnn.onnx")
        for peer in PEERS:
            if options.only and peer.way not in {"decoding", *options.only}:
                continue
            print(peer.title, file=sys.stderr)
            shared = "-".join(sorted(Path(package).name for package in peer.packages))
            folder = environments / shared
            try:
                rows.append(measure(peer, files, options.jobs, folder, scratch / "musicnn.onnx"))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                reasons[peer.title] = str(error)
    print(f"{platform.machine()}, {options.jobs} processes, Python {platform.python_version()}\n")
    show(rows, reasons)


if __name__ == "__main__":
    main()
