"""Splits and folds: nothing on two sides, shares kept, the same seed the same parts."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrekit import labels
from genrekit.datasets import Dataset, SegmentSplit, Split, Track, gtzan, stratify
from genrekit.errors import DatasetError

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def whole_gtzan() -> Dataset:
    """All 1000 tracks of GTZAN by name, without their audio."""
    artists = gtzan.artist_groups()
    genres = labels.label_set("gtzan").labels
    ids = [f"{genre}.{number:05d}" for genre in genres for number in range(100)]
    tracks = tuple(Track(i, Path(i), i.split(".")[0], artists.get(i)) for i in ids)
    published = {gtzan.FAULT_FILTERED: gtzan.fault_filtered()}
    return Dataset("gtzan", Path(), tracks, (), published, gtzan.repetitions())


GTZAN = whole_gtzan()


def made(sizes: dict[str, int], artists: int = 0) -> Dataset:
    """A dataset with so many tracks a genre, of so many artists a genre (0: unknown)."""
    tracks = [
        Track(
            f"{genre}/{number}",
            Path(f"{genre}/{number}.wav"),
            genre,
            f"{genre} {number % artists}" if artists else None,
        )
        for genre, size in sizes.items()
        for number in range(size)
    ]
    return Dataset("made", Path("made"), tuple(tracks))


def sides(split: Split, names: dict[str, str]) -> dict[str, set[str]]:
    """The parts in which each name (a group, a recording) occurs."""
    found: dict[str, set[str]] = {}
    for track_id, part in split.assignment.items():
        found.setdefault(names[track_id], set()).add(part)
    return found


# Split


def test_a_split_survives_saving_and_loading(tmp_path: Path) -> None:
    parts = {"b": "train", "a/ü": "train", "c": "validation", "d": "test", "bad\udcff": "test"}
    split = Split("mine", parts)
    split.save(tmp_path / "mine.tsv")
    loaded = Split.load(tmp_path / "mine.tsv")
    assert loaded == split
    assert loaded.sha256 == split.sha256
    assert (tmp_path / "mine.tsv").read_bytes().startswith(b"track_id\tsplit\na/\xc3\xbc\ttrain\nb")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.tsv"]


def test_the_sha256_is_of_the_sorted_lines_and_ignores_name_and_order() -> None:
    one = Split("one", {"a": "train", "b": "test"})
    # sha256 of "a\ttrain\nb\ttest\n", by sha256sum.
    expected = "07c52948af8d69bc872d722873d4eb77765d5cb8f8663af702f399661417b514"
    assert Split("two", {"b": "test", "a": "train"}).sha256 == one.sha256 == expected
    assert Split("one", {"a": "test", "b": "test"}).sha256 != one.sha256


def test_a_split_refuses_a_track_in_two_parts(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("track_id\tsplit\na\ttrain\na\ttest\n")
    with pytest.raises(DatasetError, match="line 3: track 'a' is in train and again in test"):
        Split.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("track_id\tsplit\na\tvalid\n", "line 2: 'valid' is no part of a split; use one of train"),
        ("a\ttrain\n", "its header must be"),
        ("", "its header must be"),
        ("track_id\tsplit\n", "assigns no track"),
        ("track_id\tsplit\na\ttrain\tb\n", "line 2: expected two cells, found 3"),
    ],
)
def test_a_split_file_of_another_form_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        Split.load(path)


def test_comments_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_bytes(b"# whose\r\ntrack_id\tsplit\r\n#1 hit\ttrain\r\n\r\n")
    assert Split.load(path, "theirs") == Split("theirs", {"#1 hit": "train"})


def test_a_part_of_another_name_and_an_id_that_a_file_cannot_hold_are_refused() -> None:
    with pytest.raises(DatasetError, match="'dev' is no part of a split"):
        Split("mine", {"a": "dev"})
    with pytest.raises(DatasetError, match="tab or a line break"):
        Split("mine", {"a\tb": "train"})
    with pytest.raises(DatasetError, match="'dev' is no part of a split"):
        Split("mine", {"a": "train"}).ids("dev")


def test_a_split_goes_to_another_process() -> None:
    split = Split("mine", {"a": "train"})
    assert pickle.loads(pickle.dumps(split)) == split  # noqa: S301


# Computed splits


@pytest.mark.parametrize("kind", ["track", "artist"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gtzan_is_divided_by_70_10_20_in_every_genre(kind: str, seed: int) -> None:
    split = GTZAN.split(kind, seed)
    assert set(split.assignment) == {track.track_id for track in GTZAN.tracks}
    # Blues has nine artists, the largest with 17 tracks: by artist the shares are met roughly.
    slack = 0 if kind == "track" else 12
    for genre in GTZAN.labels:
        counts = Counter(part for i, part in split.assignment.items() if i.startswith(genre))
        for part, share in SHARES.items():
            assert abs(counts[part] - 100 * share) <= slack, (genre, counts)


@pytest.mark.parametrize("seed", range(5))
def test_by_artist_no_artist_and_no_repetition_is_on_two_sides(seed: int) -> None:
    artists = {t.track_id: t.artist_group or f"nobody {t.track_id}" for t in GTZAN.tracks}
    recordings = {t.track_id: GTZAN.repetitions.get(t.track_id, t.track_id) for t in GTZAN.tracks}
    for split in [GTZAN.split("artist", seed), *GTZAN.folds("artist", 10, seed)]:
        for names in (artists, recordings, GTZAN.groups):
            assert max(len(parts) for parts in sides(split, names).values()) == 1


def test_by_track_artists_are_on_two_sides() -> None:
    artists = {track.track_id: track.artist_group or "" for track in GTZAN.tracks}
    assert len(sides(GTZAN.split("track"), artists)["bobmarley"]) == 3


def test_groups_join_artists_and_repetitions_by_chains() -> None:
    tracks = (
        Track("a", Path("a"), "x", "ann"),
        Track("b", Path("b"), "x", "bob"),
        Track("c", Path("c"), "y", "bob"),
        Track("d", Path("d"), "y"),
        Track("e", Path("e"), "y"),
    )
    dataset = Dataset("made", Path(), tracks, repetitions={"a": "one", "b": "one"})
    assert dataset.groups == {"a": "ann", "b": "ann", "c": "ann", "d": "d", "e": "e"}


def test_one_seed_gives_one_split_whatever_the_order_of_the_tracks() -> None:
    turned = Dataset("turned", Path(), GTZAN.tracks[::-1], repetitions=GTZAN.repetitions)
    for kind in ("track", "artist"):
        assert GTZAN.split(kind, 3).sha256 == turned.split(kind, 3).sha256
        assert GTZAN.split(kind, 3).sha256 != GTZAN.split(kind, 4).sha256


@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    seed=st.integers(0, 99),
)
@settings(max_examples=50)
def test_every_genre_is_in_every_part_and_close_to_its_share(sizes: list[int], seed: int) -> None:
    dataset = made({f"genre {index}": size for index, size in enumerate(sizes)})
    split = dataset.split("track", seed)
    assert len(split.assignment) == sum(sizes)
    for index, size in enumerate(sizes):
        ids = [i for i in split.assignment if i.startswith(f"genre {index}/")]
        counts = Counter(split.assignment[i] for i in ids)
        assert min(counts[part] for part in SHARES) >= 1
        assert all(abs(counts[part] - size * SHARES[part]) < 2 for part in SHARES), counts


def test_other_shares_and_two_parts_only() -> None:
    split = made({"a": 10, "b": 20}).split("track", shares={"train": 0.5, "test": 0.5})
    assert split.counts == {"train": 15, "validation": 0, "test": 15}
    with pytest.raises(DatasetError, match="above 0 and sum to 1"):
        made({"a": 10, "b": 20}).split("track", shares={"train": 0.5, "test": 0.6})
    with pytest.raises(DatasetError, match="above 0 and sum to 1"):
        made({"a": 10, "b": 20}).split("track", shares={"train": 1.0, "test": 0.0})


# Folds


@pytest.mark.parametrize("kind", ["track", "artist"])
def test_every_track_is_tested_in_one_fold(kind: str) -> None:
    folds = GTZAN.folds(kind, 10)
    tested = Counter(track_id for fold in folds for track_id in fold.test)
    assert tested == Counter(track.track_id for track in GTZAN.tracks)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= (0 if kind == "track" else 20)
    assert all(len(fold.train) + len(fold.test) == 1000 for fold in folds)
    assert folds[2].name == f"{kind} fold 3 of 10"


def test_folds_by_track_hold_ten_of_every_genre() -> None:
    for fold in GTZAN.folds("track", 10, seed=5):
        assert set(Counter(i.split(".")[0] for i in fold.test).values()) == {10}


def test_the_next_fold_can_validate() -> None:
    folds = made({"a": 12, "b": 9}).folds("track", 3, validation=True)
    for fold, following in zip(folds, folds[1:] + folds[:1], strict=True):
        assert set(fold.validation) == set(following.test)
        assert not set(fold.train) & (set(fold.test) | set(fold.validation))


def test_splits_are_what_scikit_learn_takes() -> None:
    dataset = made({"a": 12, "b": 9}, artists=4)
    for (train, test), fold in zip(
        dataset.splits("artist", 3), dataset.folds("artist", 3), strict=True
    ):
        assert {dataset.tracks[i].track_id for i in test} == set(fold.test)
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(21))


@pytest.mark.untraced
@given(
    groups=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=30, max_size=90),
    n_folds=st.integers(2, 5),
)
@settings(max_examples=50)
def test_folds_never_tear_a_group_apart(groups: list[tuple[int, int]], n_folds: int) -> None:
    genres = [f"genre {genre}" for _, genre in groups]
    names = [f"group {group}" for group, _ in groups]
    try:
        fold_of = stratify.folds(genres, names, n_folds)
    except DatasetError:
        return  # too few groups of a genre, or one that is too large
    assert set(fold_of) <= set(range(n_folds))
    for name in set(names):
        assert len({int(f) for f, its in zip(fold_of, names, strict=True) if its == name}) == 1


# What cannot be divided


@pytest.mark.parametrize(
    ("dataset", "kind", "message"),
    [
        (made({"a": 1, "b": 9}), "track", "genre 'a' has 1 track; train, validation, test need"),
        (made({"a": 2, "b": 9}), "track", "genre 'a' has 2 tracks"),
        (made({"a": 9, "b": 9}, artists=2), "artist", "genre 'a' has 2 artist groups"),
        (made({"a": 9, "b": 9}), "artist", "names no artists"),
        (made({"a": 9, "b": 9}), "artis", "unknown split 'artis'"),
        (made({"a": 9, "b": 9}), "segment", "use segment_split"),
        (made({"a": 9, "b": 9}), "fault-filtered", "unknown split 'fault-filtered'"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(dataset: Dataset, kind: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset.split(kind)


@pytest.mark.parametrize(
    ("dataset", "kind", "n_folds", "message"),
    [
        (made({"a": 1, "b": 9}), "track", 2, "genre 'a' has 1 track, which cannot be trained and"),
        (made({"a": 9, "b": 9}, artists=1), "artist", 2, "genre 'a' has 1 artist group"),
        (made({"a": 9, "b": 9}), "track", 1, "1 folds came; 2 to 18"),
        (made({"a": 9, "b": 9}), "track", 19, "19 folds came; 2 to 18"),
        (GTZAN, "fault-filtered", 5, "has no folds"),
    ],
)
def test_folds_that_cannot_be_made_say_why(
    dataset: Dataset, kind: str, n_folds: int, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset.folds(kind, n_folds)


def test_an_artist_larger_than_a_fold_is_named() -> None:
    tracks = [Track(f"a/{n}", Path("x"), "a", "ann" if n < 20 else f"a{n}") for n in range(30)]
    tracks += [Track(f"b/{n}", Path("x"), "b", f"b{n}") for n in range(30)]
    dataset = Dataset("made", Path(), tuple(tracks))
    with pytest.raises(DatasetError, match="group 'ann' holds 20 of 60 tracks, but the largest"):
        dataset.folds("artist", 5)
    assert len(dataset.folds("artist", 3)) == 3


def test_a_genre_of_few_artists_reaches_every_part_even_at_the_cost_of_the_shares() -> None:
    tracks = [Track(f"a/{n}", Path("x"), "a", f"ann {n % 3}") for n in range(9)]
    tracks += [Track(f"b/{n}", Path("x"), "b", f"ann {n % 3}") for n in range(9)]
    tracks += [Track(f"c/{n}", Path("x"), "c", "ann 0") for n in range(9)]
    tracks += [Track(f"c/{n}", Path("x"), "c", f"cid {n}") for n in (10, 11)]
    parts = Dataset("made", Path(), tuple(tracks)).split("artist").assignment
    assert {parts["a/0"], parts["a/1"], parts["a/2"]} == set(SHARES)


def test_artists_that_leave_a_part_without_a_genre_are_refused() -> None:
    # x and y differ, so z and w are both in the third part: v alone cannot fill the other two of c.
    members = {"a": "xyz", "b": "xyw", "c": "zwv"}
    pairs = [(genre, group) for genre, groups in members.items() for group in groups]
    genres, groups = zip(*pairs, strict=True)
    with pytest.raises(DatasetError, match=r"part would hold no '[abc]': its artist groups"):
        stratify.hold_out(genres, groups, SHARES)


# Published splits


def test_the_fault_filtered_split_of_the_whole_collection() -> None:
    split = GTZAN.split("fault-filtered")
    assert split.counts == {"train": 443, "validation": 197, "test": 290}
    groups = {track_id: group for track_id, group in GTZAN.groups.items()}
    assert max(len(parts) for parts in sides(split, groups).values()) == 1
    recordings = {i: GTZAN.repetitions.get(i, i) for i in split.assignment}
    assert len(set(recordings.values())) == 930


def test_a_subset_has_its_part_of_a_published_split() -> None:
    some = Dataset("some", Path(), GTZAN.tracks[::7], fixed=GTZAN.fixed)
    split = some.split("fault-filtered")
    assert set(split.assignment) <= {track.track_id for track in some.tracks}
    assert 0 < sum(split.counts.values()) < len(some.tracks)
    assert split.sha256 != GTZAN.split("fault-filtered").sha256
    assert [track.track_id for track in some.tracks_of(split, "test")] == sorted(split.test)


def test_tracks_that_a_published_split_does_not_know_are_refused() -> None:
    dataset = Dataset("made", Path(), made({"a": 3, "b": 3}).tracks, fixed=GTZAN.fixed)
    assert dataset.split_kinds == ("track",)
    with pytest.raises(DatasetError, match="none of the tracks"):
        dataset.split("fault-filtered")


# Segments


def test_the_segment_split_is_leaky_and_says_so() -> None:
    dataset = made({"a": 10, "b": 10})
    n_segments = {track.track_id: 10 for track in dataset.tracks}
    split = dataset.segment_split(n_segments)
    assert split.title == "segment (LEAKY)"
    assert split.counts == {"train": 140, "validation": 20, "test": 40}
    parts = Counter(key[0] for key in set(split.ids("train")) | set(split.ids("test")))
    both = {i for i, _ in split.ids("train")} & {i for i, _ in split.ids("test")}
    assert len(parts) == 20
    assert len(both) > 15
    assert dataset.segment_split(n_segments).sha256 == split.sha256
    assert dataset.segment_split(n_segments, seed=1).sha256 != split.sha256


def test_every_segment_is_tested_in_one_of_the_leaky_folds() -> None:
    dataset = made({"a": 4, "b": 4})
    folds = dataset.segment_folds({track.track_id: 3 for track in dataset.tracks}, 4)
    tested = Counter(key for fold in folds for key in fold.ids("test"))
    assert len(tested) == 24
    assert set(tested.values()) == {1}
    assert all("LEAKY" in fold.title for fold in folds)


def test_a_segment_split_refuses_other_parts() -> None:
    with pytest.raises(DatasetError, match="'dev' is no part of a split"):
        SegmentSplit("segment", {("a", 0): "dev"})
