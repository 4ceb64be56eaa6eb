"""A published table of hand-crafted features: one row a track, or one row a segment of it.

The form is that of the tables published for GTZAN: ``filename,length``, 57 columns, ``label``, in
any order. Where every name ends in ``.K.EXT`` with a number K, the rows are segments: the names
without ``.K.EXT`` are the tracks. A table whose names are GTZAN's has GTZAN's artists, repetitions
and fault-filtered split.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.datasets import gtzan
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.manifest import ManifestRow, header, read_rows
from genrekit.datasets.tracks import Track
from genrekit.errors import DatasetError
from genrekit.features.handcrafted import COLUMNS
from genrekit.features.handcrafted.spectrum import SPEC

NAME = "feature-table"
NEEDED = ("filename", "length", "label", *COLUMNS)
SAMPLE_RATE = SPEC.sample_rate  # what ``length`` counts samples at

Floats = NDArray[np.float32]
_SEGMENT = re.compile(r"(?P<track>.+)\.(?P<segment>0|[1-9]\d*)\.[^.]+")
_GTZAN = re.compile(r"[a-z]+\.\d{5}")


@dataclass(frozen=True)
class FeatureTable(Dataset):
    """Tracks of which only features are here, no audio: every track's path is the table's.

    Attributes:
        rows: track_id -> the features of its segments, in the order of COLUMNS. Shape
            (n_segments, 57).
        segment_seconds: length of the audio that a row was computed from.
    """

    rows: Mapping[str, Floats] = field(default_factory=dict, compare=False, repr=False)
    segment_seconds: float = 30.0

    @property
    def has_audio(self) -> bool:
        """Always false."""
        return False

    @property
    def n_segments(self) -> dict[str, int]:
        """Number of rows of each track, by track_id: the leaky split divides rows."""
        return {track.track_id: len(self.rows[track.track_id]) for track in self.tracks}


def open_table(path: Path) -> FeatureTable | None:
    """Open a CSV file whose header names features; None for anything else.

    Raises:
        DatasetError: a missing column, no row, a cell that is no finite number, an unknown or empty
            genre, a name listed twice, a track with two genres, or one genre only.
        OSError: the file cannot be read.
    """
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return None
    if not set(COLUMNS) & set(header(path)):
        return None
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int, size: int) -> FeatureTable:
    """Read a table once for as long as the file stays as it is: folds open it again and again."""
    del changed_ns, size
    rows = read_rows(path, NEEDED)
    if not rows:
        raise DatasetError(f"{path} holds no row below its header; give a table with features")
    names = _names(path, rows)
    table = FeatureTable(
        name=path.stem,
        path=path,
        tracks=_tracks(path, rows, names),
        rows=_features(path, rows, names),
        segment_seconds=_segment_seconds(path, rows),
    )
    return _as_gtzan(table) if all(map(_GTZAN.fullmatch, table.rows)) else table


def _names(path: Path, rows: Sequence[ManifestRow]) -> list[tuple[str, int]]:
    """Return each row's track_id and segment."""
    lines: dict[str, int] = {}
    for row in rows:
        name = row.cells["filename"]
        other = lines.setdefault(name, row.line)
        if not name or other != row.line:
            why = f"lines {other} and {row.line} both hold {name!r}" if name else "a name is empty"
            raise DatasetError(f"{path}: {why}; each row needs a filename of its own")
    matches = [_SEGMENT.fullmatch(name) for name in lines]
    if all(matches):
        return [(match["track"], int(match["segment"])) for match in matches if match]
    return [(Path(name).stem, 0) for name in lines]


def _tracks(
    path: Path, rows: Sequence[ManifestRow], names: Sequence[tuple[str, int]]
) -> tuple[Track, ...]:
    genres: dict[str, str] = {}
    for row, (track_id, _) in zip(rows, names, strict=True):
        genre = row.cells.get("label", "")
        if not genre:
            raise DatasetError(f"{path}, line {row.line}: the label is empty; fill it in")
        other = genres.setdefault(track_id, genre)
        if other != genre:
            raise DatasetError(
                f"{path}, line {row.line}: {track_id!r} is {genre!r} here and {other!r} above; a "
                "track has one genre"
            )
    return tuple(Track(track_id, path, genre) for track_id, genre in genres.items())


def _features(
    path: Path, rows: Sequence[ManifestRow], names: Sequence[tuple[str, int]]
) -> dict[str, Floats]:
    found: dict[str, dict[int, list[float]]] = {}
    for row, (track_id, segment) in zip(rows, names, strict=True):
        found.setdefault(track_id, {})[segment] = [_number(path, row, name) for name in COLUMNS]
    return {
        track_id: np.array([by_segment[k] for k in sorted(by_segment)], np.float32)
        for track_id, by_segment in found.items()
    }


def _number(path: Path, row: ManifestRow, column: str) -> float:
    text = row.cells.get(column, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(
            f"{path}, line {row.line}: {column} is {text!r}; it must be a finite number: compute "
            "the row again or remove it"
        )
    return value


def _segment_seconds(path: Path, rows: Sequence[ManifestRow]) -> float:
    """Return the usual length of the audio behind a row, to a tenth of a second."""
    seconds = round(median(_number(path, row, "length") for row in rows) / SAMPLE_RATE, 1)
    if seconds <= 0:
        raise DatasetError(
            f"{path}: the lengths are about {seconds * SAMPLE_RATE:.0f}; they must be numbers of "
            f"samples at {SAMPLE_RATE} Hz"
        )
    return seconds


def _as_gtzan(table: FeatureTable) -> FeatureTable:
    """Add what is known of GTZAN's tracks; a label that is none of its genres raises."""
    known, tracks = labels.label_set(gtzan.NAME), []
    for track in table.tracks:
        try:
            tracks.append(replace(track, genre=known.canonical(track.genre)))
        except DatasetError as error:
            raise DatasetError(f"{table.path}, {track.track_id}: {error}") from error
    return gtzan.as_gtzan(replace(table, tracks=tuple(tracks)))


LAYOUT = Layout(
    name=NAME,
    description="57 hand-crafted features as published for GTZAN: filename,length,...,label",
    split_kinds=("segment (LEAKY)", "track", "artist", gtzan.FAULT_FILTERED),
    open=open_table,
)
