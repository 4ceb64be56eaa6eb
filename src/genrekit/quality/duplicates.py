"""The same recording twice: equal decoded audio, or a fingerprint that agrees at one shift.

Landmarks of all tracks are sorted by hash once; each track then meets only those that share a hash
with it, so the cost grows with the number of tracks, not with that of pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.quality.findings import EXACT, NEAR, Finding, Pair, Published
from genrekit.quality.fingerprint import FRAME_SECONDS, Landmarks

if TYPE_CHECKING:
    from genrekit.quality.measurements import Measurements

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

Indices = NDArray[np.int64]


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
    """Join pairs to groups: what is connected is one recording. Each is sorted, and their list."""
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
    """Add what the shifts one frame before and after have: frames of two cuts are not aligned."""
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
