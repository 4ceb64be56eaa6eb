"""Vorbis comments: FLAC, Ogg Vorbis, Opus, Speex and FLAC in Ogg."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.flac import FLAC, Padding, VCFLACDict
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis

from genrekit.tags.formats import contents
from genrekit.tags.profiles import Profile

KINDS = (FLAC, OggVorbis, OggOpus, OggSpeex, OggFLAC)
_KEYS = {
    "genre": "genre",
    "artist": "artist",
    "album": "album",
    "album_artist": "albumartist",
    "title": "title",
    "provenance": contents.PROVENANCE.lower(),
}
load, names = contents.load, contents.names


def values(file: Any, field: str) -> list[str]:
    """Return the values of a comment, which may stand in the file several times."""
    return list((file.tags or {}).get(_KEYS[field], []))


def put(file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres and where they came from."""
    if file.tags is None:
        file.add_tags()
    file.tags[_KEYS["genre"]] = profile.values(genres)
    file.tags[_KEYS["provenance"]] = provenance
    file.save(path)


def rest(file: Any, path: Path) -> dict[str, str]:
    """Return a digest of every other comment, picture and block."""
    del path
    ours = {_KEYS["genre"], _KEYS["provenance"]}
    comments = [(key, value) for key, value in file.tags or [] if key.lower() not in ours]
    blocks = [
        (block.code, block.write())
        for block in getattr(file, "metadata_blocks", [])
        if not isinstance(block, VCFLACDict | Padding)
    ]
    return {"comments": contents.digest(comments), "blocks": contents.digest(blocks)}
