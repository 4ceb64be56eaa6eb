"""Convert ID3v2 from one version to another for a profile; mutagen translates the frames."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from io import BytesIO
from typing import Literal

from mutagen.id3 import ID3

from genrekit.errors import TagError
from genrekit.tags.formats import id3v2
from genrekit.tags.formats.base import OURS, PROVENANCE, Named

# Frames that ID3v2.4 defines and that players read in ID3v2.3 as well.
_KEPT_IN_V23 = ["RVA2", "TDEN", "TDRL", "TDTG", "TMOO", "TPRO", "TSOA", "TSOP", "TSOT", "TSST"]
_OURS = ("TCON", f"TXXX:{PROVENANCE}")
_DATES = {"TYE", "TDA", "TIM", "TYER", "TDAT", "TIME", "TDRC"}
_PEOPLE = {"TIPL", "TMCL", "IPLS", "IPL"}
_ENCODING = re.compile(r"encoding=<[^>]*>, ")


def converted(tag: id3v2.Id3v2Tag, version: Literal[3, 4]) -> id3v2.Id3v2Tag:
    """Return a tag in another version.

    Raises:
        TagError: something in it has no frame there.
    """
    frames = _read(tag, translate=True)
    if version == 3:
        kept = [frame for key in _KEPT_IN_V23 for frame in frames.getall(key)]
        frames.update_to_v23()
        for frame in kept:
            frames.add(frame)
    else:
        frames.update_to_v24()
    for key in _OURS:
        frames.delall(key)
    target = BytesIO()
    frames.save(target, v2_version=version, v23_sep=None, padding=lambda info: 0)
    content = target.getvalue() or id3v2.made(version)
    return id3v2.Id3v2Tag(content)


def _read(tag: id3v2.Id3v2Tag, *, translate: bool) -> ID3:
    """Read a tag by mutagen.

    Raises:
        TagError: mutagen does not understand a frame, and would drop it.
    """
    frames = ID3(BytesIO(bytes(tag)), translate=False) if tag.frames else ID3()
    known = {str(key)[:4] for key in frames}
    lost = {f.id.decode() for f in tag.frames if tag.version > 2 and f.id.decode() not in known}
    if lost or frames.unknown_frames:
        names = ", ".join(sorted(lost)) or "unknown ones"
        raise TagError(
            f"its ID3v2 tag holds frames ({names}) that would be lost in another version of ID3; "
            "choose a profile that leaves the version as it is"
        )
    return ID3(BytesIO(bytes(tag))) if tag.frames and translate else frames


def meaning(tag: id3v2.Id3v2Tag, fields: Collection[str] = OURS) -> list[Named]:
    """Return the content of a tag without some fields; tags with equal content say the same.

    Texts are as the file holds them, since mutagen drops what it does not understand.
    """
    texts: Counter[str] = Counter()
    dates: dict[str, str] = {}
    ours = tag.of(fields)
    for frame in tag.frames:
        name = frame.id.decode()
        if name in _DATES:
            dates[name[:3]] = "\0".join(tag.texts(frame))
        elif name[0] == "T" and frame not in ours and name not in _PEOPLE:
            texts["\0".join(tag.texts(frame))] += 1
    texts.pop("", None)
    frames = _read(tag, translate=True)
    others = {
        key: _ENCODING.sub("", repr(frame)) for key, frame in frames.items() if key not in _OURS
    }
    grouping = {"GRP1" for frame in ours if frame.id in (b"GP1", b"GRP1")}
    said = {key: value for key, value in others.items() if key[0] != "T" and key not in grouping}
    return [
        ("date", _date(dates).encode()),
        ("texts", repr(sorted(texts.items())).encode()),
        *((key, value.encode("utf-8", "surrogateescape")) for key, value in sorted(said.items())),
    ]


def _date(dates: dict[str, str]) -> str:
    """Return a date as ID3v2.4 writes it, from the frames of any version."""
    if "TDR" in dates:
        date = dates["TDR"].replace(" ", "T")
    else:
        day, time = dates.get("TDA", ""), dates.get("TIM", "")
        date = dates.get("TYE", "")
        date += f"-{day[2:]}-{day[:2]}" if day else ""
        date += f"T{time[:2]}:{time[2:]}" if time else ""
    return date.removesuffix(":00") if date.count(":") == 2 else date
