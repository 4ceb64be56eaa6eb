"""FMA: folders NNN/NNNNNN.mp3, and the genres in another archive's tracks.csv.

Source: M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson (2017), FMA: A dataset for music
analysis, ISMIR, arXiv:1612.01840.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from genrekit import labels
from genrekit.datasets import manifest
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.download import Archive
from genrekit.datasets.readability import shallow_files, unreadable
from genrekit.datasets.split import Split
from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import DatasetError
from genrekit.files import AUDIO_SUFFIXES

NAME = "fma-small"
MAX_DEPTH = 3
# Clips of fma_small that hold no audio (the FMA authors' list of clips shorter than 30 s).
NO_AUDIO = frozenset({"099134", "108925", "133297"})
SUBSETS = ("small", "medium", "large")  # each holds the ones before it
METADATA = ("fma_metadata/tracks.csv", "tracks.csv")
# Plain tables with the same facts, as a copy of a part of FMA may carry them.
TABLES = ("manifest.csv", "fma_small_labels.csv")

_FOLDER = re.compile(r"\d{3}")
_FILE = re.compile(r"(\d{6})\.[^.]+")
_HOME = "https://os.unil.cloud.switch.ch/fma"


@dataclass(frozen=True)
class Facts:
    """What a table gives for one track."""

    genre: str
    artist: str | None = None
    part: str | None = None
    subset: str = ""


def open_fma(path: Path) -> Dataset | None:
    """Open a folder that holds FMA's NNN/NNNNNN files; None where it holds none.

    Genres, artists and the official split come from ``tracks.csv`` of fma_metadata.zip, looked for
    in the folder, in its ``fma_metadata`` and beside it; or from a plain CSV file with the columns
    track_id and genre_top. Tracks without a top genre are left out and counted.

    Raises:
        DatasetError: no table of genres, a table of another form, or no track with a genre.
        OSError: the table cannot be read.
    """
    if not path.is_dir():
        return None
    found = list(_named_files(path))
    if not found:
        return None
    facts = _facts(path, found[0].parent.parent)
    tracks, problems, n_without = [], [], 0
    for file in found:
        track_id = file.name[:6]
        its = facts.get(track_id)
        reason = unreadable(file) if track_id in NO_AUDIO else None
        if reason:
            problems.append(Problem(str(file), f"skipped, a clip known to hold no audio: {reason}"))
        elif its is None:
            n_without += 1
        else:
            tracks.append(Track(track_id, file, its.genre, its.artist))
    if n_without:
        problems.append(Problem(str(path), f"{n_without} tracks have no top genre: left out"))
    parts = {k: its.part for k, its in facts.items() if its.part}
    fixed = {manifest.OFFICIAL: Split(manifest.OFFICIAL, parts)} if parts else {}
    name = _name({facts[track.track_id].subset for track in tracks})
    return Dataset(name, path, tuple(tracks), tuple(problems), fixed)


def read_tracks_csv(path: Path) -> dict[str, Facts]:
    """Read tracks.csv of fma_metadata.zip: three header rows, then one row for each track.

    The first two rows name the columns together, such as ("track", "genre_top").

    Returns:
        Six-digit track_id -> genre, artist's id and official part; tracks without a top genre are
        left out.

    Raises:
        DatasetError: the file has another form.
        OSError: the file cannot be read.
    """
    rows = manifest.read_cells(path)
    names = list(zip(rows[0][1], rows[1][1], strict=False)) if len(rows) > 2 else []
    needed = [("track", "genre_top"), ("artist", "id"), ("set", "split"), ("set", "subset")]
    missing = [".".join(name) for name in needed if name not in names]
    if missing:
        raise DatasetError(
            f"{path} lacks {', '.join(missing)} in its first two rows: it is not the tracks.csv of "
            "fma_metadata.zip; get it with `genrekit datasets get fma-small`"
        )
    columns = [names.index(name) for name in needed]
    facts = {}
    for line, cells in rows[2:]:
        if not cells[0].isdigit():
            continue  # the third header row: "track_id"
        if len(cells) <= max(columns):
            raise DatasetError(f"{path}, line {line}: {len(cells)} cells; the file is cut off")
        genre, artist, word, subset = (cells[column].strip() for column in columns)
        if genre:
            group = f"fma artist {artist}" if artist else None
            part = manifest.part_of(word, f"{path}, line {line}")
            facts[f"{int(cells[0]):06d}"] = Facts(genre, group, part, subset)
    return facts


def _name(subsets: set[str]) -> str:
    """fma-small, fma-medium or fma-large: the smallest that holds them all; fma if unknown."""
    known = [subset for subset in SUBSETS if subset in subsets]
    return f"fma-{known[-1]}" if known else "fma"


def _read_table(path: Path) -> dict[str, Facts]:
    """A plain table: track_id, genre_top and, where it has them, artist and split."""
    facts = {}
    for row in manifest.read_rows(path, ("track_id", "genre_top")):
        track_id, genre = row.cells["track_id"], row.cells.get("genre_top")
        if not track_id.isdigit():
            where = f"{path}, line {row.line}"
            raise DatasetError(f"{where}: {track_id!r} is no number of an FMA track")
        if genre:
            part = manifest.part_of(row.cells.get("split", ""), f"{path}, line {row.line}")
            artist = labels.artist_group(row.cells.get("artist", ""))
            facts[f"{int(track_id):06d}"] = Facts(genre, artist, part)
    return facts


def _facts(path: Path, audio_folder: Path) -> dict[str, Facts]:
    folders = dict.fromkeys((path, audio_folder, audio_folder.parent))
    for read, names in ((read_tracks_csv, METADATA), (_read_table, TABLES)):
        for table in (folder / name for folder in folders for name in names):
            if table.is_file():
                return read(table)
    raise DatasetError(
        f"{path} holds FMA's audio, but not its genres: put tracks.csv of fma_metadata.zip at "
        f"{audio_folder.parent / METADATA[0]}, or a CSV file with the columns track_id,genre_top "
        f"at {path / TABLES[0]}"
    )


def _named_files(path: Path) -> Iterator[Path]:
    for file in shallow_files(path, MAX_DEPTH):
        folder, match = file.parent.name, _FILE.fullmatch(file.name)
        is_named = match and _FOLDER.fullmatch(folder) and match[1].startswith(folder)
        if is_named and file.suffix.lower() in AUDIO_SUFFIXES:
            yield file


LAYOUT = Layout(
    name=NAME,
    description="FMA-small: 8000 clips of 30 s, 8 genres (Defferrard et al. 2017)",
    split_kinds=("segment (LEAKY)", "track", "artist", manifest.OFFICIAL),
    open=open_fma,
    archives=(
        Archive(
            url=f"{_HOME}/fma_metadata.zip",
            checksum="sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
            provides="fma_metadata",
            max_bytes=4_000_000_000,
        ),
        Archive(
            url=f"{_HOME}/fma_small.zip",
            checksum="sha1:ade154f733639d52e35e32f5593efe5be76c6d70",
            provides="fma_small",
            max_bytes=16_000_000_000,
        ),
    ),
)
