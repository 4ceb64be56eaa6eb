"""A plan: the genres to write into files, as JSON lines that anyone can review.

The first line has the format and the profile; every other line is one file. Lines may be deleted
and ``new`` may be edited before the plan is applied.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from genrekit import files
from genrekit.errors import LibraryError
from genrekit.tags.formats.base import StyleField, StyleValues

_Model = TypeVar("_Model", bound=BaseModel)


MAX_GENRES = 100
MAX_CHARACTERS = 200  # of one genre
_MAX_PROVENANCE = 20_000
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # among them line breaks, NUL and lone surrogates


def _one_line(text: str) -> str:
    """Refuse text that a tag cannot hold as one line."""
    for character in "" if text.isprintable() else text:
        if unicodedata.category(character) in _CONTROLS:
            raise ValueError(f"got the control character {character!r}; expected a line of text")
    return text


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("contains NUL, which a path cannot")
    return text


_Genre = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_one_line)]
_Provenance = Annotated[str, Field(max_length=_MAX_PROVENANCE), AfterValidator(_one_line)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PlanHeader(_Line):
    """The first line of a plan."""

    genrekit_plan: Literal[1] = 1
    profile: str


class StyleChange(_Line):
    """A field other than the genre: its raw values in the file, and the values to write.

    Without new values the field is removed.
    """

    field: StyleField
    old: Annotated[tuple[str, ...], Field(strict=False)]
    new: Annotated[tuple[_Genre, ...], Field(strict=False, max_length=MAX_GENRES)]

    def written(self) -> StyleValues:
        """Return the values to write."""
        return StyleValues(self.field, self.new)


class PlanEntry(_Line):
    """One file of a plan.

    ``old`` are the raw genre values of the file, ``new`` the genres to write. ``why`` is for
    people, as are the ``warnings`` of the analysis; ``provenance`` is written into a separate
    field. ``style`` is another field to write, if there is one. A file whose size, modification
    time, audio or old values have changed when the plan is applied is left alone.
    """

    path: Annotated[str, AfterValidator(_without_nul)]
    audio_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0, lt=1 << 63)]
    mtime_ns: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
    old: Annotated[tuple[str, ...], Field(strict=False)]
    new: Annotated[tuple[_Genre, ...], Field(strict=False, min_length=1, max_length=MAX_GENRES)]
    why: str
    provenance: _Provenance
    warnings: Annotated[tuple[str, ...], Field(strict=False)] = ()
    style: StyleChange | None = None

    def to_json(self) -> str:
        """Return one line of JSON; a name that is not valid text is escaped."""
        return _to_json(self)


@dataclass(frozen=True)
class TagPlan:
    """A plan read from its file; the file's ``sha256`` identifies it."""

    profile: str
    entries: tuple[PlanEntry, ...]
    sha256: str


def write(path: Path, profile: str, entries: Sequence[PlanEntry]) -> None:
    """Write a plan beside and rename it.

    Raises:
        OSError: the file cannot be written.
    """
    with files.write_beside(path, "w") as stream:
        stream.write(_to_json(PlanHeader(profile=profile)) + "\n")
        stream.writelines(entry.to_json() + "\n" for entry in entries)


def read(path: Path) -> TagPlan:
    """Read a plan.

    Raises:
        LibraryError: it is not a plan, a newer genrekit wrote it, or an edited line is wrong.
        OSError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise LibraryError(
            f"{path}: there is no such plan; make one with `genrekit tag plan FOLDER -o {path}`"
        ) from error
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise LibraryError(f"{path}: is not a plan (not UTF-8 text)") from error
    if not lines:
        raise LibraryError(f"{path}: is empty; make a plan with `genrekit tag plan`")
    header = _parsed(PlanHeader, lines[0], f"{path}, line 1")
    entries = tuple(
        _parsed(PlanEntry, line, f"{path}, line {number}")
        for number, line in enumerate(lines[1:], 2)
        if line.strip()
    )
    seen: set[str] = set()
    for entry in entries:
        if entry.path in seen:
            raise LibraryError(f"{path}: names {entry.path} twice; delete one of its lines")
        seen.add(entry.path)
    return TagPlan(header.profile, entries, hashlib.sha256(content).hexdigest())


def _to_json(line: _Line) -> str:
    fields = dict(line)
    if style := fields.pop("style", None):
        fields["style"] = dict(style)
    return json.dumps(fields)  # plain ASCII: a path may have bytes that are not UTF-8


def _parsed(model: type[_Model], line: str, place: str) -> _Model:
    try:
        content: Any = json.loads(line)
        return model.model_validate(content)
    except (ValueError, RecursionError) as error:  # such as numbers of thousands of digits
        reasons = (
            [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]]
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        raise LibraryError(
            f"{place}: is not valid in a plan ({'; '.join(reasons)}); make the plan again with "
            "`genrekit tag plan`"
        ) from error


def unfit(path: Path, status: os.stat_result) -> str | None:
    """Return why a file is left alone, whatever its tags: one clause, or None."""
    if stat.S_ISLNK(status.st_mode):
        return "is a link; give the file that it leads to"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_nlink > 1:
        return (
            f"has {status.st_nlink} names (hard links), and the others would keep the old tags; "
            "replace it by a copy with a single name"
        )
    if not status.st_mode & 0o222:
        return "is read-only; allow writing, or leave it as it is"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return "its folder is read-only, but the new file has to be written there first"
    return None
