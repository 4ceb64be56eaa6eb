"""Landmarks: pairs of spectral peaks that name a recording and survive lossy coding.

A spectrogram's strongest points stay where they are when a recording is coded anew, made louder or
cut differently. Each peak is paired with a few that follow it; a pair's two frequencies and the
time between them are its hash, which a shift does not touch.

Source: A. L. Wang (2003), An industrial-strength audio search algorithm, ISMIR, sections 2.1-2.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.features import FeatureSpec
from genrekit.features.log_stft import log_stft

SPEC = FeatureSpec(
    kind="log_stft", sample_rate=11025, n_fft=1024, hop_length=256, padding="zeros", floor_db=-100.0
)
FRAME_SECONDS = SPEC.hop_length / SPEC.sample_rate
# A peak is the largest value within so many frames (0.23 s) and bins (150 Hz) to each side, and at
# most so far below the track's highest.
_PEAK_FRAMES, _PEAK_BINS, _PEAK_RANGE_DB = 10, 14, 60.0
# What a peak is paired with: the next three peaks that lie 2 to 63 frames later (1.5 s) and at most
# 63 bins (680 Hz) away.
_N_PAIRS, _MIN_FRAMES, _MAX_FRAMES, _MAX_BINS = 3, 2, 63, 63
_N_TRIED = 60  # following peaks looked at; there are about 28 a second

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


class Landmarks(NamedTuple):
    """Hashes, uint32, and the frame that each starts at, uint16. Both have shape (n,)."""

    hashes: NDArray[np.uint32]
    frames: NDArray[np.uint16]


def landmarks(waveform: Floats) -> Landmarks:
    """Return the landmarks of a recording.

    Args:
        waveform: mono audio at SPEC.sample_rate, up to 25 minutes. Shape (1, samples).

    Returns:
        About 80 landmarks a second of music, sorted by nothing; none for silence.
    """
    n_missing = max(0, SPEC.n_fft - waveform.shape[1])
    padded = np.pad(waveform, ((0, 0), (0, n_missing)))
    return _pairs(*_peaks(log_stft(padded, SPEC)[0]))


def _peaks(decibels: Floats) -> tuple[Indices, Indices]:
    """Return (frame, bin) of each local maximum of a (n_bins, n_frames) spectrogram, by frame."""
    neighbourhood = running_max(running_max(decibels, _PEAK_FRAMES).T, _PEAK_BINS).T
    floor = max(float(decibels.max()) - _PEAK_RANGE_DB, SPEC.floor_db)
    frames, bins = np.nonzero(((decibels >= neighbourhood) & (decibels > floor)).T)
    return frames, bins


def running_max(values: Floats, radius: int) -> Floats:
    """Return the largest of the 2 radius + 1 values around each one of the last axis."""
    width = 2 * radius + 1
    current = np.pad(values, ((0, 0), (radius, radius)), constant_values=-np.inf)
    reach = 1  # how many values each element covers; doubled while it fits
    while 2 * reach <= width:
        current = np.maximum(current[:, :-reach], current[:, reach:])
        reach *= 2
    rest = width - reach
    return np.maximum(current[:, :-rest], current[:, rest:]) if rest else current


def _pairs(frames: Indices, bins: Indices) -> Landmarks:
    n_peaks = len(frames)
    n_paired = np.zeros(n_peaks, np.int64)
    hashes, starts = [np.empty(0, np.uint32)], [np.empty(0, np.uint16)]
    for ahead in range(1, min(_N_TRIED, n_peaks)):
        anchors = np.arange(n_peaks - ahead)
        elapsed = frames[anchors + ahead] - frames[anchors]
        rise = bins[anchors + ahead] - bins[anchors]
        fits = (elapsed >= _MIN_FRAMES) & (elapsed <= _MAX_FRAMES) & (np.abs(rise) <= _MAX_BINS)
        fits &= n_paired[anchors] < _N_PAIRS
        anchors, elapsed, rise = anchors[fits], elapsed[fits], rise[fits]
        n_paired[anchors] += 1
        # 10 bits of frequency, 7 of its change, 6 of time.
        code = bins[anchors] << 13 | (rise + _MAX_BINS) << 6 | elapsed
        hashes.append(code.astype(np.uint32))
        starts.append(frames[anchors].astype(np.uint16))
    return Landmarks(np.concatenate(hashes), np.concatenate(starts))
