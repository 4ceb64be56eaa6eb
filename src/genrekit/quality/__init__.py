"""The audit of a dataset: faulty files, repetitions, double labels, what a split tears apart.

One check a file; ``audit`` puts them together. Likely wrong labels take a model and are found by
``genrekit.quality.mislabels``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from genrekit.datasets.dataset import Dataset
from genrekit.datasets.split import Split
from genrekit.errors import DatasetError
from genrekit.quality import duplicates, faults, measurements, overlap
from genrekit.quality.duplicates import Pair
from genrekit.quality.faults import SILENCE_PEAK, FaultLimits
from genrekit.quality.findings import Audit, Finding, Published
from genrekit.quality.measurements import Measurements

__all__ = ["Audit", "FaultLimits", "Finding", "Pair", "Published", "audit", "grouped"]


def audit(
    dataset: Dataset,
    splits: Iterable[Split] = (),
    *,
    limits: FaultLimits | None = None,
    jobs: int | None = None,
    memory: Path | None = None,
    advance: Callable[[], object] | None = None,
) -> Audit:
    """Hear every track of a dataset once and name what is wrong with it.

    Args:
        dataset: the tracks.
        splits: splits to look at, beside those that were published for the dataset.
        limits: lengths outside of which a file is named; None is 5 s to 20 minutes.
        jobs: worker processes; None is one a core.
        memory: the folder that remembers what was heard, so that a killed audit goes on; None is
            genrekit's in the user's cache.
        advance: called once for every track.

    Returns:
        What was found. Of repeated recordings the first track stays; under two labels, none.

    Raises:
        DatasetError: the dataset holds no audio.
    """
    if not dataset.has_audio:
        raise DatasetError(
            f"{dataset.path} holds features or images, and an audit hears audio; give the folder "
            "of the audio files"
        )
    paths = [track.path for track in dataset.tracks]
    ids = [track.track_id for track in dataset.tracks]
    heard = dict(zip(ids, measurements.hear_all(paths, jobs, memory, advance), strict=True))
    pairs = _pairs(heard)
    recordings = duplicates.groups((pair.first, pair.second) for pair in pairs)
    findings = [*faults.find(heard, limits or FaultLimits())]
    findings += _repeated(pairs, recordings)
    findings += overlap.under_two_labels(recordings, dataset.by_id)
    for split in (*dataset.fixed.values(), *splits):
        findings += overlap.on_both(split, dataset.tracks, heard, recordings)
    return Audit(
        dataset=dataset.name,
        path=dataset.path,
        n_tracks=len(heard),
        duration_seconds=sum(
            its.duration_seconds for its in heard.values() if isinstance(its, Measurements)
        ),
        findings=tuple(findings),
        pairs=tuple(pairs),
        published=_compare(recordings, dataset),
    )


def grouped(dataset: Dataset, pairs: Iterable[Pair]) -> dict[str, str]:
    """Return track_id -> group, as Dataset.groups, with the repetitions found joined to it.

    Args:
        dataset: what was audited.
        pairs: the repetitions found.
    """
    members = duplicates.groups(
        [*dataset.repetitions.items(), *((pair.first, pair.second) for pair in pairs)]
    )
    names = {track_id: recording[0] for recording in members for track_id in recording}
    return replace(dataset, repetitions=names).groups


def _pairs(heard: Mapping[str, Measurements | str]) -> list[Pair]:
    """Repetitions among the tracks that can be heard and are not silent."""
    audible = {
        track_id: its
        for track_id, its in heard.items()
        if isinstance(its, Measurements) and its.peak >= SILENCE_PEAK
    }
    same = duplicates.exact({track_id: its.audio_sha256 for track_id, its in audible.items()})
    copies = {pair.second for pair in same}  # their landmarks are those of the first
    unique = {key: its.landmarks for key, its in audible.items() if key not in copies}
    return sorted([*same, *duplicates.near(unique)], key=lambda pair: (pair.kind, pair.first))


def _repeated(pairs: Sequence[Pair], recordings: Sequence[Sequence[str]]) -> Iterator[Finding]:
    first = {track_id: members[0] for members in recordings for track_id in members}
    for pair in pairs:
        tracks = (pair.first, pair.second)
        leaves = tuple(track_id for track_id in tracks if track_id != first[track_id])
        yield Finding(pair.kind, tracks, str(pair), leaves)


def _compare(recordings: Sequence[Sequence[str]], dataset: Dataset) -> Published | None:
    """Compare with the published repetitions; both as pairs of all tracks of one recording."""
    named: dict[str, list[str]] = {}
    for track in dataset.tracks:
        if track.track_id in dataset.repetitions:
            named.setdefault(dataset.repetitions[track.track_id], []).append(track.track_id)
    known = {pair for members in named.values() for pair in combinations(members, 2)}
    if not known:
        return None
    found = {pair for members in recordings for pair in combinations(members, 2)}
    return Published(
        len(known), len(found), tuple(sorted(known - found)), tuple(sorted(found - known))
    )
