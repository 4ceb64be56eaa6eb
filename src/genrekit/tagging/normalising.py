"""Plan better spellings of the genres in files, without analysing audio.

A genre is spelled as in the user's list or the label sets, and one text of several genres becomes
several values. Nothing is added, and no genre becomes another one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit import __version__, labels
from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.library import database
from genrekit.library.walk import walk
from genrekit.tagging import plan_files
from genrekit.tagging.genre_map import GenreMap
from genrekit.tagging.plan_files import PlanEntry
from genrekit.tagging.planning import Proposal, Stay
from genrekit.tags import formats, spelling

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

_AND = re.compile(r"\s*(?:&|\+|\bn\b|'n'?)\s*", re.IGNORECASE)


def propose(
    folders: Sequence[Path],
    profile: Profile,
    own: GenreMap | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Proposal:
    """Plan better spellings for every file of some folders.

    Args:
        folders: folders, or single files.
        profile: the form in which the genres will be written.
        own: the user's list, whose names and labels have precedence.
        advance: called after each file.

    Raises:
        LibraryError: a folder does not exist, or the list has an unknown label.
    """
    if own:
        own.check(())
    proposal = Proposal()
    for path in _files(folders, proposal):
        proposal.add(path, partial(_entry, path, profile, own))
        advance()
    return proposal


def _files(folders: Sequence[Path], proposal: Proposal) -> Iterator[Path]:
    """Yield each file once, however many links lead to it."""
    seen: set[Path] = set()

    def on_problem(path: bytes, reason: str) -> None:
        proposal.failures[os.fsdecode(path)] = f"{os.fsdecode(path)}: left out: {reason}"

    for folder in folders:
        for found in walk(database.encode_path(folder), on_problem):
            path = Path(os.path.realpath(database.decode_path(found.path)))
            if path not in seen:
                seen.add(path)
                yield path


def _entry(path: Path, profile: Profile, own: GenreMap | None) -> PlanEntry | Stay:
    status = path.lstat()
    contents = formats.read(path)
    if not contents.genres:
        return Stay("untagged", "has no genre")
    if not spelling.without_placeholders(contents.genres):
        return Stay("untagged", f"names no genre: {', '.join(contents.genres)}")
    new = profile.chosen(normalised(contents.genres, own))
    if profile.has_form_of(contents.raw_genres, new):
        return Stay("agrees", f"spelled well: {', '.join(contents.genres)}")
    if reason := plan_files.unfit(path, status):
        raise TagError(f"{path}: {reason}")
    said = {"genrekit": __version__, "normalised": list(contents.raw_genres)}
    return PlanEntry(
        path=str(path),
        audio_sha256=packets.digest(path),
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        old=contents.raw_genres,
        new=new,
        why="another spelling",
        provenance=contents.provenance or json.dumps(said, ensure_ascii=False),
    )


def normalised(genres: Sequence[str], own: GenreMap | None = None) -> tuple[str, ...]:
    """Return genres in their best spelling, each once; several in one text become several.

    >>> normalised(["hip hop", "Rock/Pop", "drum n bass", "R&B"])
    ('Hip-Hop', 'Rock', 'Pop', 'Drum and Bass', 'R&B')
    >>> normalised(["My Own/Genre", "Alternative", "(17)"])
    ('My Own/Genre', 'Alternative', 'Rock')
    """
    found: dict[str, str] = {}
    for genre in genres:
        for name in _spelled(spelling.in_words(genre), own):
            found.setdefault(labels.spelling(name) or name, name)
    return tuple(found.values())


def _spelled(genre: str, own: GenreMap | None) -> list[str]:
    """Return a text's genres: several only if each of them is known."""
    if name := _known(genre, own):
        return [name]
    parts = [part.strip() for part in spelling.BETWEEN.split(genre) if part.strip()]
    names = [_known(part, own) or (part if labels.is_known(part) else "") for part in parts]
    return names if len(names) > 1 and all(names) else [genre]


def _known(genre: str, own: GenreMap | None) -> str | None:
    """Return the name of a spelling, or None; the name of another genre is not one."""
    if own and (name := own.spelled(genre)):
        return name
    name = labels.display_name(genre)
    is_same = labels.is_known(genre) and _key(genre) == _key(name)
    if not is_same and labels.is_known(_AND.sub(" and ", genre)):
        name = labels.display_name(_AND.sub(" and ", genre))
        is_same = _key(genre) == _key(name)
    return name if is_same else None


def _key(name: str) -> str:
    return labels.spelling(_AND.sub(" and ", name))
