"""The same recording twice: equal decoded audio, or a fingerprint that agrees at one shift.

A fingerprint is made of landmarks: pairs of spectral peaks that name a recording and survive lossy
coding. A spectrogram's strongest points stay where they are when a recording is re-encoded, made
louder or cut differently. Each peak is paired with a few that follow it; a pair's two frequencies
and the time between them are its hash, which a shift does not change.

Landmarks of all tracks are sorted by hash once; each track is then compared only with those that
share a hash with it, so the cost grows with the number of tracks, not of pairs.

Source: A. L. Wang (2003), An industrial-strength audio search algorithm, ISMIR, sections 2.1-2.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.features import FeatureSpec
from genrekit.features.log_stft import log_stft
from genrekit.quality.findings import EXACT, NEAR, Finding, Pair, Published

if TYPE_CHECKING:
    from genrekit.quality.measurements import Measurements

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
# (landmarks that agree, their share of the shorter track's): either is enough. Among the 258,840
# pairs of 720 clips of GTZAN and FMA, two artists share up to 14 landmarks at one shift (0.5 %) and
# two songs of one artist up to 12; 76 clips cut anew, 3 dB louder or softer and coded to 64 kbit/s
# share 192 or more (7.6 %) with their originals. The second is for pieces of a few seconds.
ENOUGH = ((30, 0.01), (15, 0.05))
_LEAST = min(n_aligned for n_aligned, _ in ENOUGH)
# A hash that more landmarks have is left out, or the cost would grow with the number of pairs. It
# costs 1 % of the landmarks of 8,000 clips, 6 % of 25,000, and two thirds of 100,000.
_MAX_SHARED = 256
_SHIFTS = 1 << 17  # more than twice the frames that a uint16 counts

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


class Landmarks(NamedTuple):
    """Hashes, uint32, and the frame that each starts at, uint16. Both have shape (n,)."""

    hashes: NDArray[np.uint32]
    frames: NDArray[np.uint16]


def find(measured: Mapping[str, Measurements]) -> list[Pair]:
    """Return the repetitions among tracks, exact ones first.

    Args:
        measured: track_id -> what was measured; none of them silent.
    """
    same = exact({track_id: its.audio_sha256 for track_id, its in measured.items()})
    copies = {pair.second for pair in same}  # their landmarks are those of the first
    unique = {key: its.landmarks for key, its in measured.items() if key not in copies}
    return sorted([*same, *near(unique)], key=lambda pair: (pair.kind, pair.first))


def to_findings(pairs: Sequence[Pair], recordings: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """Yield a finding for each pair; of the tracks of one recording, the first is not excluded."""
    first = {track_id: members[0] for members in recordings for track_id in members}
    for pair in pairs:
        tracks = (pair.first, pair.second)
        leaves = tuple(track_id for track_id in tracks if track_id != first[track_id])
        yield Finding(pair.kind, tracks, str(pair), leaves)


def compare(recordings: Sequence[Sequence[str]], published: Mapping[str, str]) -> Published | None:
    """Compare with the published repetitions, as pairs of all tracks of one recording.

    Args:
        recordings: the ids of the tracks that hold one recording, for each.
        published: track_id -> name of the recording, for the tracks that are here.
    """
    named: dict[str, list[str]] = {}
    for track_id, recording in published.items():
        named.setdefault(recording, []).append(track_id)
    known = {pair for members in named.values() for pair in combinations(sorted(members), 2)}
    if not known:
        return None
    found = {pair for members in recordings for pair in combinations(members, 2)}
    return Published(
        len(known), len(found), tuple(sorted(known - found)), tuple(sorted(found - known))
    )


def exact(digests: Mapping[str, str]) -> list[Pair]:
    """Return the pairs of equal digests; of more than two, each with the first.

    Args:
        digests: track_id -> hash of the decoded audio.
    """
    first: dict[str, str] = {}
    pairs = []
    for track_id, digest in sorted(digests.items()):
        other = first.setdefault(digest, track_id)
        if other != track_id:
            pairs.append(Pair(other, track_id, EXACT))
    return pairs


def near(fingerprints: Mapping[str, Landmarks]) -> list[Pair]:
    """Return the pairs of tracks whose fingerprints agree at one shift.

    Args:
        fingerprints: track_id -> landmarks.

    Source: A. L. Wang (2003), section 2.3: matching hashes of one recording lie on a diagonal.
    """
    names = sorted(fingerprints)
    index = _Index([fingerprints[name] for name in names])
    pairs = []
    for number, name in enumerate(names):
        marks = fingerprints[name]
        for other, shift, n_aligned in index.matches(number, marks):
            share = n_aligned / min(len(marks.hashes), len(fingerprints[names[other]].hashes))
            if any(n_aligned >= least and share >= part for least, part in ENOUGH):
                seconds = round(shift * FRAME_SECONDS, 2)
                pairs.append(Pair(name, names[other], NEAR, seconds, n_aligned, round(share, 4)))
    return pairs


def groups(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Merge pairs into groups: connected tracks hold one recording. All are sorted."""
    group_of: dict[str, set[str]] = {}
    for first, second in pairs:
        union = group_of.get(first, {first}) | group_of.get(second, {second})
        group_of.update(dict.fromkeys(union, union))
    return sorted({tuple(sorted(members)) for members in group_of.values()})


