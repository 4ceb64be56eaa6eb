"""What genrekit reads of a file's tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class TagContents:
    """What genrekit reads of a file's tags.

    ``genres`` are names, each once: ID3's numbers are looked up and "Rock; Pop" is two of them.
    ``raw_genres`` are the values as the file holds them, of the tag that takes precedence. Tags
    with other genres are ``conflicts``, such as "APEv2: Rock". ``styles`` and ``raw_styles`` are
    the same for the field that was asked for. A field that is absent is None.
    """

    genres: tuple[str, ...] = ()
    raw_genres: tuple[str, ...] = ()
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    title: str | None = None
    provenance: str | None = None
    conflicts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    raw_styles: tuple[str, ...] = ()


def separate(values: Iterable[str]) -> list[str]:
    """Split values at semicolons, and drop empty and repeated ones.

    >>> separate(["Rock; Pop", "rock", "", "Jazz"])
    ['Rock', 'Pop', 'Jazz']
    """
    found: dict[str, str] = {}
    for value in values:
        for part in value.replace("\0", ";").split(";"):
            if part.strip():
                name = unicodedata.normalize("NFC", part.strip())
                found.setdefault(name.casefold(), part.strip())
    return list(found.values())
