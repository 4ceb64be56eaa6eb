"""Dataset: tracks, their genres and the splits they can have; Layout: how it is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import stratify, tracks
from genrekit.datasets.split import Key, SegmentSplit, Split
from genrekit.datasets.tracks import Problem, Track, TrackPart
from genrekit.errors import DatasetError, unknown_name
from genrekit.labels import spelling

if TYPE_CHECKING:
    from genrekit.datasets.download import Archive

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
COMPUTED = ("track", "artist")
SEGMENT = "segment"
# Published systems that divide segments at random cut thirty seconds into ten.
N_PARTS = 10

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """A form in which a dataset is stored, or one particular dataset.

    A module of ``genrekit.datasets`` that defines one as ``LAYOUT`` is registered automatically.

    Attributes:
        name: what open_dataset and the command line call it.
        description: one line for ``genrekit datasets list``.
        split_kinds: the splits that it can have.
        open: opens a path, or returns None where the path has another form.
        rank: layouts are tried from the lowest rank to the highest: the most particular first.
        archives: what ``genrekit datasets get`` downloads; empty where there is nothing to get.
    """

    name: str
    description: str
    split_kinds: tuple[str, ...]
    open: Callable[[Path], Dataset | None]
    rank: int = 0
    archives: tuple[Archive, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Tracks with their genres, the splits they can have, and what is wrong with the rest.

    Attributes:
        name: the dataset's name, as a model's card gives it.
        path: the folder or manifest that was opened.
        tracks: the usable tracks, sorted by track_id.
        problems: what was skipped or ignored, and why.
        fixed: splits that others published for it, by kind.
        repetitions: track_id -> name of the recording, for tracks known to hold the same one.

    Raises:
        DatasetError: no track, one genre only, or two tracks of one track_id.
    """

    name: str
    path: Path
    tracks: tuple[Track, ...]
    problems: tuple[Problem, ...] = ()
    fixed: Mapping[str, Split] = field(default_factory=dict)
    repetitions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.tracks, key=lambda track: track.track_id))
        object.__setattr__(self, "tracks", ordered)
        tracks.check(self.path, ordered, self.problems)

    @property
    def labels(self) -> tuple[str, ...]:
        """The genres of the tracks, sorted."""
        return tuple(sorted({genre for track in self.tracks for genre in track.genres}))

    @property
    def counts(self) -> dict[str, int]:
        """Number of tracks of each genre, in the order of labels; some may have several."""
        genres = (genre for track in self.tracks for genre in track.genres)
        return dict(sorted(Counter(genres).items()))

    @property
    def by_id(self) -> dict[str, Track]:
        """The tracks by their track_id."""
        return {track.track_id: track for track in self.tracks}

    @property
    def has_audio(self) -> bool:
        """Whether a track's path is audio; a table of features has none."""
        return True

    @property
    def n_segments(self) -> dict[str, int]:
        """Number of parts that the leaky split cuts each track into, by track_id."""
        return dict.fromkeys(self.by_id, N_PARTS)

    @property
    def has_artists(self) -> bool:
        """Whether the artist of any track is known."""
        return any(track.artist_group for track in self.tracks)

    @property
    def split_kinds(self) -> tuple[str, ...]:
        """The kinds that split() can make of these tracks."""
        kinds = COMPUTED if self.has_artists else COMPUTED[:1]
        present = {track.track_id for track in self.tracks}
        return kinds + tuple(
            k for k, split in self.fixed.items() if present & set(split.assignment)
        )

    @cached_property
    def groups(self) -> dict[str, str]:
        """track_id -> group that no split may divide; see tracks.groups."""
        return tracks.groups(self.tracks, self.repetitions)

    def tracks_of(self, split: Split, part: str) -> list[Track]:
        """Return the tracks of one part of a split, in the order of the dataset.

        Raises:
            DatasetError: the part is none of train, validation and test.
        """
        requested = set(split.ids(part))
        return [track for track in self.tracks if track.track_id in requested]

    def only(self, genres: Sequence[str]) -> Dataset:
        """Return the dataset with the tracks of these genres; case and punctuation do not count.

        Raises:
            DatasetError: a genre that no track has, or fewer than two genres.
        """
        known = {spelling(label): label for label in self.labels}
        for genre in genres:
            if spelling(genre) not in known:
                raise DatasetError(unknown_name(f"genre of {self.path}", genre, self.labels))
        requested = {known[spelling(genre)] for genre in genres}
        kept = []
        for track in self.tracks:
            if its := [genre for genre in track.genres if genre in requested]:
                kept.append(replace(track, genre=its[0], more_genres=tuple(its[1:])))
        return replace(self, tracks=tuple(kept))

    def split(self, kind: str, seed: int = 0, shares: Mapping[str, float] | None = None) -> Split:
        """Return a split of the tracks.

        Args:
            kind: "track" (stratified by genre), "artist" (stratified, no artist and no known
                repetition on two sides) or the name of a published split in ``fixed``, which is
                restricted to the tracks that are here.
            seed: for the kinds that are computed.
            shares: name and share of each part, for the kinds that are computed; None means
                70 % train, 10 % validation, 20 % test.

        Raises:
            DatasetError: an unknown kind, a kind that these tracks cannot have, or tracks too few
                or artists too large to divide.
        """
        if kind in self.fixed:
            split = self.fixed[kind].restricted_to(self._ids())
            if not split.assignment:
                raise DatasetError(f"none of the tracks in {self.path} belongs to the {kind} split")
            return split
        groups = self._groups_for(kind)
        parts = stratify.hold_out(self._genres(), groups, shares or SHARES, seed)
        return Split(kind, dict(zip(self._ids(), parts, strict=True)))

    def folds(
        self, kind: str, n_folds: int, seed: int = 0, *, validation: bool = False
    ) -> list[Split]:
        """Return one split for each fold, the fold being its test part.

        Args:
            kind: "track" or "artist".
            n_folds: number of folds.
            seed: the same seed gives the same folds.
            validation: make the fold after the held-out one the validation part; otherwise all
                others train.

        Raises:
            DatasetError: as split does; or a kind that has no folds.
        """
        if kind in self.fixed:
            raise DatasetError(f"the {kind} split is one published split; it has no folds")
        fold_of = stratify.folds(self._genres(), self._groups_for(kind), n_folds, seed)
        named = _fold_parts(kind, self._ids(), fold_of, n_folds, validation)
        return [Split(name, parts) for name, parts in named]

    def splits(self, kind: str, n_folds: int, seed: int = 0) -> list[tuple[Indices, Indices]]:
        """Return (train, test) indices into tracks for each fold: the cv of scikit-learn.

        Raises:
            DatasetError: as folds does.
        """
        fold_of = stratify.folds(self._genres(), self._groups_for(kind), n_folds, seed)
        return [
            (np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold))
            for fold in range(n_folds)
        ]

    def segment_split(
        self,
        n_segments: Mapping[str, int],
        seed: int = 0,
        shares: Mapping[str, float] | None = None,
    ) -> SegmentSplit:
        """Return the leaky split: segments at random, whichever track they are of.

        Args:
            n_segments: number of segments of each track, by track_id.
            seed: the same seed gives the same split.
            shares: name and share of each part; None means 70 % train, 10 % validation, 20 % test.

        Raises:
            DatasetError: a genre has too few segments.
        """
        keys, genres = self._segments(n_segments)
        parts = stratify.hold_out(genres, None, shares or SHARES, seed)
        return SegmentSplit(SEGMENT, dict(zip(keys, parts, strict=True)))

    def segment_folds(
        self, n_segments: Mapping[str, int], n_folds: int, seed: int = 0
    ) -> list[SegmentSplit]:
        """Return the leaky folds over segments, each fold being the test part of one split.

        Args:
            n_segments: number of segments of each track, by track_id.
            n_folds: number of folds.
            seed: the same seed gives the same folds.

        Raises:
            DatasetError: a genre has too few segments.
        """
        keys, genres = self._segments(n_segments)
        fold_of = stratify.folds(genres, None, n_folds, seed)
        named = _fold_parts(SEGMENT, keys, fold_of, n_folds)
        return [SegmentSplit(name, parts) for name, parts in named]

    def parts_as_tracks(self, split: SegmentSplit) -> tuple[Dataset, Split]:
        """Return the parts of tracks that a leaky split divides as a dataset, and their split.

        Args:
            split: gives every track's number of parts, and what each belongs to.

        Returns:
            A dataset in which the parts of one track are repetitions of one recording, so that
            whatever keeps groups together keeps them together; and a split whose name has LEAKY.
        """
        n_parts = Counter(track_id for track_id, _ in split.assignment)
        whole = self.by_id
        found, repetitions, assignment = [], {}, {}
        for (track_id, index), name in split.assignment.items():
            part = TrackPart(track_id, index, n_parts[track_id])
            found.append(replace(whole[track_id], track_id=f"{track_id}#{index}", part=part))
            repetitions[found[-1].track_id] = self.repetitions.get(track_id, track_id)
            assignment[found[-1].track_id] = name
        cut = replace(self, tracks=tuple(found), fixed={}, repetitions=repetitions)
        return cut, Split(split.title, assignment)

    def without(self, reasons: Mapping[str, str]) -> Dataset:
        """Return the dataset without some tracks, which its problems then name.

        Args:
            reasons: track_id -> why it is left out. Tracks that are not here do not count.

        Raises:
            DatasetError: none of the tracks is here, or what is left is no dataset.
        """
        left = [track.track_id for track in self.tracks if track.track_id in reasons]
        if not left:
            raise DatasetError(
                f"none of the {len(reasons)} tracks to leave out is in {self.path}; is the list "
                "that of another dataset?"
            )
        problems = (Problem(track_id, f"left out, {reasons[track_id]}") for track_id in left)
        return replace(
            self,
            tracks=tuple(track for track in self.tracks if track.track_id not in reasons),
            problems=(*self.problems, *problems),
        )

    def _ids(self) -> list[str]:
        return [track.track_id for track in self.tracks]

    def _genres(self) -> list[str]:
        return [track.genre for track in self.tracks]

    def _segments(self, n_segments: Mapping[str, int]) -> tuple[list[tuple[str, int]], list[str]]:
        counted = [(track, range(n_segments.get(track.track_id, 0))) for track in self.tracks]
        keys = [(track.track_id, index) for track, indices in counted for index in indices]
        return keys, [track.genre for track, indices in counted for _ in indices]

    def _groups_for(self, kind: str) -> list[str] | None:
        if kind == SEGMENT:
            raise DatasetError(
                "the segment split divides segments, not tracks: use segment_split or segment_folds"
            )
        if kind not in COMPUTED:
            raise DatasetError(unknown_name("split", kind, (*self.split_kinds, SEGMENT)))
        if kind == "track":
            return None
        if not self.has_artists:
            raise DatasetError(
                f"{self.path} names no artists, so no split by artist can be made; add a column "
                "`artist` to a manifest, or split by track"
            )
        return list(self.groups.values())


def _fold_parts(
    kind: str, keys: Sequence[Key], fold_of: Indices, n_folds: int, validation: bool = False
) -> Iterator[tuple[str, dict[Key, str]]]:
    """Yield the name of each fold's split and the part of each key; the fold is the test part."""
    for fold in range(n_folds):
        following = (fold + 1) % n_folds if validation and n_folds > 2 else -1
        names = {fold: "test", following: "validation"}
        parts = [names.get(int(its), "train") for its in fold_of]
        yield f"{kind} fold {fold + 1} of {n_folds}", dict(zip(keys, parts, strict=True))
