"""ID3: MP3, and the ID3 chunk of WAV, AIFF, DSF and others; with what may stand beside it.

An MP3 may hold ID3v2, ID3v1 and APEv2 at once. ID3v2 counts first, then APEv2, then ID3v1; a WAV's
INFO list counts where it has no ID3 chunk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mutagen.aiff import AIFF
from mutagen.apev2 import APENoHeaderError, APEv2
from mutagen.dsdiff import DSDIFF
from mutagen.dsf import DSF
from mutagen.id3 import ID3, TCON, TXXX, ID3FileType, ID3NoHeaderError, TextFrame
from mutagen.mp3 import MP3
from mutagen.trueaudio import TrueAudio
from mutagen.wave import WAVE

from genrekit.errors import TagError
from genrekit.tags.formats import apev2, contents, id3v1, riff
from genrekit.tags.profiles import Profile

KINDS = (MP3, WAVE, AIFF, DSF, DSDIFF, TrueAudio, ID3FileType)
_KEYS = {
    "genre": "TCON",
    "artist": "TPE1",
    "album": "TALB",
    "album_artist": "TPE2",
    "title": "TIT2",
    "provenance": f"TXXX:{contents.PROVENANCE}",
}


def load(kind: type, path: Path) -> Any:
    """Open a file without translating its frames to another version of ID3."""
    file = kind(path, translate=False, load_v1=False)
    file.ape, file.v1 = None, None
    file.info_list = path if issubclass(kind, WAVE) and file.tags is None else None
    if issubclass(kind, ID3FileType):
        file.ape, file.v1 = _ape(path), _v1(path)
    return file


def _ape(path: Path) -> APEv2 | None:
    try:
        return APEv2(path)
    except APENoHeaderError:
        return None


def _v1(path: Path) -> ID3 | None:
    """Return the fields of an ID3v1 tag as frames, where a file has one and no ID3v2."""
    try:
        tags = ID3(path, translate=False)
    except ID3NoHeaderError:
        return None
    return tags if tags.version < (2,) else None


def values(file: Any, field: str) -> list[str]:
    """Return the values of a frame, or of what stands for it in a tag of another kind."""
    found = _frame(file.tags, field) or apev2.items(file.ape, field) or _frame(file.v1, field)
    if not found and file.info_list is not None:
        found = riff.info(file.info_list, field)
    return found


def _frame(tags: Any, field: str) -> list[str]:
    frame = (tags or {}).get(_KEYS[field])
    return [str(text) for text in frame.text] if frame is not None else []


def names(raw: list[str]) -> list[str]:
    """Return the genres, with ID3's numbers looked up.

    Source: ID3v2.3.0 and ID3v2.4.0, frame TCON (id3.org); the list of numbers is Winamp's.

    >>> names(["(17)", "31", "(4)Eurodisco", "(RX)", "Jazz"])
    ['Rock', 'Trance', 'Disco', 'Eurodisco', 'Remix', 'Jazz']
    """
    return [name for name in TCON(encoding=3, text=raw).genres if name != "Unknown"]


def put(file: Any, path: Path, genres: Sequence[str], provenance: str, profile: Profile) -> None:
    """Write genres and where they came from: where the file has tags, else as ID3v2.

    Raises:
        TagError: the tag holds a frame that would be lost.
    """
    with id3v1.set_aside(path, genres) if isinstance(file, ID3FileType) else nullcontext():
        if file.ape is not None and (file.tags is None or apev2.items(file.ape, "genre")):
            apev2.set_items(file.ape, genres, provenance, profile)
            file.ape.save(path)
        if file.tags is not None or file.ape is None:
            _put_frames(file, path, profile.values(genres, is_id3=True), provenance, profile)


def _put_frames(
    file: Any, path: Path, values: list[str], provenance: str, profile: Profile
) -> None:
    """Write the frames; a new ID3v2 tag gets what ID3v1 held, since players then look there."""
    if file.tags is None:
        file.add_tags()
    else:
        _check_frames(file, path)
    tags: Any = file.tags
    for key, frame in (file.v1 or {}).items():
        tags[key] = frame
    version = _convert(tags, profile.id3_version)
    tags.setall(_KEYS["genre"], [TCON(encoding=_encoding(values, version), text=values)])
    field = TXXX(
        encoding=_encoding([provenance], version), desc=contents.PROVENANCE, text=[provenance]
    )
    tags.setall(_KEYS["provenance"], [field])
    tags.save(path, v2_version=version, v23_sep=None)


def _encoding(values: list[str], version: int) -> int:
    """Return ID3's number of an encoding: UTF-8 in ID3v2.4; Latin-1, else UTF-16 in ID3v2.3."""
    if version == 4:
        return 3
    return 0 if all(ord(character) < 256 for value in values for character in value) else 1


def _convert(tags: Any, wished: int | None) -> int:
    """Bring frames to a version of ID3v2, as far as it differs, and return that version."""
    present = 3 if tags.version[:2] in ((2, 2), (2, 3)) else 4
    if wished == 3 and present == 4:
        kept = [frame for key in _KEPT_IN_V23 for frame in tags.getall(key)]
        tags.update_to_v23()
        for frame in kept:
            tags.add(frame)
    elif wished == 4 and present == 3:
        tags.update_to_v24()
    return wished or present


# Frames that ID3v2.4 defines and that players read in ID3v2.3 as well.
_KEPT_IN_V23 = ["RVA2", "TDEN", "TDRL", "TDTG", "TMOO", "TPRO", "TSOA", "TSOP", "TSOT", "TSST"]


def _check_frames(file: Any, path: Path) -> None:
    """Refuse a tag with a frame that mutagen does not understand and would leave out."""
    raw = type(file)(path, translate=False, load_v1=False, known_frames={}).tags.unknown_frames
    known = {key[:4] for key in file.tags} | set(map(_frame_id, file.tags.unknown_frames))
    lost = set(map(_frame_id, raw)) - known
    if lost and file.tags.version >= (2, 3):
        raise TagError(
            f"{path}: its ID3 tag holds a damaged frame ({', '.join(sorted(lost))}) that would be "
            "lost; repair the tag with a tag editor first"
        )


def _frame_id(frame: bytes) -> str:
    return bytes(frame[:4]).decode("ascii", "replace")


def rest(file: Any, path: Path) -> dict[str, str]:
    """Return a digest of every other frame, and of what stands beside the ID3 tag."""
    found = apev2.other_items(file.ape)
    tags = type(file)(path, load_v1=False).tags  # translated, so that versions can be compared
    if tags is None:
        tags = ID3(path) if file.v1 else {}
    for key, frame in tags.items():
        is_empty = isinstance(frame, TextFrame) and not str(frame)
        if key not in (_KEYS["genre"], _KEYS["provenance"]) and not is_empty:
            found[key] = contents.digest(_ENCODING.sub("", repr(frame)))
    found["unknown frames"] = contents.digest(
        sorted(map(bytes, getattr(tags, "unknown_frames", [])))
    )
    pictures = [key for key in tags if key.startswith("APIC")]
    return found | {"pictures": contents.digest(pictures)}


_ENCODING = re.compile(r"encoding=<[^>]*>, ")
