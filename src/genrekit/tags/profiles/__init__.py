"""How players want their genres: one TOML file per profile; adding one needs no other change."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genrekit.errors import TagError, unknown_name

FOLDER = Path(__file__).parent
DEFAULT = "standard"


class Profile(BaseModel):
    """The form in which genres are written.

    ``id3_version`` None keeps the version that a file has (ID3v2.4 where it has none). A separator
    joins several genres to one value; None writes several values. ``id3_grouping`` is the frame of
    a grouping where a tag has none. ``cuts_at`` are the characters at which the program cuts what
    it reads, and ``sources`` are where this is documented.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    id3_version: Literal[3, 4] | None = None
    id3_separator: str | None = None
    separator: str | None = None
    max_genres: int | None = Field(default=None, ge=1)
    id3_grouping: Literal["TIT1", "GRP1"] = "TIT1"
    cuts_at: str = ""
    sources: tuple[str, ...] = ()

    def chosen(self, genres: Sequence[str]) -> tuple[str, ...]:
        """Return which of the wanted genres are written."""
        return tuple(genres[: self.max_genres])

    def cut(self, genres: Iterable[str]) -> list[str]:
        """Return the genres that the program would read as several, each once.

        >>> find("plex").cut(["Rock", "Hip-Hop/Rap", "Rock"])
        ['Hip-Hop/Rap']
        """
        found = (name for name in genres if set(name) & set(self.cuts_at))
        return list(dict.fromkeys(found))

    def values(self, genres: Sequence[str], *, is_id3: bool = False) -> list[str]:
        """Return the raw values that stand for genres.

        >>> find("id3v23-semicolon").values(["Rock", "Pop"], is_id3=True)
        ['Rock; Pop']
        """
        separator = self.id3_separator if is_id3 else self.separator
        chosen = self.chosen(genres)
        return list(chosen) if separator is None else [separator.join(chosen)]

    def has_form_of(self, raw: Sequence[str], genres: Sequence[str]) -> bool:
        """Return whether raw values are what is written for genres, in ID3 or elsewhere."""
        return list(raw) in (self.values(genres), self.values(genres, is_id3=True))


def names() -> list[str]:
    """Return the names of the profiles that come with genrekit."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str = DEFAULT) -> Profile:
    """Return a profile by its name.

    Raises:
        TagError: there is no such profile, or its file is malformed.
    """
    if name not in names():
        raise TagError(unknown_name("profile", name, names()))
    content = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return Profile.model_validate({"name": name, **tomllib.loads(content)})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise TagError(f"profile {name!r} cannot be used: {error}") from error
