"""Atoms of MP4: M4A with AAC or ALAC, M4B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.mp4 import MP4, AtomDataType, MP4FreeForm

from genrekit.tags.formats import contents
from genrekit.tags.profiles import Profile

KINDS = (MP4,)
_KEYS = {
    "genre": "\xa9gen",  # mutagen turns the numbers of the older gnre atom into names
    "artist": "\xa9ART",
    "album": "\xa9alb",
    "album_artist": "aART",
    "title": "\xa9nam",
    "provenance": f"----:com.apple.iTunes:{contents.PROVENANCE}",
}
load, names = contents.load, contents.names


def values(file: Any, field: str) -> list[str]:
    """Return the values of an atom; an atom may hold several."""
    found = (file.tags or {}).get(_KEYS[field], [])
    return [bytes(v).decode("utf-8", "replace") if isinstance(v, bytes) else v for v in found]


def put(file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres and where they came from."""
    if file.tags is None:
        file.add_tags()
    file.tags[_KEYS["genre"]] = profile.values(genres)
    file.tags[_KEYS["provenance"]] = [MP4FreeForm(provenance.encode(), AtomDataType.UTF8)]
    file.save(path)


def rest(file: Any, path: Path) -> dict[str, str]:
    """Return a digest of every other atom."""
    del path
    ours = {_KEYS["genre"], _KEYS["provenance"]}
    return {
        key: contents.digest(value) for key, value in (file.tags or {}).items() if key not in ours
    }
