"""Attributes of ASF: WMA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.asf import ASF

from genrekit.tags.formats import contents
from genrekit.tags.profiles import Profile

KINDS = (ASF,)
_KEYS = {
    "genre": "WM/Genre",
    "artist": "Author",
    "album": "WM/AlbumTitle",
    "album_artist": "WM/AlbumArtist",
    "title": "Title",
    "provenance": contents.PROVENANCE,
}
load, names = contents.load, contents.names


def values(file: Any, field: str) -> list[str]:
    """Return the values of an attribute, which may stand in the file several times."""
    return [str(value) for value in (file.tags or {}).get(_KEYS[field], [])]


def put(file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres and where they came from."""
    if file.tags is None:
        file.add_tags()
    file.tags[_KEYS["genre"]] = profile.values(genres)
    file.tags[_KEYS["provenance"]] = [provenance]
    file.save(path)


def rest(file: Any, path: Path) -> dict[str, str]:
    """Return a digest of every other attribute."""
    del path
    ours = {_KEYS["genre"], _KEYS["provenance"]}
    found: dict[str, list[object]] = {}
    for key, value in file.tags or []:
        # mutagen gives an attribute that stands twice the numbers that mean "none": 0 and 0.
        found.setdefault(key, []).append((value, value.language or 0, value.stream or 0))
    return {key: contents.digest(values) for key, values in found.items() if key not in ours}
