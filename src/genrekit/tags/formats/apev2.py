"""APEv2 items: Monkey's Audio, WavPack, Musepack, OptimFROG, TAK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.apev2 import APETextValue, APEv2File
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.musepack import Musepack
from mutagen.optimfrog import OptimFROG
from mutagen.tak import TAK
from mutagen.wavpack import WavPack

from genrekit.tags.formats import contents, id3v1
from genrekit.tags.profiles import Profile

KINDS = (MonkeysAudio, WavPack, Musepack, OptimFROG, TAK, APEv2File)
_KEYS = {
    "genre": "Genre",
    "artist": "Artist",
    "album": "Album",
    "album_artist": "Album Artist",
    "title": "Title",
    "provenance": contents.PROVENANCE,
}
load, names = contents.load, contents.names


def values(file: Any, field: str) -> list[str]:
    """Return the values of an item; NUL separates several."""
    return items(file.tags, field)


def items(tags: Any, field: str) -> list[str]:
    """Return the values of an item of an APEv2 tag, or none where there is no tag."""
    value = (tags or {}).get(_KEYS[field])
    return list(value) if isinstance(value, APETextValue) else []


def put(file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres and where they came from."""
    if file.tags is None:
        file.add_tags()
    set_items(file.tags, genres, provenance, profile)
    with id3v1.set_aside(path, genres):
        file.tags.save(path)


def set_items(tags: Any, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Change the items in memory."""
    tags[_KEYS["genre"]] = profile.values(genres)
    tags[_KEYS["provenance"]] = provenance


def rest(file: Any, path: Path) -> dict[str, str]:
    """Return a digest of every other item."""
    del path
    return other_items(file.tags)


def other_items(tags: Any) -> dict[str, str]:
    """Return a digest of every other item of an APEv2 tag, which may be absent."""
    ours = {_KEYS["genre"].casefold(), _KEYS["provenance"].casefold()}
    found = {key.casefold(): contents.digest(value) for key, value in (tags or {}).items()}
    return {f"APEv2 {key}": value for key, value in found.items() if key not in ours}
