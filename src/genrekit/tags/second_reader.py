"""What mutagen reads of a file, before and after: a reader that shares nothing with the writer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mutagen
from mutagen.id3 import Frame

from genrekit.tags.formats.base import PROVENANCE

_NUMBERED = re.compile(r"unknown\d+")  # comments without a key, by their places among all
_GENRES = {"tcon", "\xa9gen", "gnre", "genre", "wm/genre", "wm/genreid"}


def difference(before: Path, after: Path) -> str | None:
    """Return the name of what mutagen reads otherwise in two files, besides the genre; or None.

    A file that it cannot read, and ID3 whose version has changed, are not compared.
    """
    old, new = _opened(before), _opened(after)
    if old is None or _version(old) != _version(new):
        return None
    left, right = _items(old), _items(new)
    return next((key for key in (left | right) if left.get(key) != right.get(key)), None)


def _opened(path: Path) -> Any:
    try:
        return mutagen.File(path)
    except Exception:  # it raises whatever damaged bytes make of its code
        return None


def _version(file: Any) -> Any:
    """Return the version of ID3; that of no tag is the one that a new tag gets."""
    return getattr(getattr(file, "tags", None), "version", (2, 4, 0))


def _items(file: Any) -> dict[str, list[Any]]:
    """Return the values but ours by their keys, FLAC's pictures and unknown ID3 frames too."""
    if file is None:
        return {"all of it": []}
    found = {
        "pictures": [vars(picture) for picture in getattr(file, "pictures", ())],
        "frames": list(getattr(file.tags, "unknown_frames", ())),
    }
    for key, value in () if file.tags is None else file.tags.items():
        if not _is_ours(key.lower()):
            values = found.setdefault(_NUMBERED.sub("unknown", key), [])
            values.append(vars(value) if isinstance(value, Frame) else value)
    found.get("unknown", []).sort(key=str)
    return found


def _is_ours(key: str) -> bool:
    """Whether a key holds the genre or where it came from, be it of one's own: TXXX or ----."""
    return key in _GENRES or key.rpartition(":")[2] in ("genre", PROVENANCE.lower())
