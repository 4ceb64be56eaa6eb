"""Compare what mutagen reads before and after: a reader that shares no code with the writer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
from mutagen.id3 import ID3, Frame

from genrekit.tags.formats.base import PROVENANCE, StyleField

_NUMBERED = re.compile(r"unknown\d+")  # comments without a key, by their places among all
_GENRES = {"tcon", "\xa9gen", "gnre", "genre", "wm/genre", "wm/genreid"}
_GROUPINGS = {"tit1", "\xa9grp", "grouping", "wm/contentgroupdescription"}


def difference(before: Path, after: Path, style_field: StyleField | None = None) -> str | None:
    """Return the name of what mutagen reads differently in two files besides the genre, or None.

    A style field, where one is given, may differ too. A file that it cannot read, and ID3 whose
    version has changed, are not compared.
    """
    old, new = _opened(before), _opened(after)
    if old is None or _version(old) != _version(new):
        return None
    is_ours = _ours(style_field, getattr(old, "tags", None))
    left, right = _items(old, is_ours), _items(new, is_ours)
    return next((key for key in (left | right) if left.get(key) != right.get(key)), None)


def _opened(path: Path) -> Any:
    try:
        return mutagen.File(path)
    except Exception:  # it raises whatever damaged bytes make of its code
        return None


def _version(file: Any) -> Any:
    """Return the version of ID3; without a tag, the version that a new one gets."""
    return getattr(getattr(file, "tags", None), "version", (2, 4, 0))


def _items(file: Any, is_ours: Callable[[str], bool]) -> dict[str, list[Any]]:
    """Return the values but ours by their keys, FLAC's pictures and unknown ID3 frames too."""
    if file is None:
        return {"all of it": []}
    found = {
        "pictures": [vars(picture) for picture in getattr(file, "pictures", ())],
        "frames": list(getattr(file.tags, "unknown_frames", ())),
    }
    for key, value in () if file.tags is None else file.tags.items():
        if not is_ours(key.lower()):
            values = found.setdefault(_NUMBERED.sub("unknown", key), [])
            values.append(vars(value) if isinstance(value, Frame) else value)
    found.get("unknown", []).sort(key=str)
    return found


def _ours(style_field: StyleField | None, tags: Any) -> Callable[[str], bool]:
    """Return what says whether a key, in lower case, holds the genre, its source or the style.

    A file in whose tags, as they were, iTunes has put its grouping into GRP1 has its work in TIT1.
    """
    keys, own = _GENRES, {"genre", PROVENANCE.lower()}  # own: TXXX or ---- stands before them
    if style_field == "GROUPING":
        has_work = isinstance(tags, ID3) and tags.getall("GRP1")
        keys = keys | {"grp1"} | (set() if has_work else _GROUPINGS)
    elif style_field:
        own = own | {style_field.lower()}
    return lambda key: key in keys or key.rpartition(":")[2] in own
