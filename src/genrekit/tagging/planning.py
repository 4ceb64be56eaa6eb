"""Make a plan from the predictions of a library: what would be written, what not, and why."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrekit.errors import TagError
from genrekit.library import database, query, store
from genrekit.library.agreement import Albums
from genrekit.models.card import ModelCard
from genrekit.prediction import ModelReference
from genrekit.tagging import plan_files, policy
from genrekit.tagging.plan_files import PlanEntry
from genrekit.tagging.policy import Policy
from genrekit.tags import formats
from genrekit.tags.formats.containers import UntaggedError

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

LEAST_SHOWN = 0.005
_PREDICTED = """
    SELECT f.path, f.error, f.album, f.album_artist, a.digest, p.probabilities
    FROM files AS f
    LEFT JOIN audio AS a ON a.id = f.audio_id
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    WHERE NOT f.is_missing AND (f.path = :path OR (f.path >= :first AND f.path < :behind))
    ORDER BY f.path
"""


@dataclass
class Proposal:
    """What a plan would hold, the files that stay as they are, and those that cannot be planned.

    ``skipped`` and ``failures`` give each path its reason in one sentence; ``untagged`` names the
    format of each file in whose format genrekit writes no tags.
    """

    entries: list[PlanEntry] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    untagged: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "entries": [entry.model_dump() for entry in self.entries],
            "skipped": self.skipped,
            "failures": self.failures,
            "untagged": self.untagged,
        }


@dataclass(frozen=True)
class _TaggedTrack:
    """A file with a prediction: where it lies, links resolved, and what the model says.

    ``album`` is the mean over its album, None where that is not wanted or the track is alone in it.
    """

    path: Path
    digest: str
    probabilities: dict[str, float]
    album: dict[str, float] | None


def propose(
    connection: sqlite3.Connection,
    folders: Sequence[Path],
    card: ModelCard,
    wanted: Policy,
    profile: Profile,
) -> Proposal:
    """Decide for every file of a scanned library what should be written.

    Args:
        connection: the library's database, just scanned with the model.
        folders: folders, or single files.
        card: the model's card.
        wanted: which files and which genres.
        profile: the form that the genres will be written in.

    Raises:
        LibraryError: the mapping names a label that nobody knows.
    """
    if wanted.genre_map:
        wanted.genre_map.check(card.labels)
    proposal = Proposal()
    model = ModelReference(name=card.name, version=card.version, sha256=card.onnx_sha256)
    for track in _tracks(connection, folders, card, wanted, proposal):
        try:
            entry = _entry(track, model, wanted, profile)
        except UntaggedError as error:
            proposal.untagged[str(track.path)] = error.format
            continue
        except (TagError, OSError) as error:
            proposal.failures[str(track.path)] = " ".join(str(error).split())
            continue
        if isinstance(entry, PlanEntry):
            proposal.entries.append(entry)
        else:
            proposal.skipped[str(track.path)] = entry
    return proposal


def _tracks(
    connection: sqlite3.Connection,
    folders: Sequence[Path],
    card: ModelCard,
    wanted: Policy,
    proposal: Proposal,
) -> Iterator[_TaggedTrack]:
    """Give each analysed file once, however many links lead to it."""
    model = store.model_id(connection, card.onnx_sha256)
    means = query.albums(connection, model) if wanted.by_album else Albums()
    seen: set[Path] = set()
    for folder in map(database.encode_path, folders):
        behind = {"model": model, "path": folder, **store.below(folder)}
        for row in connection.execute(_PREDICTED, behind).fetchall():
            path = Path(os.path.realpath(database.decode_path(row["path"])))
            if path in seen:
                continue
            seen.add(path)
            if row["probabilities"] is None:
                proposal.failures[str(path)] = (
                    row["error"] or f"{path}: was not analysed; scan again"
                )
                continue
            values = np.frombuffer(row["probabilities"], "<f4").tolist()
            mean = means.mean(query.album_of(row)) if row["album"] is not None else None
            album = None if mean is None else dict(zip(card.labels, mean.tolist(), strict=True))
            yield _TaggedTrack(
                path, row["digest"], dict(zip(card.labels, values, strict=True)), album
            )


def _entry(
    track: _TaggedTrack, model: ModelReference, wanted: Policy, profile: Profile
) -> PlanEntry | str:
    """Return a line of the plan, or why the file stays as it is.

    Raises:
        TagError: its tags cannot be read.
        OSError: it is gone.
    """
    status = track.path.lstat()
    contents = formats.read(track.path)
    chosen = wanted.chosen(track.album or track.probabilities)
    if wanted.mode == "fill-missing" and contents.genres:
        return f"has a genre already: {', '.join(contents.genres)}"
    if not chosen:
        least = f"{wanted.min_probability:g}; {_predicted(track)}"
        if wanted.genre_map:
            return f"its most probable genre has no place in the mapping or is below {least}"
        return f"no genre is as probable as {least}"
    new = profile.chosen(wanted.wanted(contents.genres, chosen))
    if not new or new == contents.genres:
        return f"holds what it should already: {', '.join(contents.genres)}"
    if reason := plan_files.unfit(track.path, status):
        raise TagError(f"{track.path}: {reason}")
    return PlanEntry(
        path=str(track.path),
        audio_sha256=track.digest,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        old=contents.raw_genres,
        new=new,
        why=_predicted(track),
        provenance=policy.provenance(model, chosen),
    )


def _predicted(track: _TaggedTrack) -> str:
    text = f"predicted {_first(track.probabilities)}"
    return f"{text}; its album {_first(track.album)}" if track.album else text


def _first(probabilities: Mapping[str, float]) -> str:
    """Return up to three of the most probable labels; those that would read 0.00 are left out."""
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{label} {p:.2f}" for label, p in ordered if p >= LEAST_SHOWN)
