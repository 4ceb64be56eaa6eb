"""Which segments of a track are analysed, and how they are cut from the decoded audio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genrekit.features.spec import FeatureSpec

Waveform = NDArray[np.float32]
SegmentChoice = int | Literal["all"] | None

WHOLE_TRACK_SECONDS = 60.0
N_SPREAD = 8
_BATCH_SEGMENTS = 16
SILENCE_PEAK = 1e-4  # -80 dB re full scale, three steps of a 16-bit file


def checked(choice: SegmentChoice) -> SegmentChoice:
    """Check a choice of segments and return it.

    Raises:
        ValueError: it is neither None, "all" nor a number above 0.
    """
    if not (choice in (None, "all") or (isinstance(choice, int) and choice > 0)):
        raise ValueError(f"got segments {choice!r}; expected None, 'all' or a number above 0")
    return choice


def n_spread(duration_seconds: float, spec: FeatureSpec, choice: SegmentChoice) -> int | None:
    """Return how many evenly spread segments to analyse, or None for the entire track.

    All of a track is analysed when the choice is "all", when the choice is None and the track is
    at most WHOLE_TRACK_SECONDS long, and when it has no more segments than requested. If the
    spec uses only the start of a track, that start counts as the track.

    >>> spec = FeatureSpec(segment_seconds=3.0, segment_hop_seconds=3.0)
    >>> n_spread(30.0, spec, None), n_spread(240.0, spec, None), n_spread(240.0, spec, 100)
    (None, 8, None)
    """
    duration_seconds = spec.used_seconds(duration_seconds)
    if choice == "all" or (choice is None and duration_seconds <= WHOLE_TRACK_SECONDS):
        return None
    requested = N_SPREAD if choice is None else choice
    return None if requested >= _n_whole(duration_seconds, spec) else requested


def _n_whole(duration_seconds: float, spec: FeatureSpec) -> int:
    """Return how many segments start one hop apart and end within the track, at least one."""
    room_seconds = duration_seconds - spec.segment_seconds
    return 1 + max(0, math.floor(room_seconds / spec.segment_hop_seconds))


def starts(duration_seconds: float, spec: FeatureSpec, choice: SegmentChoice = None) -> list[float]:
    """Return where the segments of a track start, in seconds; cut_whole cuts at the same points.

    >>> starts(10.0, FeatureSpec(segment_seconds=3.0, segment_hop_seconds=3.0))
    [0.0, 3.0, 6.0]
    >>> starts(11.0, FeatureSpec(segment_seconds=3.0, segment_hop_seconds=3.0))
    [0.0, 3.0, 6.0, 8.0]
    """
    n_segments = n_spread(duration_seconds, spec, choice)
    if n_segments is not None:
        return spread_starts(duration_seconds, spec, n_segments)
    duration_seconds = spec.used_seconds(duration_seconds)
    hop_seconds = spec.segment_hop_seconds
    found = [index * hop_seconds for index in range(_n_whole(duration_seconds, spec))]
    last = duration_seconds - spec.segment_seconds
    # As in cut_whole, a remainder of at least half a segment gets one more segment.
    return [*found, last] if last - found[-1] >= spec.segment_seconds / 2 else found


def spread_starts(duration_seconds: float, spec: FeatureSpec, n_segments: int) -> list[float]:
    """Return the starts of segments centred in n equal parts of a track, in seconds.

    Thus the first and last seconds, where music fades in and out, are left out.

    >>> spec = FeatureSpec(segment_seconds=3.0)
    >>> spread_starts(100.0, spec, 2)
    [23.5, 73.5]
    """
    duration_seconds = spec.used_seconds(duration_seconds)
    part_seconds = duration_seconds / n_segments
    last = max(0.0, duration_seconds - spec.segment_seconds)
    centres = [(index + 0.5) * part_seconds for index in range(n_segments)]
    return [min(max(0.0, centre - spec.segment_seconds / 2), last) for centre in centres]


def cut_spread(waveform: Waveform, spec: FeatureSpec, starts_seconds: list[float]) -> Waveform:
    """Cut segments at the given starts.

    Args:
        waveform: mono at spec.sample_rate. Shape (1, samples), at least one segment long.
        spec: for the sample rate and the length of a segment.
        starts_seconds: as returned by spread_starts.

    Returns:
        Shape (n_segments, segment_samples).
    """
    size = spec.segment_samples
    last = waveform.shape[-1] - size
    firsts = [min(round(start * spec.sample_rate), last) for start in starts_seconds]
    return np.stack([waveform[0, first : first + size] for first in firsts])


def are_loud(waveforms: Waveform) -> list[bool]:
    """Return for each segment whether it has a sample of SILENCE_PEAK or more.

    Args:
        waveforms: shape (n_segments, samples).
    """
    peaks = np.maximum(waveforms.max(axis=1), -waveforms.min(axis=1))  # no copy for abs
    found: list[bool] = (peaks >= SILENCE_PEAK).tolist()
    return found


def cut_whole(blocks: Iterable[Waveform], spec: FeatureSpec) -> Iterator[tuple[int, Waveform]]:
    """Cut an entire track into segments, one every spec.segment_hop_seconds, in bounded memory.

    A remainder of at least half a segment after the last full hop gets one more segment, which
    ends with the track. A track shorter than a segment becomes one segment, filled by repeating
    the track. Nothing is read past spec.first_seconds.

    Args:
        blocks: contiguous mono audio at spec.sample_rate. Each of shape (1, samples).
        spec: for the segments' length and hop, and how much of the track is used.

    Yields:
        (first sample, segments of shape (n, segment_samples)) with n at most _BATCH_SEGMENTS; the
        segments of one batch start one hop apart.
    """
    size, hop = spec.segment_samples, max(1, round(spec.segment_hop_seconds * spec.sample_rate))
    kept = np.empty(0, np.float32)
    kept_first, next_first = 0, 0
    for block in _first(blocks, spec) if spec.first_seconds else blocks:
        kept = np.concatenate([kept, block[0]]) if len(kept) else block[0]
        end = kept_first + len(kept)
        while next_first + size <= end:
            n_ready = min(1 + (end - next_first - size) // hop, _BATCH_SEGMENTS)
            windows = np.lib.stride_tricks.sliding_window_view(kept, size)
            first = next_first - kept_first
            yield next_first, windows[first : first + (n_ready - 1) * hop + 1 : hop]
            next_first += n_ready * hop
        drop = min(next_first, end - size) - kept_first
        if drop > 0:
            kept, kept_first = kept[drop:], kept_first + drop
    end = kept_first + len(kept)
    if 0 < end < size:
        yield 0, np.resize(kept, (1, size))
    elif end and end - (next_first - hop + size) >= size / 2:
        yield end - size, kept[None, -size:]


def _first(blocks: Iterable[Waveform], spec: FeatureSpec) -> Iterator[Waveform]:
    """Yield the part of a track that the spec uses, without reading any block after it."""
    n_left = round(spec.used_seconds(math.inf) * spec.sample_rate)
    for block in blocks:
        yield block[:, :n_left]
        n_left -= block.shape[-1]
        if n_left <= 0:
            return
