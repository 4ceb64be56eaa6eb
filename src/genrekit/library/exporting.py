"""A library as a table (CSV, JSON lines, Parquet), playlists, or a rekordbox collection."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from genrekit.batch import parts
from genrekit.files import write_beside
from genrekit.library import rekordbox
from genrekit.library.query import LibraryEntry
from genrekit.tables import csv_file

# Characters that Windows refuses in names, and its device names.
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}
Written = tuple[int, list[Path]]
_PLAIN = ("path", "label", "probability", "agreed_label", "disagrees", "genres", "artist")
COLUMNS = (*_PLAIN, "album_artist", "album", "title", "duration_seconds")


def write(
    kind: str, entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path
) -> Written:
    """Write a library; an existing export is kept until the new one is complete.

    Args:
        kind: one of FORMATS. "m3u" writes one playlist per genre into the folder target,
            "playlist" one of all files.
        entries: the files, which were analysed.
        labels: the model's labels: a column each in CSV and Parquet.
        target: the file or, for "m3u", the folder.

    Returns:
        How many files were written, and which were left out: a playlist cannot hold a name with a
        line break.

    Raises:
        BatchError: pyarrow is not installed.
        OSError: target cannot be written.
    """
    return FORMATS[kind](entries, labels, target)


def row(entry: LibraryEntry, labels: Sequence[str]) -> dict[str, Any]:
    """Return one row of a table: COLUMNS, then a probability for each label."""
    fields = entry.to_dict()
    agreement = fields["agreement"] or {}
    fields |= {
        "agreed_label": agreement.get("label"),
        "disagrees": agreement.get("disagrees"),
        "genres": "; ".join(entry.genres),
    }
    probabilities = entry.probabilities or {}
    return {name: fields[name] for name in COLUMNS} | {k: probabilities.get(k) for k in labels}


def _write_csv(entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path) -> Written:
    n_written = 0
    with csv_file(target) as write_row:
        write_row([*COLUMNS, *labels])
        for entry in entries:
            write_row(row(entry, labels).values())
            n_written += 1
    return n_written, []


def _write_json_lines(
    entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path
) -> Written:
    del labels
    n_written = 0
    with write_beside(target) as stream:
        for entry in entries:
            stream.write(json.dumps(entry.to_dict()).encode() + b"\n")
            n_written += 1
    return n_written, []


def _write_parquet(entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path) -> Written:
    parts.check_parquet()
    rows = [row(entry, labels) for entry in entries]
    kinds = {"disagrees": "bool", "probability": "double", "duration_seconds": "double"}
    columns = {name: kinds.get(name, "string") for name in COLUMNS}
    with write_beside(target) as stream:
        stream.write(parts.parquet_table(rows, columns | dict.fromkeys(labels, "double")))
    return len(rows), []


def _write_rekordbox(
    entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path
) -> Written:
    del labels
    return rekordbox.write(entries, target), []


def _write_playlists(
    entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path
) -> Written:
    del labels
    lists: dict[str, list[LibraryEntry]] = {}
    left_out = []
    for entry in entries:
        if _is_one_line(entry.path):
            lists.setdefault(entry.label or "no genre", []).append(entry)
        else:
            left_out.append(entry.path)
    n_written = 0
    for name, label in _playlist_names(lists).items():
        n_written += _write_playlist(lists[label], (), target / f"{name}.m3u8")[0]
    return n_written, left_out


def _is_one_line(path: Path) -> bool:
    return not {b"\n"[0], b"\r"[0]} & set(os.fsencode(path))


def _write_playlist(
    entries: Iterable[LibraryEntry], labels: Sequence[str], target: Path
) -> Written:
    """Write one playlist: absolute paths, each below its length, artist and title."""
    del labels
    n_written, left_out = 0, []
    with write_beside(target) as stream:
        stream.write(b"#EXTM3U\n")
        for entry in entries:
            path = os.fsencode(entry.path)
            if not _is_one_line(entry.path):
                left_out.append(entry.path)
                continue
            names = [entry.tags["artist"], entry.tags["title"] or entry.path.stem]
            shown = " - ".join(" ".join(name.split()) for name in names if name)
            seconds = round(entry.duration_seconds) if entry.duration_seconds else -1
            stream.write(f"#EXTINF:{seconds},{shown}\n".encode("utf-8", "replace") + path + b"\n")
            n_written += 1
    return n_written, left_out


def _playlist_names(labels: Iterable[str]) -> dict[str, str]:
    """Return labels by names that are valid and distinct on every file system."""
    names: dict[str, str] = {}
    for label in sorted(labels):
        name = _FORBIDDEN.sub("-", label).rstrip(". ") or "-"
        name = f"{name}_" if name.upper() in _DEVICES else name
        taken = {each.casefold() for each in names}
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name} ({number})", number + 1
        names[unique] = label
    return names


FORMATS: dict[str, Callable[[Iterable[LibraryEntry], Sequence[str], Path], Written]] = {
    "csv": _write_csv,
    "jsonl": _write_json_lines,
    "parquet": _write_parquet,
    "m3u": _write_playlists,
    "playlist": _write_playlist,
    "rekordbox": _write_rekordbox,
}
