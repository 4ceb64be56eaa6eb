"""Track, TrackPart and Problem, and the groups of tracks that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genrekit.errors import DatasetError


@dataclass(frozen=True)
class TrackPart:
    """One of ``n_parts`` equal parts of the recording called ``track_id``; index from 0."""

    track_id: str
    index: int
    n_parts: int

    def holds(self, seconds: float, duration_seconds: float) -> bool:
        """Return whether a moment of a recording of this duration lies in the part."""
        return int(seconds * self.n_parts // duration_seconds) == self.index

    def of(self, length: int) -> slice:
        """Return the part of a recording that has this many samples or frames."""
        start, end = (k * length // self.n_parts for k in (self.index, self.index + 1))
        return slice(start, end)


@dataclass(frozen=True)
class Track:
    """A recording and its genre. artist_group is None where the artist is not known.

    ``more_genres`` are others that it has as well: a logistic head learns them, and whatever else
    takes one genre a track takes the first. With a ``part`` it is that part of the recording only:
    what the leaky split trains on.
    """

    track_id: str
    path: Path
    genre: str
    artist_group: str | None = None
    part: TrackPart | None = None
    more_genres: tuple[str, ...] = ()

    @property
    def genres(self) -> tuple[str, ...]:
        """All its genres, ``genre`` first."""
        return (self.genre, *self.more_genres)

    @property
    def recording_id(self) -> str:
        """The track_id of the whole recording."""
        return self.part.track_id if self.part else self.track_id


@dataclass(frozen=True)
class Problem:
    """What is wrong with a part of a dataset, such as a file that was skipped."""

    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


def groups(tracks: Sequence[Track], repetitions: Mapping[str, str]) -> dict[str, str]:
    """Return track_id -> group that no split may divide: one artist, or one repeated recording.

    Tracks of one artist belong together, so do tracks that hold the same recording, and what is
    joined by a chain of both. A group is called after its first track's artist or track_id.

    Args:
        tracks: the tracks.
        repetitions: track_id -> name of the recording, for tracks known to hold the same one.
    """
    parents: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for track in tracks:
        own = root(("track", track.track_id))
        if track.artist_group:
            parents[root(("artist", track.artist_group))] = own
        if track.track_id in repetitions:
            parents[root(("recording", repetitions[track.track_id]))] = root(own)
    names: dict[tuple[str, str], str] = {}
    for track in tracks:
        own = root(("track", track.track_id))
        names.setdefault(own, track.artist_group or track.track_id)
    return {track.track_id: names[root(("track", track.track_id))] for track in tracks}


def check(path: Path, tracks: Sequence[Track], problems: Sequence[Problem]) -> None:
    """Check that tracks make a dataset.

    Args:
        path: the folder or manifest that was opened, for messages.
        tracks: the usable tracks.
        problems: why others are not.

    Raises:
        DatasetError: no track, one genre only, or two tracks of one track_id.
    """
    if not tracks:
        why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
        raise DatasetError(f"{path} holds no usable track{why}")
    _check_ids(tracks)
    genres = {genre for track in tracks for genre in track.genres}
    if len(genres) < 2:
        raise DatasetError(
            f"{path} holds one genre only ({genres.pop()!r}); a classifier takes at least "
            "two: give the folder above it, or add another genre"
        )


def _check_ids(tracks: Iterable[Track]) -> None:
    seen: dict[str, Track] = {}
    for track in tracks:
        other = seen.setdefault(track.track_id, track)
        if other is not track:
            raise DatasetError(
                f"two files are called {track.track_id!r}: {other.path} and {track.path}; a track "
                "is known by its name without the suffix: rename or remove one"
            )
