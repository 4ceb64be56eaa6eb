"""Split: which tracks train, validate and test; SegmentSplit: the same for parts of tracks.

Splits, and lists of tracks to leave out, are kept as TSV files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from genrekit.errors import DatasetError
from genrekit.files import write_beside

PARTS = ("train", "validation", "test")
HEADER = "track_id\tsplit"
EXCLUSIONS_HEADER = "track_id\treason\tother"
LEAKY = "LEAKY"
Key = TypeVar("Key", str, tuple[str, int])


@dataclass(frozen=True)
class _Assigned(Generic[Key]):
    """A part for each key."""

    name: str
    assignment: Mapping[Key, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "assignment", dict(self.assignment))
        _check_parts(f"split {self.name!r}", self.assignment.values())

    def ids(self, part: str) -> tuple[Key, ...]:
        """Return the keys of one part, in the order of the assignment.

        Raises:
            DatasetError: the part is none of train, validation and test.
        """
        _check_parts(f"split {self.name!r}", [part])
        return tuple(key for key, its in self.assignment.items() if its == part)

    @property
    def counts(self) -> dict[str, int]:
        """Number of keys in each part."""
        found = Counter(self.assignment.values())
        return {part: found[part] for part in PARTS}


class Split(_Assigned[str]):
    """An assignment of tracks to train, validation and test. Tracks that it lacks are left out.

    Raises:
        DatasetError: a part of another name; a track_id with a tab or a line break.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        broken = [track_id for track_id in self.assignment if set(track_id) & set("\t\n\r")]
        if broken:
            raise DatasetError(
                f"split {self.name!r}: track_id {broken[0]!r} holds a tab or a line break, which a "
                "split file cannot hold; rename the track"
            )

    @property
    def title(self) -> str:
        """The name as reports print it."""
        return self.name

    @property
    def described(self) -> str:
        """What a sentence calls it.

        >>> Split("artist", {}).described, Split("artist fold 4 of 5 (by hand)", {}).described
        ('the artist split', 'artist fold 4 of 5 (by hand)')
        """
        kind, bracket, remark = self.name.partition(" (")
        return f"{kind if ' fold ' in kind else f'the {kind} split'}{bracket}{remark}"

    @property
    def train(self) -> tuple[str, ...]:
        """Ids of the training tracks, in the order of the assignment."""
        return self.ids("train")

    @property
    def validation(self) -> tuple[str, ...]:
        """Ids of the validation tracks, in the order of the assignment."""
        return self.ids("validation")

    @property
    def test(self) -> tuple[str, ...]:
        """Ids of the test tracks, in the order of the assignment."""
        return self.ids("test")

    @property
    def sha256(self) -> str:
        """SHA-256 of the sorted lines ``track_id<TAB>split``, whatever the name and the order."""
        return hashlib.sha256(_encode(_lines(self.assignment))).hexdigest()

    def restricted_to(self, track_ids: Iterable[str]) -> Split:
        """Return the split with these tracks only."""
        kept = set(track_ids)
        return Split(self.name, {k: part for k, part in self.assignment.items() if k in kept})

    def save(self, path: Path) -> None:
        """Write the split as TSV: the header ``track_id<TAB>split``, then sorted lines.

        Raises:
            OSError: the file cannot be written.
        """
        with write_beside(path) as stream:
            stream.write(_encode([HEADER, *_lines(self.assignment)]))

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> Split:
        """Read what save wrote; lines starting with "#" above the header are comments.

        Args:
            path: the TSV file.
            name: the split's name; None takes the file's name without its suffix.

        Raises:
            DatasetError: another form, an unknown part, or a track that stands in the file twice.
            OSError: the file cannot be read.
        """
        assignment: dict[str, str] = {}
        for line, (track_id, part) in read_pairs(path, HEADER):
            _check_parts(f"{path}, line {line}", [part])
            if track_id in assignment:
                raise DatasetError(
                    f"{path}, line {line}: track {track_id!r} is in {assignment[track_id]} and "
                    f"again in {part}; a track belongs to one part, once"
                )
            assignment[track_id] = part
        if not assignment:
            raise DatasetError(f"{path} assigns no track; add lines `{HEADER}` below the header")
        return cls(name or path.stem, assignment)


class SegmentSplit(_Assigned[tuple[str, int]]):
    """An assignment of (track_id, segment_index): segments of one track lie on both sides.

    That is the leak which makes published numbers too good. It is here to show how large the leak
    is, and LEAKY stands in its title.

    Raises:
        DatasetError: a part other than train, validation and test.
    """

    @property
    def title(self) -> str:
        """The name as reports print it, with the word LEAKY."""
        return f"{self.name} ({LEAKY})"

    @property
    def sha256(self) -> str:
        """SHA-256 of the sorted lines ``track_id<TAB>segment_index<TAB>split``."""
        lines = _lines({f"{key}\t{index}": part for (key, index), part in self.assignment.items()})
        return hashlib.sha256(_encode(lines)).hexdigest()


def read_pairs(path: Path, header: str) -> list[tuple[int, tuple[str, str]]]:
    """Read a TSV file of two columns, with comment lines above its header.

    Args:
        path: the file.
        header: the header line that it must have.

    Returns:
        (line number, (first cell, second cell)) of each line below the header.

    Raises:
        DatasetError: the header is missing, a line has not two cells, or the text is not UTF-8.
        OSError: the file cannot be read.
    """
    # Split at line feeds only: a file name may hold a character that splitlines() breaks at.
    lines = path.read_bytes().decode("utf-8-sig", errors="surrogateescape").split("\n")
    rows = [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]
    while rows and rows[0][1].startswith("#"):
        rows.pop(0)
    if not rows or rows[0][1] != header:
        raise DatasetError(f"{path} is no such table: its header must be the line {header!r}")
    pairs = []
    for number, line in rows[1:]:
        cells = line.split("\t")
        if line and len(cells) != 2:
            raise DatasetError(f"{path}, line {number}: expected two cells, found {len(cells)}")
        if line:
            pairs.append((number, (cells[0], cells[1])))
    return pairs


def read_exclusions(path: Path) -> dict[str, str]:
    """Read what ``genrekit datasets audit -o`` wrote, or a plain list of track ids.

    Args:
        path: a text file; the first cell (up to a tab) of each line is a track_id, the second, if
            any, the reason. The header and lines that start with "#" are skipped.

    Returns:
        track_id -> reason.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}; give a file that `genrekit datasets audit "
            "-o` wrote, or one track_id a line"
        ) from error
    reasons: dict[str, str] = {}
    for line in text.split("\n"):
        line = line.rstrip("\r")  # noqa: PLW2901
        track_id, _, rest = line.partition("\t")
        if track_id.strip() and not track_id.startswith("#") and line != EXCLUSIONS_HEADER:
            reasons.setdefault(track_id.strip(), rest.partition("\t")[0] or "listed")
    return reasons


def _check_parts(where: str, parts: Iterable[str]) -> None:
    if unknown := sorted(set(parts) - set(PARTS)):
        allowed = ", ".join(PARTS)
        raise DatasetError(f"{where}: {unknown[0]!r} is no part of a split; use one of {allowed}")


def _lines(assignment: Mapping[str, str]) -> list[str]:
    return sorted(f"{key}\t{part}" for key, part in assignment.items())


def _encode(lines: Iterable[str]) -> bytes:
    # A file name that is not UTF-8 reaches Python as lone surrogates: written as its own bytes.
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
