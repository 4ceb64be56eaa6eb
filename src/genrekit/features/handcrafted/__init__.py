"""The 57 hand-crafted columns of the published GTZAN feature table, in NumPy.

All columns share one short-time Fourier transform. They equal librosa's, with the defaults it had
when the table was made and reflected edges: tempo exactly, the others up to rounding. The column
names imply fixed parameters (22,050 Hz, windows of 2048, hops of 512), so a FeatureSpec of kind
"handcrafted" allows no others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.features.handcrafted import chroma, hpss, spectrum, tempo
from genrekit.features.handcrafted.spectrum import SPEC
from genrekit.features.spec import FeatureSpec, FrontEndKind
from genrekit.features.stft import as_segments

__all__ = ["COLUMNS", "N_MFCC", "values"]

N_MFCC = 20
_DESCRIBED = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)
_CEPSTRA = tuple(f"mfcc{index}" for index in range(1, N_MFCC + 1))
COLUMNS = tuple(
    column
    for name in (*_DESCRIBED, "tempo", *_CEPSTRA)
    for column in ([name] if name == "tempo" else [f"{name}_mean", f"{name}_var"])
)


def values(waveform: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the 57 columns of each waveform.

    Args:
        waveform: mono audio in [-1, 1] at 22,050 Hz. Shape (..., samples).

    Returns:
        The columns in the order of COLUMNS: frequencies in Hz, tempo in beats per minute (0.0
        without onsets), variances with the divisor n. Shape (..., 57).

    Raises:
        AudioError: fewer samples than one window, or a value that is not finite.

    Source: librosa (McFee et al. 2015, SciPy); each function is named where it is computed.
    """
    segments = as_segments(waveform, SPEC)
    rows = np.empty((len(segments), len(COLUMNS)))
    for row, segment in zip(rows, segments, strict=True):
        row[:] = _row(segment)
    return rows.reshape(*waveform.shape[:-1], len(COLUMNS))


def _row(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    transform = spectrum.transform(samples)
    log_mel = spectrum.log_mel(transform.mel)
    pitch_classes = chroma.chroma(transform.power, transform.loudest)
    described = (
        pitch_classes,
        spectrum.rms(samples),
        transform.centroid,
        transform.bandwidth,
        transform.rolloff,
        spectrum.zero_crossing_rate(samples),
        *hpss.parts(transform.spectrum, transform.power, samples),
    )
    cepstra = spectrum.mfcc(log_mel, N_MFCC).T  # (n_mfcc, frames)
    return np.array(
        [
            *(moment for part in described for moment in _moments(part)),
            tempo.tempo(tempo.onset_strength(log_mel)),
            *(moment for part in cepstra for moment in _moments(part)),
        ]
    )


def _moments(part: NDArray[Any]) -> tuple[float, float]:
    """Return mean and variance, summed in double precision."""
    mean = float(part.mean(dtype=np.float64))
    centred = part.ravel() - mean
    return mean, float(np.einsum("i,i->", centred, centred)) / centred.size


def _columns(segments: NDArray[Any], spec: FeatureSpec) -> NDArray[np.float32]:
    """Return the columns, not normalised. Shape (..., 57, 1)."""
    del spec  # its parameters are fixed
    return values(segments).astype(np.float32)[..., None]


KIND = FrontEndKind(_columns, n_bins=lambda spec: len(COLUMNS))
