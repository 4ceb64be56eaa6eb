"""GTZAN, in whatever form it lies on the disk: 10 genres, 100 clips of 30 seconds each.

Known are the original ``genres/GENRE/GENRE.NNNNN.au``, the Kaggle tree
``Data/genres_original/GENRE/GENRE.NNNNN.wav``, any other folder with GENRE/GENRE.NNNNN in any audio
format, one flat folder of such files, and any subset of them, from the folder itself or one above.

Source: G. Tzanetakis and P. Cook (2002), Musical genre classification of audio signals, IEEE
Transactions on Speech and Audio Processing 10(5). The artists, the fault-filtered split and the
repetitions are in ``splits/gtzan_*.tsv``, each with its source.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from genrekit import labels
from genrekit.datasets.dataset import Dataset, Layout
from genrekit.datasets.download import Archive
from genrekit.datasets.readability import shallow_files, unreadable
from genrekit.datasets.split import Split, read_pairs
from genrekit.datasets.tracks import Problem, Track
from genrekit.files import AUDIO_SUFFIXES, audio_files

NAME = "gtzan"
FAULT_FILTERED = "fault-filtered"
KNOWN_BAD = {"jazz.00054": "its copy in the widely used Kaggle archive is corrupt"}
MAX_DEPTH = 4

Found = TypeVar("Found", bound=Dataset)
_SPLITS = Path(__file__).parent / "splits"
_FILE = re.compile(r"(?P<genre>[a-z]+)\.(?P<number>\d{5})\.[^.]+", re.IGNORECASE)


def open_gtzan(path: Path) -> Dataset | None:
    """Open a folder that holds GTZAN or a part of it; None where it holds no file named so.

    Where several copies lie below the folder, the largest tree of genre folders is taken and the
    others are named among the problems. Other music in the folder's own genre folders makes it a
    plain folder of genres, and so None; elsewhere it is named among the problems.

    Raises:
        DatasetError: two copies of one size, one genre only, or two files of one track.
    """
    if not path.is_dir():
        return None
    copies = _copies(path)
    if not copies:
        return None
    chosen, *others = sorted(copies, key=lambda folder: _preference(folder, copies[folder]))
    problems = [
        Problem(str(folder), f"{len(copies[folder])} GTZAN files not used: {chosen} is taken")
        for folder in others
    ]
    foreign = _foreign(path, copies)
    if chosen == path and any(file.parent != path for file in foreign):
        return None
    if foreign:
        n_more = len(foreign) - 1
        left_out = f"left out, with {n_more} more: not named as GTZAN's files are"
        problems.append(Problem(str(foreign[0]), left_out))
    tracks = []
    for file in copies[chosen]:
        track_id = _track_id(file)
        reason = unreadable(file) if track_id in KNOWN_BAD else None
        if reason:
            problems.append(Problem(str(file), f"skipped, {KNOWN_BAD[track_id]}: {reason}"))
        else:
            tracks.append(Track(track_id, file, track_id.split(".")[0]))
    return as_gtzan(Dataset(NAME, path, tuple(tracks), tuple(problems)))


def as_gtzan(dataset: Found) -> Found:
    """Return a dataset whose tracks have GTZAN's ids with what is known of them."""
    artists = artist_groups()
    return replace(
        dataset,
        tracks=tuple(replace(t, artist_group=artists.get(t.track_id)) for t in dataset.tracks),
        fixed={FAULT_FILTERED: fault_filtered()},
        repetitions=repetitions(),
    )


def artist_groups() -> dict[str, str]:
    """Return the artist of each track of GTZAN whose artist is known.

    Source: Sturm (2012), An analysis of the GTZAN music genre dataset.
    """
    pairs = read_pairs(_SPLITS / "gtzan_artists.tsv", "track_id\tartist_group")
    return {track_id: group for _, (track_id, group) in pairs if group}


def fault_filtered() -> Split:
    """Return the fault-filtered split of the whole collection: 443, 197 and 290 tracks.

    Source: Kereliuk, Sturm & Larsen (2015), Deep learning and music adversaries.
    """
    return Split.load(_SPLITS / "gtzan_fault_filtered.tsv", FAULT_FILTERED)


def repetitions() -> dict[str, str]:
    """Return the recording of each track that GTZAN holds more than once.

    Source: Sturm (2013), The GTZAN dataset, arXiv:1306.1461.
    """
    pairs = read_pairs(_SPLITS / "gtzan_repetitions.tsv", "track_id\trecording")
    return {track_id: recording for _, (track_id, recording) in pairs}


def _copies(path: Path) -> dict[Path, list[Path]]:
    """GTZAN's files by the folder that holds the genre folders, or by their own if it is flat."""
    copies: dict[Path, list[Path]] = defaultdict(list)
    for file in _named_files(path):
        copies[file.parent.parent if _in_genre_folder(file) else file.parent].append(file)
    return dict(copies)


def _foreign(path: Path, copies: dict[Path, list[Path]]) -> list[Path]:
    """Return the audio below a folder that is not named as GTZAN's is."""
    named = {file for files in copies.values() for file in files}
    return [file for file in audio_files(path) if file not in named]


def _named_files(path: Path) -> Iterator[Path]:
    genres = labels.label_set(NAME)
    for file in shallow_files(path, MAX_DEPTH):
        match = _FILE.fullmatch(file.name)
        if match and match["genre"] in genres and file.suffix.lower() in AUDIO_SUFFIXES:
            yield file


def _in_genre_folder(file: Path) -> bool:
    genres = labels.label_set(NAME)
    folder = file.parent.name
    return folder in genres and genres.canonical(folder) == _track_id(file).split(".")[0]


def _track_id(file: Path) -> str:
    genre, number, _ = file.name.split(".")
    return f"{labels.label_set(NAME).canonical(genre)}.{number}"


def _preference(folder: Path, files: list[Path]) -> tuple[bool, int, str]:
    """Order of the copies: trees of genre folders before flat ones, then the larger ones."""
    return files[0].parent == folder, -len(files), str(folder)


LAYOUT = Layout(
    name=NAME,
    description="GTZAN: 1000 clips of 30 s, 10 genres (Tzanetakis & Cook 2002)",
    split_kinds=("segment (LEAKY)", "track", "artist", FAULT_FILTERED),
    open=open_gtzan,
    # The original site has been off line since 2022. The MD5 is the one that torchaudio and mirdata
    # check the original archive against.
    archives=(
        Archive(
            url="https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz",
            checksum="md5:5b3d6dddb579ab49814ab86dba69e7c7",
            provides="genres",
            max_bytes=2_000_000_000,
        ),
    ),
)
