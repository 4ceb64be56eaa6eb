"""Stretches: parts of tracks as tracks, which is what the leaky split divides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from genrekit.datasets.dataset import Dataset, TrackPart
from genrekit.datasets.split import SegmentSplit, Split


def as_tracks(dataset: Dataset, split: SegmentSplit) -> tuple[Dataset, Split]:
    """Return the stretches of a leaky split as a dataset, and the split of them.

    Args:
        dataset: the whole tracks.
        split: gives every track's number of stretches, and the part of each.

    Returns:
        A dataset in which the stretches of one track are repetitions of one recording, so that
        whatever keeps groups together keeps them together; and a split whose name says LEAKY.
    """
    n_stretches = Counter(track_id for track_id, _ in split.assignment)
    whole = dataset.by_id
    tracks, repetitions, assignment = [], {}, {}
    for (track_id, index), part in split.assignment.items():
        stretch = TrackPart(track_id, index, n_stretches[track_id])
        track = replace(whole[track_id], track_id=f"{track_id}#{index}", stretch=stretch)
        tracks.append(track)
        repetitions[track.track_id] = dataset.repetitions.get(track_id, track_id)
        assignment[track.track_id] = part
    cut = replace(dataset, tracks=tuple(tracks), fixed={}, repetitions=repetitions)
    return cut, Split(split.title, assignment)
