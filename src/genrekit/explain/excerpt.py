"""The deciding seconds as sound."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from genrekit import audio
from genrekit.explain.explanation import Passage
from genrekit.inference.classifier import PathLike

PAUSE_SECONDS = 0.25
FADE_SECONDS = 0.02


def cut(path: PathLike, stretches: list[Passage]) -> tuple[NDArray[np.float32], int]:
    """Cut stretches out of a file, faded in and out, with a short pause between them.

    Args:
        path: the file.
        stretches: as Explanation.deciding gives them; at least one.

    Returns:
        Audio of shape (channels, samples), and its sample rate in Hz, the file's own.

    Raises:
        AudioError: the file cannot be heard.
    """
    info = audio.probe(path)
    pieces: list[NDArray[np.float32]] = []
    for stretch in stretches:
        piece = audio.load(
            info,
            mono=False,
            start_seconds=stretch.start_seconds,
            duration_seconds=stretch.end_seconds - stretch.start_seconds,
        )
        pause = np.zeros((len(piece), round(PAUSE_SECONDS * info.sample_rate)), np.float32)
        pieces += [pause] * bool(pieces) + [_faded(piece, round(FADE_SECONDS * info.sample_rate))]
    return np.concatenate(pieces, axis=1), info.sample_rate


def wav(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return audio of shape (channels, samples) as a WAV file of 16 bits."""
    stream = io.BytesIO()
    soundfile.write(stream, waveform.T, sample_rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def _faded(waveform: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Return the waveform with a straight fade of n_samples at both ends."""
    ramp = np.minimum(np.arange(waveform.shape[1]) / n_samples, 1.0).astype(np.float32)
    return waveform * ramp * ramp[::-1]
