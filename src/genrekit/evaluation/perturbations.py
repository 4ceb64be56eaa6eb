"""Named changes to audio that are common in practice.

MP3 is encoded (by LAME, in FFmpeg) and decoded again. Time stretching is FFmpeg's ``atempo``
(waveform-similarity overlap-add), which keeps the pitch; a shift in pitch is a change of speed
(``asetrate``) undone in time by ``atempo``. FFmpeg's finer ``rubberband`` is not in PyAV's builds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.signal import resample

Waveform = NDArray[np.float32]
# Takes and returns mono audio of shape (1, samples) and its rate in Hz.
Change = Callable[[Waveform, int], tuple[Waveform, int]]

MP3_RATES_HZ = (16000, 22050, 24000, 32000, 44100, 48000)
BLOCK_SAMPLES = 4096


def mp3(waveform: Waveform, sample_rate: int, *, kbit_per_second: int) -> tuple[Waveform, int]:
    """Encode as MP3 at a constant bit rate, and decode like any file.

    A sample rate that MP3 lacks at these bit rates is first converted to 44,100 Hz.
    """
    from genrekit.audio.loading import load

    rate = sample_rate if sample_rate in MP3_RATES_HZ else 44100
    resampled = resample(waveform, sample_rate, rate)
    with tempfile.TemporaryDirectory(prefix="genrekit-") as folder:
        path = Path(folder) / "coded.mp3"
        _write_mp3(path, resampled, rate, kbit_per_second)
        return load(path), rate


def _write_mp3(path: Path, waveform: Waveform, sample_rate: int, kbit_per_second: int) -> None:
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("libmp3lame", rate=sample_rate, layout="mono")
        stream.bit_rate = 1000 * kbit_per_second
        for frame in _frames(waveform, sample_rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def noise(waveform: Waveform, sample_rate: int, *, snr_db: float) -> tuple[Waveform, int]:
    """Add white noise, snr_db below the track's mean power.

    The noise is a function of the track alone.
    """
    rng = np.random.default_rng(int(np.abs(waveform).sum(dtype=np.float64) * 1000))
    power = float(np.square(waveform, dtype=np.float64).mean())
    deviation = np.sqrt(power / 10 ** (snr_db / 10))
    added = rng.standard_normal(waveform.shape, np.float32) * np.float32(deviation)
    return waveform + added, sample_rate


def gain(waveform: Waveform, sample_rate: int, *, db: float) -> tuple[Waveform, int]:
    """Change the gain; values beyond full scale are clipped, as in a file."""
    return np.clip(waveform * np.float32(10 ** (db / 20)), -1.0, 1.0), sample_rate


def resampled(waveform: Waveform, sample_rate: int, *, hz: int) -> tuple[Waveform, int]:
    """Resample, so that frequencies above half the new rate are lost."""
    return resample(waveform, sample_rate, hz), hz


def time_stretched(waveform: Waveform, sample_rate: int, *, factor: float) -> tuple[Waveform, int]:
    """Lengthen by a factor, at the same pitch."""
    return _filtered(waveform, sample_rate, [("atempo", f"{1 / factor:.6f}")]), sample_rate


def shifted(waveform: Waveform, sample_rate: int, *, semitones: float) -> tuple[Waveform, int]:
    """Shift the pitch, at the same length."""
    ratio = 2 ** (semitones / 12)
    steps = [
        ("asetrate", str(round(sample_rate * ratio))),
        ("aresample", str(sample_rate)),
        ("atempo", f"{1 / ratio:.6f}"),
    ]
    return _filtered(waveform, sample_rate, steps), sample_rate


def beginning(waveform: Waveform, sample_rate: int, *, seconds: float) -> tuple[Waveform, int]:
    """Keep the first seconds only."""
    return waveform[:, : round(seconds * sample_rate)], sample_rate


def _filtered(waveform: Waveform, sample_rate: int, steps: list[tuple[str, str]]) -> Waveform:
    """Run FFmpeg's filters over mono audio."""
    import av

    graph = av.filter.Graph()
    nodes = [graph.add_abuffer(format="fltp", sample_rate=sample_rate, layout="mono")]
    nodes += [graph.add(name, argument) for name, argument in steps]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    found: list[Waveform] = []
    for frame in _frames(waveform, sample_rate, with_times=True):
        graph.push(frame)
        found += _pulled(graph)
    graph.push(None)
    return np.concatenate([*found, *_pulled(graph)], axis=1)


def _pulled(graph: object) -> list[Waveform]:
    """Return every frame that is ready."""
    import av

    found = []
    while True:
        try:
            found.append(graph.pull().to_ndarray())  # type: ignore[attr-defined]
        except (av.error.BlockingIOError, av.error.EOFError):
            return found


def _frames(waveform: Waveform, sample_rate: int, *, with_times: bool = False) -> Iterator[Any]:
    """Yield mono audio as FFmpeg's frames."""
    import av

    for start in range(0, waveform.shape[1], BLOCK_SAMPLES):
        block = np.ascontiguousarray(waveform[:, start : start + BLOCK_SAMPLES])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = sample_rate, start if with_times else None
        yield frame


CHANGES: Mapping[str, Change] = {
    **{f"MP3 {rate} kbit/s": partial(mp3, kbit_per_second=rate) for rate in (128, 64, 32)},
    **{f"white noise {snr} dB": partial(noise, snr_db=snr) for snr in (30, 20, 10, 0)},
    **{f"gain {db:+d} dB": partial(gain, db=db) for db in (-12, 12)},
    **{f"resampled {hz // 1000} kHz": partial(resampled, hz=hz) for hz in (16000, 8000)},
    **{f"pitch {n:+d} semitones": partial(shifted, semitones=n) for n in (-2, 2)},
    **{f"time stretch {n:+d} %": partial(time_stretched, factor=1 + n / 100) for n in (-10, 10)},
    **{f"first {n} s": partial(beginning, seconds=n) for n in (5, 10, 20)},
}
