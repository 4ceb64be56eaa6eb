"""Checks against leaks, on the tables of GTZAN that come with the package: no audio is needed."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from genrekit.datasets import Dataset, SegmentSplit, Split, Track, gtzan
from genrekit.datasets.split import PARTS
from genrekit.labels import label_set

GENRES = label_set("gtzan").labels
SEEDS = range(3)
N_FOLDS = 5


def whole_gtzan() -> Dataset:
    """Return the 1000 tracks with their artists, as if they lay on the disk."""
    artists = gtzan.artist_groups()
    ids = [f"{genre}.{number:05d}" for genre in GENRES for number in range(100)]
    tracks = tuple(Track(k, Path(f"{k}.wav"), k.split(".")[0], artists.get(k)) for k in ids)
    fixed = {gtzan.FAULT_FILTERED: gtzan.fault_filtered()}
    return Dataset("gtzan", Path(), tracks, fixed=fixed, repetitions=gtzan.repetitions())


GTZAN = whole_gtzan()
ARTIST_DISJOINT = {
    "fault-filtered": GTZAN.split("fault-filtered"),
    **{f"artist, seed {seed}": GTZAN.split("artist", seed) for seed in SEEDS},
    **{split.name: split for split in GTZAN.folds("artist", N_FOLDS, validation=True)},
}
BY_TRACK = {
    **{f"track, seed {seed}": GTZAN.split("track", seed) for seed in SEEDS},
    **{split.name: split for split in GTZAN.folds("track", N_FOLDS)},
}
ALL = {**ARTIST_DISJOINT, **BY_TRACK}


def torn(split: Split, group_of: dict[str, str]) -> dict[str, set[str]]:
    """Return the groups that lie on two sides of a split, with the parts they lie in."""
    parts: dict[str, set[str]] = defaultdict(set)
    for track_id, part in split.assignment.items():
        if track_id in group_of:
            parts[group_of[track_id]].add(part)
    return {group: sides for group, sides in parts.items() if len(sides) > 1}


@pytest.mark.parametrize("name", ALL)
def test_no_track_is_in_two_parts(name: str) -> None:
    split = ALL[name]
    for one, other in combinations(PARTS, 2):
        assert set(split.ids(one)).isdisjoint(split.ids(other))
    assert sum(split.counts.values()) == len(split.assignment)
    assert set(split.assignment) <= {track.track_id for track in GTZAN.tracks}


@pytest.mark.parametrize("name", ARTIST_DISJOINT)
def test_no_artist_is_in_two_parts(name: str) -> None:
    assert torn(ARTIST_DISJOINT[name], gtzan.artist_groups()) == {}


@pytest.mark.parametrize("name", ARTIST_DISJOINT)
def test_no_known_repetition_is_in_two_parts(name: str) -> None:
    assert torn(ARTIST_DISJOINT[name], gtzan.repetitions()) == {}


@pytest.mark.parametrize("name", ALL)
def test_every_part_holds_every_genre(name: str) -> None:
    split = ALL[name]
    for part in (part for part, n in split.counts.items() if n):
        assert {track.genre for track in GTZAN.tracks_of(split, part)} == set(GENRES)


@pytest.mark.parametrize("kind", ["artist", "track"])
def test_folds_test_every_track_once(kind: str) -> None:
    tested = Counter(key for split in GTZAN.folds(kind, N_FOLDS) for key in split.test)
    assert tested == Counter(track.track_id for track in GTZAN.tracks)


def test_the_check_sees_an_artist_on_two_sides() -> None:
    # Dividing by track does tear artists: a check that never sees one would be worth nothing.
    assert torn(BY_TRACK["track, seed 0"], gtzan.artist_groups())
    split = GTZAN.split("artist", 0)
    group = Counter(gtzan.artist_groups().values()).most_common(1)[0][0]
    moved = next(key for key, artist in gtzan.artist_groups().items() if artist == group)
    other = next(part for part in PARTS if part != split.assignment[moved])
    leaking = Split("artist", {**split.assignment, moved: other})
    assert set(torn(leaking, gtzan.artist_groups())) == {group}


def test_the_segment_split_leaks_and_says_so() -> None:
    split = GTZAN.segment_split({track.track_id: 10 for track in GTZAN.tracks})
    assert isinstance(split, SegmentSplit)
    assert "LEAKY" in split.title
    trained, tested = ({key for key, _ in split.ids(part)} for part in ("train", "test"))
    # A track's ten segments miss the 20 % test part with probability 0.8 ** 10 = 0.11.
    assert len(trained & tested) > 850


def test_the_fault_filtered_split_is_the_published_one() -> None:
    split = GTZAN.split("fault-filtered")
    assert split.counts == {"train": 443, "validation": 197, "test": 290}
