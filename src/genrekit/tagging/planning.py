"""Make a plan from the predictions of a library: what would be written, what not, and why."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.errors import GenrekitError, TagError
from genrekit.library import database, query, store
from genrekit.models.card import ModelCard
from genrekit.prediction import ModelReference, is_shown, is_undecided, not_music, percent
from genrekit.tagging import albums, plan_files, policy
from genrekit.tagging.plan_files import PlanEntry, StyleChange
from genrekit.tagging.policy import Policy
from genrekit.tags import formats
from genrekit.tags.formats.containers import UntaggedError

if TYPE_CHECKING:
    from genrekit.tags.formats.contents import TagContents
    from genrekit.tags.profiles import Profile

Kind = Literal[
    "agrees",
    "tagged",
    "untagged",
    "as wanted",
    "not sure enough",
    "no place",
    "silent",
    "not music",
]
_PREDICTED = """
    SELECT f.path, f.error, f.album, f.album_artist, a.digest, p.probabilities, p.warnings
    FROM files AS f
    LEFT JOIN audio AS a ON a.id = f.audio_id
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = :model
    WHERE NOT f.is_missing AND (f.path = :path OR (f.path >= :first AND f.path < :behind))
    ORDER BY f.path
"""


class Stay(NamedTuple):
    """Why a file stays as it is: which kind of reason, and one sentence that begins with it."""

    kind: Kind
    reason: str


def no_tags_in(format_name: str) -> str:
    """Return why a file stays in whose format genrekit writes no tags."""
    return f"no tags are written in {format_name}"


@dataclass
class Proposal:
    """What a plan would hold, the files that stay as they are, and those that cannot be planned.

    ``stays`` and ``failures`` give each path its reason; ``untagged`` names the format of each file
    in whose format genrekit writes no tags.
    """

    entries: list[PlanEntry] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    untagged: dict[str, str] = field(default_factory=dict)

    def add(self, path: Path, decide: Callable[[], PlanEntry | Stay]) -> None:
        """Add what is decided for a file: its line, why it stays, or why it cannot be planned."""
        try:
            entry = decide()
        except UntaggedError as error:
            self.untagged[str(path)] = error.format
        except (GenrekitError, OSError) as error:
            self.failures[str(path)] = " ".join(str(error).split())
        else:
            if isinstance(entry, PlanEntry):
                self.entries.append(entry)
            else:
                self.stays[str(path)] = entry

    @property
    def counts(self) -> dict[str, int]:
        """How many files would change, stay for each kind of reason, or fail; zeros left out."""
        kinds = Counter(stay.kind for stay in self.stays.values())
        every: dict[str, int] = {
            "to change": len(self.entries),
            **dict(kinds.most_common()),
            "without tags": len(self.untagged),
            "failed": len(self.failures),
        }
        return {name: n for name, n in every.items() if n or name in ("to change", "failed")}

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "entries": [entry.model_dump() for entry in self.entries],
            "counts": self.counts,
            "stays": {path: stay._asdict() for path, stay in self.stays.items()},
            "failures": self.failures,
            "untagged": self.untagged,
        }


@dataclass(frozen=True)
class _TaggedTrack:
    """A file with a prediction: where it lies, links resolved, and what the model says.

    ``album`` is the mean over its album, None where that is not wanted or the album does not agree.
    """

    path: Path
    digest: str
    probabilities: dict[str, float]
    album: dict[str, float] | None
    warnings: tuple[str, ...]


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
    """
    proposal = Proposal()
    model = ModelReference(name=card.name, version=card.version, sha256=card.onnx_sha256)
    for track in _tracks(connection, folders, card, wanted, proposal):
        proposal.add(track.path, partial(_entry, track, model, wanted, profile))
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
    means = _means(connection, model, card, wanted) if wanted.by_album else {}
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
            mean = means.get(query.album_of(row)) if row["album"] is not None else None
            album = None if mean is None else dict(zip(card.labels, mean.tolist(), strict=True))
            yield _TaggedTrack(
                path,
                row["digest"],
                dict(zip(card.labels, values, strict=True)),
                album,
                tuple(json.loads(row["warnings"])),
            )


def _means(
    connection: sqlite3.Connection, model: int, card: ModelCard, wanted: Policy
) -> dict[Hashable, NDArray[np.float64]]:
    names = [next(iter(wanted.chain(label)), None) for label in card.labels]
    return albums.means(connection, model, names.__getitem__)


