"""A library as rekordbox XML: a collection with predicted genres, and one playlist per genre.

rekordbox shows it under "rekordbox xml", and imports from there. It has no place for My Tags.

Source: rekordbox's XML format as pyrekordbox 0.5 (rbxml.py) and reklawdbox.com describe it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from genrekit import __version__, labels
from genrekit.files import write_beside
from genrekit.library.query import LibraryEntry

_PREFIX = "file://localhost/"
# Characters that XML 1.0 does not allow (section 2.2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(entries: Iterable[LibraryEntry], target: Path) -> int:
    """Write a collection, and return the number of its tracks.

    Raises:
        OSError: the target cannot be written.
    """
    root = Element("DJ_PLAYLISTS", Version="1.0.0")
    SubElement(root, "PRODUCT", Name="genrekit", Version=__version__, Company="")
    collection = SubElement(root, "COLLECTION")
    genres: dict[str, list[str]] = {}
    for number, entry in enumerate(entries, 1):
        genre = labels.display_name(entry.label) if entry.label else ""
        SubElement(collection, "TRACK", _track(entry, number, genre))
        genres.setdefault(genre, []).append(str(number))
    n_tracks = sum(map(len, genres.values()))
    collection.set("Entries", str(n_tracks))
    genres.pop("", None)
    _add_playlists(SubElement(root, "PLAYLISTS"), genres)
    with write_beside(target) as stream:
        ElementTree.ElementTree(root).write(stream, encoding="UTF-8", xml_declaration=True)
    return n_tracks


def _track(entry: LibraryEntry, number: int, genre: str) -> dict[str, str]:
    """Return the attributes of a track, without unknown fields."""
    tags, seconds = entry.tags, entry.duration_seconds
    fields: Mapping[str, str | None] = {
        "TrackID": str(number),
        "Name": tags["title"] or entry.path.stem,
        "Artist": tags["artist"],
        "Album": tags["album"],
        "Genre": genre,
        "TotalTime": str(round(seconds)) if seconds else None,
        "Location": location(entry.path),
    }
    return {name: _NO_XML.sub("\ufffd", text) for name, text in fields.items() if text}


def location(path: Path) -> str:
    """Return an absolute path as rekordbox writes it.

    >>> location(Path("/music/a b.mp3"))
    'file://localhost/music/a%20b.mp3'
    """
    return _PREFIX + quote(os.fsencode(path.as_posix()).lstrip(b"/"), safe="/:")


def _add_playlists(parent: Element, genres: Mapping[str, Sequence[str]]) -> None:
    """Add a playlist per genre, with the numbers of its tracks."""
    root = SubElement(parent, "NODE", Type="0", Name="ROOT", Count=str(len(genres)))
    for genre, numbers in sorted(genres.items()):
        fields = {"Name": genre, "Type": "1", "KeyType": "0", "Entries": str(len(numbers))}
        node = SubElement(root, "NODE", fields)
        for number in numbers:
            SubElement(node, "TRACK", Key=number)
