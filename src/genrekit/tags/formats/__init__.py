"""Tags of audio files: what they say, in every format by its own rules.

One family of formats a file; mutagen does the reading and writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mutagen
from mutagen.id3 import ID3FileType
from mutagen.mp3 import HeaderNotFoundError

from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.tags.formats import apev2, asf, contents, id3, id3v1, mp4, vorbis
from genrekit.tags.formats.contents import Family, TagContents
from genrekit.tags.profiles import Profile

FAMILIES: tuple[Family, ...] = tuple(cast(Family, m) for m in (id3, vorbis, mp4, asf, apev2))


def read(path: Path) -> TagContents:
    """Read the tags that genrekit uses.

    Args:
        path: a file in one of the formats of docs/tagging.md.

    Raises:
        TagError: the file is not there or damaged, or holds no tags that genrekit knows.
    """
    family, file = opened(path)
    raw = family.values(file, "genre")
    first = {field: _first(family.values(file, field)) for field in contents.FIELDS[1:]}
    genres = contents.separate(family.names(raw))
    return TagContents(genres=tuple(genres), raw_genres=tuple(raw), **first)


def write(path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres, and where they came from, into a file, in place.

    For a copy that nobody else sees: ``genrekit.tags.rewriting`` makes one and checks it.

    Raises:
        TagError: the file's tags cannot be read, or cannot be written without a loss.
    """
    family, file = opened(path)
    try:
        family.put(file, path, profile.chosen(genres), provenance, profile)
    except mutagen.MutagenError as error:
        raise TagError(f"{path}: its tags cannot be written ({error})") from error


def rest(path: Path) -> dict[str, str]:
    """Return a digest of all that the tags hold besides the genre and where it came from.

    Two files with equal ones differ in their genre at most, as far as tags and pictures go.

    Raises:
        TagError: the file's tags cannot be read.
    """
    family, file = opened(path)
    return {**family.rest(file, path), "ID3v1": contents.digest(id3v1.block(path)[:-1])}


def opened(path: Path) -> tuple[Family, Any]:
    """Open a file's tags with mutagen.

    Returns:
        The family of its format and mutagen's object.

    Raises:
        TagError: the file is not there or damaged, or holds no tags that genrekit knows.
    """
    if not path.is_file():
        raise TagError(f"{path}: is not a file; name an audio file")
    try:
        kind = _kind(path)
        for family in FAMILIES:
            if kind in family.KINDS:
                return family, family.load(kind, path)
    except Exception as error:  # mutagen lets struct.error, IndexError and others through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TagError(f"{path}: its tags cannot be read ({reason}); mend or copy it") from error
    raise TagError(
        f"{path}: has no tags that genrekit knows; allowed: ID3, Vorbis comments, MP4, ASF and "
        "APEv2, in files such as MP3, FLAC, Ogg, Opus, M4A, WMA, WAV, AIFF, APE and WavPack"
    )


def _kind(path: Path) -> type:
    """Return the class of mutagen for a file.

    Raises:
        mutagen.MutagenError: its tags are damaged.
        AudioError: it is called .mp3 and no audio is found in it.
    """
    try:
        return type(mutagen.File(path))
    except HeaderNotFoundError:  # no MPEG frame near the start: text, or junk before the music
        packets.digest(path)
        return ID3FileType


def _first(values: list[str]) -> str | None:
    return next((value for value in values if value), None)
