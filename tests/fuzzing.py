"""The fuzz instrument: made seeds, mutators with fixed seeds, and children that may die of it.

A case is a target and a number, which alone decides what is tried. ``scripts/fuzz.py`` runs as many
as are asked for; see docs/reliability.md.
"""

from __future__ import annotations

import io
import os
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
import soundfile

from genrekit import audio, labels
from genrekit.audio import isolation, packets
from genrekit.datasets import manifest
from genrekit.errors import GenrekitError
from genrekit.models import graph, registry
from genrekit.tagging import plan_files
from genrekit.tagging.plan_files import PlanEntry
from genrekit.tags import formats
from genrekit.training.recipe import reading
from genrekit.workers import Failure, Pool, n_cores

HANG_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
_RATE, _SECONDS = 44100, 0.4
_CODECS = {  # name of the seed: codec, container, channel layout
    "aac.aac": ("aac", "adts", "stereo"),
    "51.aac": ("aac", "adts", "5.1"),
    "71.aac": ("aac", "adts", "7.1"),
    "aac.m4a": ("aac", "ipod", "stereo"),
    "51.m4a": ("aac", "ipod", "5.1"),
    "alac.m4a": ("alac", "ipod", "stereo"),
    "opus.mka": ("libopus", "matroska", "stereo"),
    "71.opus": ("libopus", "ogg", "7.1"),
    "opus.webm": ("libopus", "webm", "stereo"),
    "51.flac": ("flac", "flac", "5.1"),
    "wavpack.wv": ("wavpack", "wv", "stereo"),
    "71.wv": ("wavpack", "wv", "7.1"),
    "tta.tta": ("tta", "tta", "stereo"),
    "wma.wma": ("wmav2", "asf", "stereo"),
    "ac3.ac3": ("ac3", "ac3", "5.1(side)"),
    "mp2.mp2": ("mp2", "mp2", "stereo"),
    "aac.ts": ("aac", "mpegts", "stereo"),
    "pcm.avi": ("pcm_s16le", "avi", "stereo"),
    "71.caf": ("pcm_s16be", "caf", "7.1"),
}
_WRITTEN = ("a.wav", "a.aiff", "a.au", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.w64", "a.rf64")
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Report:
    """What became of the cases of one target."""

    n_tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0
    found: dict[str, str] = field(default_factory=dict)  # what must not be, by case

    @property
    def row(self) -> str:
        """A line of the table."""
        counts = (self.outcomes[name] for name in ("crash", "contained", "hang", "foreign"))
        numbers = " | ".join(f"{count:,}" for count in counts)
        return f"{self.n_tried:,} | {numbers} | {self.peak_bytes / 1e6:.0f} MB"


HEADER = "| target | tried | crashes | FFmpeg died | hangs | foreign exceptions | peak memory |"


@cache
def audio_seeds() -> dict[str, bytes]:
    """Return short made files by name, in more than 16 formats, 5.1 and 7.1 among them."""
    time = np.arange(round(_RATE * _SECONDS)) / _RATE
    tone = 0.3 * np.sin(2 * np.pi * (300 + 2000 * time) * time)
    found = {}
    for name in _WRITTEN:
        stream, form = io.BytesIO(), name.partition(".")[2].upper()
        subtype = {"OPUS": "OPUS", "OGG": "VORBIS"}.get(form)
        form = {"OPUS": "OGG"}.get(form, form)
        stereo = np.stack([tone, tone[::-1]], 1)[: len(tone) // 3 if subtype is None else None]
        rate = 48000 if subtype == "OPUS" else _RATE
        soundfile.write(stream, stereo, rate, subtype=subtype, format=form)
        found[name] = stream.getvalue()
    for name, (codec, container, layout) in _CODECS.items():
        found[name] = _encoded(tone, codec, container, layout)
    found["drums.ape"] = (GOLDEN / "drums.ape").read_bytes()[:30_000]
    return found


def _encoded(tone: np.ndarray, codec: str, container: str, layout: str) -> bytes:
    stream = io.BytesIO()
    n_samples = 5000 if codec.startswith(("pcm", "tta", "wavpack", "flac")) else len(tone)
    with av.open(stream, "w", format=container) as output:
        rate = 48000 if codec == "libopus" else _RATE
        track = output.add_stream(codec, rate=rate, layout=layout)
        if codec == "wmav2":
            track.bit_rate = 128_000
        n_channels = track.codec_context.layout.nb_channels
        samples = np.repeat(tone[None, :n_samples], n_channels, axis=0)
        packed = (samples.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        context = track.codec_context
        resampler = av.AudioResampler(context.format, layout, rate, context.frame_size or 1024)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    return stream.getvalue()


@cache
def text_seeds(target: str) -> dict[str, bytes]:
    """Return the files that a target other than audio reads, by name."""
    folders = {
        "labels": ROOT / "src/genrekit/labels",
        "recipes": ROOT / "recipes",
        "cards": GOLDEN / "tiny",
        "networks": GOLDEN / "tiny",
    }
    suffix = {"cards": "card.json", "networks": "model.onnx"}.get(target, "*.toml")
    if target == "manifests":
        return {"a.csv": b"path,genre,artist\r\na.mp3,rock,Somebody\r\nb.mp3,pop,\xc3\x84\r\n"}
    if target == "plans":
        entry = PlanEntry(
            path="a.mp3",
            audio_sha256="0" * 64,
            size_bytes=1000,
            mtime_ns=1 << 60,
            old=("Rock",),
            new=("Pop", "Jazz"),
            why="the model's",
            provenance="tiny 1",
        )
        with tempfile.TemporaryDirectory() as folder:
            plan_files.write(Path(folder) / "a.plan", "default", [entry])
            return {"a.plan": (Path(folder) / "a.plan").read_bytes()}
    return {path.name: path.read_bytes() for path in sorted(folders[target].glob(suffix))}


def seeds(target: str) -> dict[str, bytes]:
    """Return the files that a target starts from, by name."""
    return audio_seeds() if target in ("audio", "tags") else text_seeds(target)


def mutated(target: str, number: int) -> tuple[str, bytes]:
    """Return the name and the bytes that a case tries."""
    rng = np.random.default_rng([number, len(target)])
    material = seeds(target)
    name = str(rng.choice(list(material)))
    data = bytearray(material[name])
    for _ in range(int(rng.integers(1, 5))):
        mutate = _MUTATORS[int(rng.integers(len(_MUTATORS)))]
        data = mutate(data, rng, material) if data else data
    return name, bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Return a place in it; every other one in the first bytes, where the headers are."""
    return int(rng.integers(min(len(data), 256) if rng.random() < 0.5 else len(data)))


def _flip(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    for _ in range(int(rng.integers(1, 20))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _overwrite(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    at, size = _place(data, rng), int(rng.integers(1, 64))
    data[at : at + size] = rng.bytes(min(size, len(data) - at))
    return data


def _number(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    at, size = _place(data, rng), int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(_INTERESTING)) % (1 << (8 * size))
    order = "little" if rng.random() < 0.5 else "big"
    part = value.to_bytes(size, order)[: len(data) - at]  # type: ignore[arg-type]
    data[at : at + len(part)] = part
    return data


def _cut(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    return data[: _place(data, rng)]


def _remove(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 2000))]
    return data


def _repeat(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    at, size = _place(data, rng), int(rng.integers(1, 3000))
    return data[: at + size] + data[at:]


def _blank(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    at, size = _place(data, rng), int(rng.integers(1, 3000))
    data[at : at + size] = bytes(len(data[at : at + size]))
    return data


def _join(data: bytearray, rng: np.random.Generator, material: dict[str, bytes]) -> bytearray:
    other = material[str(rng.choice(list(material)))]
    cut = _place(data, rng) if rng.random() < 0.5 else len(data)
    return data[:cut] + other[int(rng.integers(len(other))) if rng.random() < 0.5 else 0 :]


def _before(data: bytearray, rng: np.random.Generator, _: object) -> bytearray:
    return bytearray(rng.bytes(int(rng.integers(1, 3000)))) + data


_Mutator = Callable[[bytearray, np.random.Generator, dict[str, bytes]], bytearray]
_MUTATORS: tuple[_Mutator, ...] = (
    _flip, _flip, _overwrite, _number, _number, _cut, _remove, _repeat, _blank, _join, _before,
)  # fmt: skip


def _try_audio(path: Path) -> None:
    info = audio.probe(path)
    n_samples = 0
    for block in audio.blocks(info, 16000, block_seconds=60):
        n_samples += block.shape[1]
        if n_samples > 16000 * 3600:  # what is repeated for hours needs no more
            break
    if info.duration_seconds > 1:
        audio.read_segments(info, 16000, [info.duration_seconds / 2], 0.5)
    packets.digest(path)


def _try_tags(path: Path) -> None:
    formats.read(path)


def _try_card(path: Path) -> None:
    registry.read_card(path)


def _try_network(path: Path) -> None:
    graph.check(path.read_bytes(), "it")


def _try_manifest(path: Path) -> None:
    manifest.read_rows(path, ("path", "genre"))


TARGETS: dict[str, Callable[[Path], object]] = {
    "audio": _try_audio,
    "tags": _try_tags,
    "cards": _try_card,
    "networks": _try_network,
    "plans": plan_files.read,
    "labels": labels.read,
    "recipes": reading.load,
    "manifests": _try_manifest,
}


def start(target: str, keep: Path | None) -> Callable[[int], tuple[str, str, int]]:
    """Make a child ready to try cases of a target."""
    audio.silence_decoders()
    folder = keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    return partial(attempt, target, folder, keep is not None)


def attempt(target: str, folder: Path, keep: bool, number: int) -> tuple[str, str, int]:
    """Try one case; return the kind of outcome, what it was, and the peak memory in bytes."""
    name, data = mutated(target, number)
    path = folder / f"{number}_{name}"
    path.write_bytes(data)
    kind, detail = "read", ""
    try:
        TARGETS[target](path)
    except GenrekitError as error:
        detail = str(error)
        kind = "contained" if "FFmpeg died" in detail or "took longer" in detail else "refused"
    except Exception as error:  # that it is another one is what is looked for
        kind, detail = "foreign", f"{type(error).__name__}: {error}"
    if not keep or kind in ("read", "refused"):
        path.unlink()
    return kind, detail, _peak_bytes()


def _peak_bytes() -> int:
    # Not first of all getrusage: what it counts of a new process begins with its parent's memory.
    own = _high_water(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max([own, *(_high_water(pid) for pid in isolation.idle_pids())])


def _high_water(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def run(
    target: str, n_cases: int, *, first: int = 0, jobs: int | None = None, keep: Path | None = None
) -> Report:
    """Try cases [first, first + n_cases) of a target in supervised children."""
    report = Report()
    began = partial(start, target, keep)
    with Pool(began, jobs or n_cores(), item_seconds=HANG_SECONDS) as pool:
        for number, found in zip(
            range(first, first + n_cases), _cases(pool, first, n_cases), strict=True
        ):
            report.n_tried += 1
            if isinstance(found, Failure):
                kind = {"limit": "hang", "death": "crash"}.get(found.reason, "foreign")
                detail, peak = found.message, 0
            else:
                kind, detail, peak = found
            report.outcomes[kind] += 1
            report.peak_bytes = max(report.peak_bytes, peak)
            if kind not in ("read", "refused"):
                report.found[f"{target} {number}"] = f"{kind}: {detail}"
    return report


def _cases(
    pool: Pool[int, tuple[str, str, int]], first: int, n_cases: int
) -> Iterator[tuple[str, str, int] | Failure[int]]:
    return pool.map(range(first, first + n_cases))
