"""What every family of tag formats has in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from genrekit.tags.profiles import Profile

PROVENANCE = "GENREKIT"  # the name of the field that says where a genre came from
FIELDS = ("genre", "artist", "album", "album_artist", "title", "provenance")


@dataclass(frozen=True)
class TagContents:
    """What genrekit reads of a file's tags.

    ``genres`` are names, each once: ID3's numbers are looked up and "Rock; Pop" is two of them.
    ``raw_genres`` are the values as the file holds them. A field that is absent is None.
    """

    genres: tuple[str, ...] = ()
    raw_genres: tuple[str, ...] = ()
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    title: str | None = None
    provenance: str | None = None


class Family(Protocol):
    """One family of tag formats, a module of this package.

    ``KINDS`` are the classes of mutagen that belong to it.
    """

    KINDS: tuple[type, ...]

    def load(self, kind: type, path: Path) -> Any:
        """Open a file that mutagen took for a ``kind``."""

    def values(self, file: Any, field: str) -> list[str]:
        """Return the raw values of one of FIELDS, in the order of the file."""

    def names(self, raw: list[str]) -> list[str]:
        """Return the genres that raw genre values stand for."""

    def put(
        self, file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile
    ) -> None:
        """Write genres and where they came from into the opened file at path."""

    def rest(self, file: Any, path: Path) -> dict[str, str]:
        """Return a digest of every tag but the genre and where it came from, by the tag's name."""


def load(kind: type, path: Path) -> Any:
    """Open a file as mutagen does by itself."""
    return kind(path)


def names(raw: list[str]) -> list[str]:
    """Return the genres: the values themselves."""
    return raw


def separate(values: Iterable[str]) -> list[str]:
    """Split values at semicolons, and drop what is empty or was there before.

    >>> separate(["Rock; Pop", "rock", "", "Jazz"])
    ['Rock', 'Pop', 'Jazz']
    """
    found: dict[str, str] = {}
    for value in values:
        for part in value.replace("\0", ";").split(";"):
            if part.strip():
                found.setdefault(part.strip().casefold(), part.strip())
    return list(found.values())


def digest(value: object) -> str:
    """Return a short stand-in for a tag's value, which may be a picture of many megabytes."""
    text = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]
