"""Any music listed in a CSV file: ``path,genre[,artist][,split][,track_id][,more_genres]``."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genrekit import labels
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.split import Split
from genrekit.datasets.tracks import Problem, Track
from genrekit.errors import DatasetError

FILE_NAME = "manifest.csv"
OFFICIAL = "official"
COLUMNS = ("path", "genre")
# The words that datasets use for the three parts.
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class ManifestRow:
    """One row of a table with the number of its line."""

    line: int
    cells: Mapping[str, str]


def open_manifest(path: Path) -> Dataset | None:
    """Open a CSV file, or a folder that holds one called manifest.csv with these columns.

    Paths are relative to the CSV file. ``artist`` makes the artist split possible (an empty cell is
    an unknown artist), ``split`` the official one (an empty cell leaves the track out of it).
    ``more_genres`` holds further genres of a track, with semicolons between them. A file that is
    not there is skipped and named.

    Raises:
        DatasetError: no CSV, a missing column, an empty path or genre, an unknown word for a part,
            a path listed twice, one genre only, or no file that is there.
        OSError: the file cannot be read.
    """
    if path.is_dir():
        table = path / FILE_NAME
        if not table.is_file() or not set(COLUMNS) <= set(header(table)):
            return None
    elif path.suffix.lower() in (".csv", ".tsv"):
        table = path
    else:
        return None
    rows = read_rows(table, COLUMNS)
    tracks, problems = _tracks(table, rows)
    name = table.parent.resolve().name if path.is_dir() else table.stem
    return Dataset(name, path, tuple(tracks), tuple(problems), _official(table, rows))


def part_of(word: str, where: str) -> str | None:
    """Return train, validation or test for a dataset's word; None for an empty one.

    Raises:
        DatasetError: another word; ``where`` names its file and line.
    """
    known = PARTS.get(word.strip().lower())
    if known is None and word.strip():
        raise DatasetError(
            f"{where}: unknown split {word!r}; use train, validation, test or nothing"
        )
    return known


def header(path: Path) -> list[str]:
    """Return the column names of a CSV file, stripped; none for an empty file.

    Raises:
        DatasetError: the file is not CSV in UTF-8.
        OSError: the file cannot be read.
    """
    rows = read_cells(path, 1)
    return [cell.strip() for cell in rows[0][1]] if rows else []


def read_rows(path: Path, needed: Sequence[str]) -> list[ManifestRow]:
    """Read a CSV file with a header; cells and column names are stripped, empty lines skipped.

    Raises:
        DatasetError: not CSV in UTF-8, or a column of ``needed`` is missing.
        OSError: the file cannot be read.
    """
    names = header(path)
    missing = [name for name in needed if name not in names]
    if missing:
        raise DatasetError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; its first "
            f"line must name them, separated by commas; found: {', '.join(names[:8]) or 'nothing'}"
        )
    return [
        ManifestRow(line, {name: cell.strip() for name, cell in zip(names, cells, strict=False)})
        for line, cells in read_cells(path)[1:]
    ]


def read_cells(path: Path, n_rows: int | None = None) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of the first rows of a CSV file that are not empty.

    Raises:
        DatasetError: the file is not CSV in UTF-8.
        OSError: the file cannot be read.
    """
    # FMA's biographies are longer than the 128 KiB that the csv module allows at first.
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 24))
    found: list[tuple[int, list[str]]] = []
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for cells in reader:
                if len(found) == n_rows:
                    break
                if any(cell.strip() for cell in cells):
                    found.append((reader.line_num, cells))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is no CSV file in UTF-8: {error}; export it again") from error
    return found


def _tracks(table: Path, rows: Iterable[ManifestRow]) -> tuple[list[Track], list[Problem]]:
    lines: dict[str, int] = {}
    tracks, problems = [], []
    for row in rows:
        for column in COLUMNS:
            if not row.cells.get(column):
                raise DatasetError(f"{table}, line {row.line}: the {column} is empty; fill it in")
        file = _file(table, row)
        other = lines.setdefault(os.path.normcase(file), row.line)
        if other != row.line:
            raise DatasetError(
                f"{table}: lines {other} and {row.line} both list {row.cells['path']}"
            )
        if file.is_file():
            group = labels.artist_group(row.cells.get("artist", ""))
            genre, *more = _genres(row)
            tracks.append(Track(_track_id(row), file, genre, group, more_genres=tuple(more)))
        else:
            problems.append(Problem(str(file), f"skipped, line {row.line}: no such file"))
    return tracks, problems


def _genres(row: ManifestRow) -> list[str]:
    """Return a track's genres, each once; only the further ones have semicolons between them."""
    names = [row.cells["genre"], *row.cells.get("more_genres", "").split(";")]
    return list(dict.fromkeys(labels.composed(name.strip()) for name in names if name.strip()))


def _file(table: Path, row: ManifestRow) -> Path:
    """Return where a row's file lies, whichever form of Unicode its name has on the disk."""
    named = os.path.normpath(table.parent / row.cells["path"])
    forms = (named, *(unicodedata.normalize(form, named) for form in ("NFC", "NFD")))
    return Path(next((form for form in forms if os.path.exists(form)), named))  # noqa: PTH110


def _track_id(row: ManifestRow) -> str:
    listed = row.cells.get("track_id")
    name = listed or Path(os.path.normpath(row.cells["path"])).with_suffix("").as_posix()
    return "".join(" " if c in "\t\n\r" else c for c in labels.composed(name))


def _official(table: Path, rows: Iterable[ManifestRow]) -> dict[str, Split]:
    assignment = {}
    for row in rows:
        part = part_of(row.cells.get("split", ""), f"{table}, line {row.line}")
        if part:
            assignment[_track_id(row)] = part
    return {OFFICIAL: Split(OFFICIAL, assignment)} if assignment else {}


LAYOUT = Layout(
    name="manifest",
    description=(
        "your own music: a CSV file with path,genre[,artist][,split][,track_id][,more_genres]"
    ),
    split_kinds=("segment (LEAKY)", "track", "artist", OFFICIAL),
    open=open_manifest,
    rank=1,
)