def _entry(
    track: _TaggedTrack, model: ModelReference, wanted: Policy, profile: Profile
) -> PlanEntry | Stay:
    """Return a line of the plan, or why the file stays as it is.

    Raises:
        TagError: its tags cannot be read.
        OSError: it is gone.
    """
    status = track.path.lstat()
    contents = formats.read(track.path, style_field=wanted.style_field)
    if said := _without_genre(track):
        return said
    chosen = wanted.chosen(track.album or track.probabilities)
    decided = _decided(track, contents, chosen, wanted, profile)
    if isinstance(decided, Stay):
        return decided
    new, style = decided
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
        warnings=track.warnings,
        style=style,
    )


def _decided(
    track: _TaggedTrack,
    contents: TagContents,
    chosen: Mapping[str, float],
    wanted: Policy,
    profile: Profile,
) -> tuple[tuple[str, ...], StyleChange | None] | Stay:
    """Return the genres that a file should hold and how its style changes, or why it stays."""
    if wanted.style_field and chosen:
        values = wanted.wanted_with_styles(contents.genres, contents.styles, chosen)
        genres, styles = map(profile.chosen, values)
        if (contents.genres, contents.styles) in (values, (genres, styles)):
            return _style_stay(track, contents, chosen, wanted)
        style = StyleChange(field=wanted.style_field, old=contents.raw_styles, new=styles)
        return genres, (style if styles != contents.styles else None)
    if stay := _stay(track, contents.genres, chosen, wanted):
        return stay
    new = profile.chosen(wanted.wanted(contents.genres, chosen))
    if not new or new == contents.genres:
        return Stay("as wanted", f"as wanted: {', '.join(contents.genres)}")
    return new, None


def _style_stay(
    track: _TaggedTrack, contents: TagContents, chosen: Mapping[str, float], wanted: Policy
) -> Stay:
    """Say why neither the genre nor the style of a file changes."""
    present, styles = wanted.present(contents.genres), contents.styles
    listed = ", ".join((*present, *styles))
    wider, narrow = wanted.divided(chosen)
    if not any(wanted.says(genre, name) for genre in present for name in wider):
        return Stay("tagged", f"has another genre: {listed}; {_predicted(track)}")
    if not all(any(wanted.says(said, name) for said in (*present, *styles)) for name in narrow):
        return Stay("tagged", f"has another style: {listed}; {_predicted(track)}")
    return Stay("agrees", f"agrees: {listed}; {_predicted(track)}")


def _without_genre(track: _TaggedTrack) -> Stay | None:
    """Say why the audio has no genre at all; None where it has one."""
    values = track.probabilities
    if is_undecided(values.values()):
        if said := not_music(track.warnings):
            return Stay("not music", said)
        return Stay("silent", "silent: nothing is known about it")
    label = max(values, key=values.__getitem__)
    if labels.is_not_music(label):
        return Stay("not music", f"not music: {_predicted(track)}")
    return None


def _stay(
    track: _TaggedTrack, genres: Sequence[str], chosen: Mapping[str, float], wanted: Policy
) -> Stay | None:
    """Say why a file stays as it is before anything is compared in detail; None where it may not.

    A file agrees where it says the most probable genre, sure or not.
    """
    present = wanted.present(genres)
    listed = ", ".join(present)
    best = next(iter(chosen), None) or _best(track, wanted)
    if present and best and any(wanted.says(genre, best) for genre in present):
        others = [name for name in chosen if not any(wanted.says(g, name) for g in present)]
        if not others or wanted.mode == "fill-missing":
            return Stay("agrees", f"agrees: {listed}; {_predicted(track)}")
    if wanted.mode == "fill-missing" and present:
        return Stay("tagged", f"has another genre: {listed}; {_predicted(track)}")
    if chosen:
        return None
    if best is None:
        return Stay("no place", f"its genre has no place in the mapping: {_predicted(track)}")
    least = percent(wanted.min_probability)
    return Stay("not sure enough", f"not sure enough: {_predicted(track)}; {least} is needed")


def _best(track: _TaggedTrack, wanted: Policy) -> str | None:
    """Return what the most probable label is called, or None where it has no place."""
    values = track.album or track.probabilities
    return next(iter(wanted.chain(max(values, key=values.__getitem__))), None)


def _predicted(track: _TaggedTrack) -> str:
    text = f"predicted {_first(track.probabilities)}"
    return f"{text}; its album {_first(track.album)}" if track.album else text


def _first(probabilities: Mapping[str, float]) -> str:
    """Return up to three of the most probable labels; those that would read 0.0 % are left out."""
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{label} {percent(p)}" for label, p in ordered if is_shown(p))
