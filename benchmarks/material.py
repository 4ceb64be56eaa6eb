"""The files that the benchmarks run on: the user's songs, or genrekit's made tracks."""

from __future__ import annotations

import shutil
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from genrekit import demo

SHORT_SECONDS = 30
LONG_SECONDS = 240


def short_mp3s(songs: list[Path], n_files: int, folder: Path) -> list[Path]:
    """Copy the songs in turn until there are n_files; without songs, make 30-s MP3s."""
    originals = songs or [_made_mp3(name, folder) for name in demo.NAMES]
    copies = []
    for index, original in enumerate(islice(cycle(originals), n_files)):
        copy = folder / f"short{index:04}{original.suffix}"
        shutil.copyfile(original, copy)
        copies.append(copy)
    return copies


def _made_mp3(name: str, folder: Path) -> Path:
    path = folder / f"{name}.mp3"
    _write(path, _tiled(demo.synthesise(name), SHORT_SECONDS * demo.SAMPLE_RATE), demo.SAMPLE_RATE)
    return path


def long_songs(short: list[Path], n_songs: int, folder: Path) -> dict[str, list[Path]]:
    """Repeat short files to 4 minutes; return n_songs copies a format."""
    samples, rate = soundfile.read(short[0], dtype="float32", always_2d=True)
    song = _tiled(samples.T, LONG_SECONDS * rate)
    found = {}
    for suffix in (".mp3", ".flac", ".m4a"):
        first = folder / f"long0{suffix}"
        if suffix == ".m4a":
            _write_m4a(first, song, rate)
        else:
            _write(first, song, rate)
        copies = [folder / f"long{index}{suffix}" for index in range(1, n_songs)]
        for copy in copies:
            shutil.copyfile(first, copy)
        found[suffix[1:].upper()] = [first, *copies]
    return found


def _tiled(waveform: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    n_times = -(-n_samples // waveform.shape[1])
    return np.tile(waveform, (1, n_times))[:, :n_samples]


def _write(path: Path, waveform: NDArray[np.float32], sample_rate: int) -> None:
    soundfile.write(path, waveform.T, sample_rate)


def _write_m4a(path: Path, waveform: NDArray[np.float32], sample_rate: int) -> None:
    import av

    layout = "stereo" if len(waveform) == 2 else "mono"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=sample_rate, layout=layout)
        for start in range(0, waveform.shape[1] - 1023, 1024):
            block = np.ascontiguousarray(waveform[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
