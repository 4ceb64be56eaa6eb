"""A library's own tags as labels to train on: a manifest for the datasets layer.

A file whose tags name several genres has all of them. A model looks better than it is when measured
on artists or albums that it was trained on. So files that share an artist, an album or their audio
get one artist name in the manifest, and folds keep them together.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from genrekit import labels
from genrekit.errors import AudioError, DatasetError, TagError
from genrekit.library import database
from genrekit.library.walk import walk
from genrekit.tables import csv_file
from genrekit.tags import spelling
from genrekit.tags.formats.contents import TagContents

MIN_PER_GENRE = 10


@dataclass(frozen=True)
class Tagged:
    """A file with its genres, in the order of its tags, its audio's digest, and its tags."""

    path: Path
    genres: tuple[str, ...]
    digest: str
    tags: TagContents


@dataclass(frozen=True)
class Labelled:
    """The tracks of a folder, by genre, and those left out.

    Attributes:
        n_tracks: tracks written, by genre; a track of two genres counts for both.
        left_out: the number of files not written, by reason.
        n_files: the number of tracks written.
        n_several: the number of those with several genres.
    """

    n_tracks: dict[str, int]
    left_out: dict[str, int]
    n_files: int
    n_several: int


def write_manifest(
    folder: Path,
    target: Path,
    mapping: Path | None = None,
    *,
    min_per_genre: int = MIN_PER_GENRE,
    advance: Callable[[], None] = lambda: None,
) -> Labelled:
    """Write a manifest of the files in a folder whose tags name genres.

    A file's genres count if they are known and frequent enough, but never placeholders; a file
    without any is left out. Of several files with the same audio only the first counts.

    Args:
        folder: where the music is.
        target: the CSV file to write: path, genre, artist (the group that folds keep together),
            split (all "train"), track_id (of the audio), more_genres.
        mapping: a label set (``name`` and a table ``aliases``) of the genres and their spellings
            in tags; other tags do not count. None uses every tag, with genrekit's aliases ("Rap"
            is "hiphop").
        min_per_genre: a genre with fewer tracks does not count.
        advance: called for each file.

    Raises:
        DatasetError: fewer than two genres are left; the mapping is not a label set.
        LibraryError: there is no such folder.
        OSError: the mapping cannot be read, or the manifest cannot be written.
    """
    name = _namer(mapping)
    left_out: Counter[str] = Counter()
    tagged: dict[str, Tagged] = {}
    for path in _files(folder, left_out):
        advance()
        found = _read(path, name)
        if isinstance(found, str):
            left_out[found] += 1
        elif found.digest in tagged:
            left_out["the same audio as another file"] += 1
        else:
            tagged[found.digest] = found
    counts = Counter(genre for track in tagged.values() for genre in track.genres)
    kept = {genre: n for genre, n in counts.most_common() if n >= min_per_genre}
    tracks = [its for track in tagged.values() if (its := _only(track, kept)).genres]
    left_out["of a genre with too few tracks"] = len(tagged) - len(tracks)
    if len(kept) < 2:
        raise DatasetError(
            f"{folder}: {len(kept)} genres have {min_per_genre} or more tracks, and training needs "
            f"two; found {_listed(counts) or 'no tag'}; left out: {_listed(left_out) or 'nothing'}"
        )
    _write(target, tracks)
    reasons = {reason: n for reason, n in left_out.items() if n}
    return Labelled(kept, reasons, len(tracks), sum(len(track.genres) > 1 for track in tracks))


def _only(track: Tagged, kept: Collection[str]) -> Tagged:
    return replace(track, genres=tuple(genre for genre in track.genres if genre in kept))


def _files(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Yield the files of a folder whose names fit into a CSV file."""

    def on_problem(path: bytes, reason: str) -> None:
        del path
        left_out[reason] += 1

    for file in walk(database.encode_path(folder), on_problem):
        path = database.decode_path(file.path)
        text = os.fspath(path)
        if text.isprintable() and text == text.strip():
            yield path
        else:
            left_out["a name that a manifest cannot hold"] += 1


def _namer(mapping: Path | None) -> Callable[[str], str | None]:
    """Return a function that maps a tag to a genre, or to None to leave it out."""
    if mapping is None:
        every = [label for name in labels.names() for label in labels.label_set(name).labels]
        known = spelling.spellings(every)
        return lambda tag: known.get(labels.spelling(tag), tag.strip().casefold())
    label_set = labels.read(mapping)
    return lambda tag: label_set.canonical(tag) if tag in label_set else None


def _read(path: Path, name: Callable[[str], str | None]) -> Tagged | str:
    """Return a file with its genres, or the reason why it cannot be used."""
    from genrekit.audio import packets
    from genrekit.tags import formats

    try:
        tags = formats.read(path)
        named = map(name, spelling.without_placeholders(tags.genres))
        genres = tuple(dict.fromkeys(genre for genre in named if genre))
        return Tagged(path, genres, packets.digest(path), tags) if genres else "no genre"
    except TagError:
        return "no tags that can be read"
    except AudioError:
        return "no audio that can be read"


def _write(target: Path, tracks: list[Tagged]) -> None:
    group_of = groups(
        {
            track.digest: ties_of(
                track.path, track.tags.artist, track.tags.album_artist, track.tags.album
            )
            for track in tracks
        }
    )
    with csv_file(target, errors="strict") as write_row:
        write_row(["path", "genre", "artist", "split", "track_id", "more_genres"])
        for track in tracks:
            genre, *more = track.genres
            group = group_of[track.digest]
            cells = [track.path, genre, group, "train", track.digest[:16], "; ".join(more)]
            write_row(cells)


def groups(ties: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the group of each recording that folds keep together.

    Args:
        ties: each recording's ties to others, as returned by ``ties_of``. Recordings connected by
            a chain of ties are one group.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for recording, keys in ties.items():
        for key in keys:
            parent[root(key)] = root(recording)
    roots = {recording: root(recording) for recording in ties}
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots.values()), 1)}
    return {recording: f"group {numbers[key]}" for recording, key in roots.items()}


def ties_of(
    path: Path, artist: str | None, album_artist: str | None, album: str | None
) -> Iterator[str]:
    """Yield a file's ties to others: its artists, and its album within its folder."""
    for name in (artist, album_artist):
        if name and (group := labels.artist_group(name)):
            yield f"artist {group}"
    if album:
        yield f"album {album.casefold()} in {path.parent}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.most_common(12) if n)
