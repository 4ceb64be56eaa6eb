"""Tags of audio files, read and written in every format by its own rules.

A file is taken apart to the byte. A genre is written by changing the bytes of the genre alone, and
of the field for the style where one is asked for; all others are compared afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mutagen.id3 import TCON

from genrekit.errors import AudioError, GenrekitError, TagError
from genrekit.tags.formats import base, containers, id3_versions, id3v2
from genrekit.tags.formats.base import FileBytes, Named, Place, StyleField, StyleValues, Tag
from genrekit.tags.formats.contents import TagContents, separate

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile


def read(
    path: Path, *, is_whole: bool = False, style_field: StyleField | None = None
) -> TagContents:
    """Read the tags that genrekit uses.

    Args:
        path: a file in one of the formats of docs/tagging.md.
        is_whole: also look at chained Ogg streams, for which the entire file is read.
        style_field: the field to read styles of; None reads none.

    Raises:
        TagError: the file is missing or damaged, or has no tags that genrekit knows.
    """
    with _understood(path), path.open("rb") as stream:
        tags = [
            place.tag
            for place in containers.opened(FileBytes(stream), path, is_whole=is_whole).places
        ]
        first = {field: _first(tags, field) for field in base.FIELDS[1:]}
        raw = _raw(tags, "genre")
        styles = _raw(tags, style_field) if style_field else ()
        genres = next((genres for tag in tags if (genres := _genres(tag))), [])
        conflicts = [
            f"{tag.kind}: {'; '.join(others)}"
            for tag in tags
            if (others := _genres(tag)) and not _agrees(tag, others, genres)
        ]
    return TagContents(
        tuple(genres),
        raw,
        **first,
        conflicts=tuple(conflicts),
        styles=tuple(separate(styles)),
        raw_styles=styles,
    )


def conflicts(path: Path) -> tuple[str, ...]:
    """Return the tags of a file that name other genres than the one that counts; see TagContents.

    There are none where the tags cannot be read.
    """
    try:
        return read(path, is_whole=True).conflicts
    except (TagError, OSError):
        return ()


def _raw(tags: Sequence[Tag], field: str) -> tuple[str, ...]:
    """Return the values of the first tag that has some, without empty ones."""
    values = next((values for tag in tags if any(values := tag.values(field))), [])
    return tuple(filter(None, values))


def _first(tags: Sequence[Tag], field: str) -> str | None:
    return next((value for tag in tags for value in tag.values(field) if value), None)


def _genres(tag: Tag) -> list[str]:
    """Return the genres of a tag, with ID3's numbers looked up.

    Source: ID3v2.3.0 and ID3v2.4.0, frame TCON (id3.org); the list of numbers is Winamp's.
    """
    raw = tag.values("genre")
    if tag.is_numbered:
        raw = [name for name in TCON(encoding=3, text=raw).genres if name != "Unknown"]
    return separate(raw)


def _agrees(tag: Tag, some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two tags name the same genres; ID3v1 has room for one of them."""
    left, right = ({name.casefold() for name in names} for names in (some, others))
    return left <= right if tag.kind == "ID3v1" else left == right


def write(
    path: Path,
    target: IO[bytes],
    genres: Sequence[str],
    provenance: str,
    profile: Profile,
    style: StyleValues | None = None,
) -> None:
    """Write a file's bytes with other genres, and where they came from, to another one.

    They are written into the tag that takes precedence, into every other one that has a genre
    field, even an empty one, and into ID3v1, which always has one. A style is written beside them;
    ID3v1 and INFO lists have no field for it.

    Raises:
        TagError: the file's tags cannot be read, or cannot be written without losing something.
        OSError: the target cannot be written.
    """
    new: dict[str, Sequence[str]] = {"genre": profile.chosen(genres)}
    if style:
        new[style.field] = profile.chosen(style.values)
    new["provenance"] = [provenance]
    with _understood(path), path.open("rb") as stream:
        container = containers.opened(data := FileBytes(stream), path)
        first, *others = container.places
        fields = ["genre", style.field] if style else ["genre"]
        others = [p for p in others if p.tag.kind == "ID3v1" or any(map(p.tag.values, fields))]
        contents = {
            place: _in_version(place.tag, profile).rewritten(new, profile)
            for place in [first, *others]
        }
        for part in base.changed(data, container.edits(contents)):
            target.write(part)


def _in_version(tag: Tag, profile: Profile) -> Tag:
    """Return a tag in the version of ID3v2 that a profile asks for."""
    if not isinstance(tag, id3v2.Id3v2Tag) or profile.id3_version in (None, tag.version):
        return tag
    return id3_versions.converted(tag, profile.id3_version)


def difference(before: Path, after: Path, style_field: StyleField | None = None) -> str | None:
    """Return the name of what differs between two files besides the genre and its source, or None.

    A style field, where one is given, may differ too.

    Both are parsed to the byte. All frames, comments, items, atoms, chunks and the audio are
    compared; sizes, padding, checksums and offsets that follow from the genre's length are not.

    Raises:
        TagError: the tags of one cannot be read.
    """
    fields = (*base.OURS, style_field) if style_field else base.OURS
    with _understood(before), before.open("rb") as one_stream, after.open("rb") as other_stream:
        old = containers.opened(FileBytes(one_stream), before)
        new = containers.opened(FileBytes(other_stream), after)
        pairs = zip_longest(old.places, new.places)
        for one, other in pairs:
            if one is None or other is None:
                return (one or other).tag.kind
            for left, right in zip_longest(*_said(one, other, fields), fillvalue=("", b"")):
                if left != right:
                    return left[0] or right[0]
        for left, right in zip_longest(old.rest(), new.rest(), fillvalue=("", b"")):
            if left != right:
                return left[0] or right[0]
    return None


def _said(one: Place, other: Place, fields: Collection[str]) -> tuple[list[Named], list[Named]]:
    """Return what two tags hold besides some fields, comparable across versions of ID3."""
    tags = one.tag, other.tag
    if all(isinstance(tag, id3v2.Id3v2Tag) for tag in tags) and tags[0].kind != tags[1].kind:
        known = (tag for tag in tags if isinstance(tag, id3v2.Id3v2Tag))
        left, right = (id3_versions.meaning(tag, fields) for tag in known)
        return left, right
    return tags[0].others(fields), tags[1].others(fields)


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn any error in a file's contents into a TagError that names the file.

    Raises:
        TagError: the file is missing or damaged, or has no tags that genrekit knows.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise TagError(f"{path}: is not a file; name an audio file")
    try:
        yield
    except OSError:
        raise
    except AudioError as error:
        raise TagError(str(error)) from error
    except GenrekitError as error:
        error.args = (f"{path}: {error}",)
        raise
    except Exception as error:  # what damaged bytes make of any reader
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TagError(
            f"{path}: its tags cannot be parsed ({type(error).__name__}: {reason}); it is left "
            "alone"
        ) from error
