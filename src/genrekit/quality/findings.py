"""What an audit finds: findings, repeated recordings, and the list of exclusions made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genrekit.datasets.split import EXCLUSIONS_HEADER
from genrekit.files import write_beside

UNREADABLE, SILENT = "unreadable", "silent"
EXACT, NEAR = "exact repetition", "near repetition"
_EXPLANATION = (
    "# Tracks to leave out: genrekit train --exclude, genrekit evaluate --exclude.",
    "# Lines that start with # are left in: for you to decide.",
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or may be.

    Attributes:
        check: which check found it, such as "silent" or "near repetition".
        tracks: the ids of the tracks that it is about.
        reason: what was found, in one sentence.
        exclude: which of the tracks should be left out; empty where only a person can tell.
    """

    check: str
    tracks: tuple[str, ...]
    reason: str
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two tracks that hold one recording.

    Attributes:
        first: a track_id.
        second: the other one, later in the alphabet.
        kind: EXACT or NEAR.
        shift_seconds: how much later the same audio comes in the second track.
        n_aligned: landmarks that agree at this shift; 0 for an exact repetition.
        share: n_aligned over the landmarks of the track that has fewer; 1 for an exact repetition.
    """

    first: str
    second: str
    kind: str
    shift_seconds: float = 0.0
    n_aligned: int = 0
    share: float = 1.0

    def __str__(self) -> str:
        if self.kind == EXACT:
            return "the decoded audio is the same"
        return (
            f"{self.n_aligned} landmarks ({100 * self.share:.0f} %) agree, "
            f"{self.shift_seconds:+.2f} s apart"
        )


@dataclass(frozen=True)
class Published:
    """How the pairs found compare with the repetitions that others have published.

    Attributes:
        n_published: pairs published of which both tracks are here.
        n_found: pairs found.
        missed: pairs published and not found.
        new: pairs found and not published.
    """

    n_published: int
    n_found: int
    missed: tuple[tuple[str, str], ...]
    new: tuple[tuple[str, str], ...]

    @property
    def recall(self) -> float:
        """Share of the published pairs that were found."""
        return (self.n_published - len(self.missed)) / self.n_published

    @property
    def precision(self) -> float:
        """Share of the found pairs that are published; 1 where none was found."""
        return (self.n_found - len(self.new)) / self.n_found if self.n_found else 1.0


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        dataset: the dataset's name.
        path: the folder or manifest that was opened.
        n_tracks: tracks measured.
        duration_seconds: the total length of the readable ones.
        findings: one check after the other.
        pairs: the repetitions.
        published: None where no repetitions are published.
        notes: checks that could not be made, and why.
    """

    dataset: str
    path: Path
    n_tracks: int
    duration_seconds: float
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...] = ()
    published: Published | None = None
    notes: tuple[str, ...] = ()

    def with_more(self, findings: Iterable[Finding], notes: Iterable[str] = ()) -> Audit:
        """Return the audit with the findings of another check appended."""
        return replace(self, findings=(*self.findings, *findings), notes=(*self.notes, *notes))

    @property
    def excluded(self) -> dict[str, str]:
        """The tracks to leave out, each with the first reason for it, sorted by id."""
        reasons: dict[str, str] = {}
        for finding in self.findings:
            for track_id in finding.exclude:
                reasons.setdefault(track_id, f"{finding.check}: {finding.reason}")
        return dict(sorted(reasons.items()))

    @property
    def without_sound(self) -> set[str]:
        """The tracks that cannot be decoded or are silent."""
        silent = [its for its in self.findings if its.check in (UNREADABLE, SILENT)]
        return {track_id for finding in silent for track_id in finding.tracks}

    def save_exclusions(self, path: Path) -> None:
        """Write the tracks to leave out as TSV: track_id, reason, other tracks.

        Findings that exclude nothing become comments.

        Raises:
            OSError: the file cannot be written.
        """
        lines = [*_EXPLANATION, EXCLUSIONS_HEADER, *self._lines()]
        with write_beside(path) as stream:
            stream.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))

    def _lines(self) -> Iterator[str]:
        for finding in self.findings:
            for track_id in finding.exclude or finding.tracks:
                others = ",".join(other for other in finding.tracks if other != track_id)
                mark = "" if finding.exclude else "# "
                reason = f"{finding.check}: {finding.reason}"
                yield mark + "\t".join(
                    " ".join(cell.split()) for cell in (track_id, reason, others)
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        its = self.published
        rates = {"recall": its.recall, "precision": its.precision} if its else {}
        return {
            "dataset": self.dataset,
            "path": str(self.path),
            "n_tracks": self.n_tracks,
            "duration_seconds": round(self.duration_seconds, 3),
            "findings": [vars(finding) for finding in self.findings],
            "repetitions": [vars(pair) for pair in self.pairs],
            "published": vars(its) | rates if its else None,
            "exclude": self.excluded,
            "notes": list(self.notes),
        }