class _Index:
    """All landmarks, sorted by hash."""

    def __init__(self, fingerprints: list[Landmarks]) -> None:
        sizes = [len(marks.hashes) for marks in fingerprints]
        hashes = np.concatenate([np.empty(0, np.uint32), *(m.hashes for m in fingerprints)])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._tracks = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        frames = np.concatenate([np.empty(0, np.uint16), *(m.frames for m in fingerprints)])
        self._frames = frames[order]

    def matches(self, number: int, marks: Landmarks) -> Iterator[tuple[int, int, int]]:
        """Yield (track, shift in frames, landmarks that agree) for the tracks after this one."""
        first = np.searchsorted(self._hashes, marks.hashes, "left")
        counts = np.searchsorted(self._hashes, marks.hashes, "right") - first
        counts[counts > _MAX_SHARED] = 0
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(first, counts) + within
        own_frames = np.repeat(marks.frames.astype(np.int64), counts)
        later = self._tracks[rows] > number
        rows, own_frames = rows[later], own_frames[later]
        # One number for a track and a shift, so that equal ones can be counted by sorting.
        shifts = self._frames[rows] - own_frames + _SHIFTS // 2
        keys, n_equal = np.unique(
            self._tracks[rows] * np.int64(_SHIFTS) + shifts, return_counts=True
        )
        yield from _best(keys, _with_neighbours(keys, n_equal))


def _with_neighbours(keys: Indices, counts: Indices) -> Indices:
    """Add the neighbouring shifts' counts: frames of two cuts are not aligned."""
    total = counts.copy()
    beside = np.flatnonzero(np.diff(keys) == 1)
    total[beside] += counts[beside + 1]
    total[beside + 1] += counts[beside]
    return total


def _best(keys: Indices, counts: Indices) -> Iterator[tuple[int, int, int]]:
    """Yield each track's best shift that enough landmarks agree on, by track."""
    best: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in np.flatnonzero(counts >= _LEAST):
        track, shift = divmod(int(keys[row]), _SHIFTS)
        best[track] = max(best[track], (int(counts[row]), shift - _SHIFTS // 2))
    for track, (n_aligned, shift) in sorted(best.items()):
        yield track, shift, n_aligned


def landmarks(waveform: Floats) -> Landmarks:
    """Return the landmarks of a recording.

    Args:
        waveform: mono audio at SPEC.sample_rate, up to 25 minutes. Shape (1, samples).

    Returns:
        About 80 landmarks per second of music, unsorted; none for silence.
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
