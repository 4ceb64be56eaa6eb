"""ID3v1: the last 128 bytes of a file, and the 227 of "TAG+" that may stand before them.

Source: ID3v1 (Eric Kemp, 1996) and its extension (birdcagesoft.com, about 2000).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mutagen.id3 import TCON

from genrekit.labels import spelling
from genrekit.tags.formats.base import OURS, Bytes, Named, Values

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile

N_BYTES, N_EXTENDED = 128, 227
_UNKNOWN = 255
_GENRE = slice(4 + 3 * 60 + 1, 4 + 3 * 60 + 1 + 30)  # of TAG+, in words
_FIELDS = {"title": slice(3, 33), "artist": slice(33, 63), "album": slice(63, 93)}
_YEAR, _COMMENT = slice(93, 97), slice(97, 127)
_NUMBERS = {spelling(name): number for number, name in reversed(list(enumerate(TCON.GENRES)))}


def before(data: Bytes, end: int) -> int:
    """Return the length of the ID3v1 tag that ends at an offset, TAG+ included, or 0."""
    tail = data[max(0, end - N_BYTES - 3) : end]
    if len(tail) < N_BYTES or tail[-N_BYTES:][:3] != b"TAG" or tail.startswith(b"APETAGEX"):
        return 0
    extended = end - N_BYTES - N_EXTENDED
    return N_BYTES + N_EXTENDED * (extended >= 0 and data[extended : extended + 4] == b"TAG+")


class Id3v1Tag:
    """One ID3v1 tag."""

    kind = "ID3v1"
    is_numbered = False

    def __init__(self, content: bytes) -> None:
        self._extended, self._content = content[:-N_BYTES], content[-N_BYTES:]

    def values(self, field: str) -> list[str]:
        """Return the text of a field, if there is one."""
        if field == "genre":
            number = self._content[-1]
            known = TCON.GENRES[number] if number < len(TCON.GENRES) else ""
            text = _text(self._extended[_GENRE]) or known
        else:
            text = _text(self._content[_FIELDS[field]]) if field in _FIELDS else ""
        return [text] if text else []

    def others(self, fields: Collection[str] = OURS) -> list[Named]:
        """Return everything but the genre; ID3v1 lacks the other fields."""
        del fields
        extended = self._extended[: _GENRE.start] + self._extended[_GENRE.stop :]
        return [("ID3v1", self._content[:-1]), ("ID3v1 TAG+", extended)]

    def rewritten(self, new: Values, profile: Profile) -> bytes:
        """Return the tag with the first genre that has a number, or "unknown"."""
        del profile
        genres = new["genre"]
        known = [_NUMBERS[spelling(genre)] for genre in genres if spelling(genre) in _NUMBERS]
        extended = self._extended
        if extended:
            text = "; ".join(genres).encode("latin-1", "replace")[:30].ljust(30, b"\0")
            extended = extended[: _GENRE.start] + text + extended[_GENRE.stop :]
        return extended + self._content[:-1] + bytes([known[0] if known else _UNKNOWN])

    def frames(self, version: int) -> bytes:
        """Return its fields as ID3v2 frames, for a tag that hides this one from players."""
        from genrekit.tags.formats.id3v2 import frame

        texts = {
            b"TIT2": self.values("title"),
            b"TPE1": self.values("artist"),
            b"TALB": self.values("album"),
            b"TDRC" if version == 4 else b"TYER": [_text(self._content[_YEAR])],
        }
        comment = self._content[_COMMENT]
        if comment[28] == 0 and comment[29]:  # ID3v1.1
            texts[b"TRCK"] = [str(comment[29])]
            comment = comment[:28]
        found = b"".join(
            frame(version, name, values) for name, values in texts.items() if any(values)
        )
        if _text(comment):
            text = b"\0eng\0" + _text(comment).encode("latin-1")
            found += b"COMM" + len(text).to_bytes(4, "big") + b"\0\0" + text
        return found


def _text(content: bytes) -> str:
    return content.split(b"\0")[0].decode("latin-1").strip()
