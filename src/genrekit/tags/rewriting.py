"""Copy an audio file with new genres, and prove that nothing else differs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genrekit.audio import packets
from genrekit.errors import GenrekitError, TagError
from genrekit.tags import formats, second_reader
from genrekit.tags.formats.base import PROVENANCE, StyleValues

if TYPE_CHECKING:
    from genrekit.tags.profiles import Profile


def rewrite(
    source: Path,
    target: Path,
    genres: Sequence[str],
    provenance: str,
    profile: Profile,
    audio_sha256: str | None = None,
    style: StyleValues | None = None,
) -> None:
    """Write a copy of a file with other genres.

    The copy has the file's mode, owner and extended attributes. It is read back: every other tag,
    every picture and every packet of encoded audio must be as before, and the genres and the style
    must be those given.

    Args:
        source: the file; it stays as it is.
        target: the copy, which must not exist yet.
        genres: names, the most probable first.
        provenance: where the genres came from.
        profile: the form to write them in.
        audio_sha256: packets.digest of the file, where it is known.
        style: the new values of a field beside the genre; None changes no such field.

    Raises:
        TagError: something else would change, or the tags cannot be read or written.
        AudioError: no audio is found in the file.
        OSError: the copy cannot be written, such as on a full disk.
    """
    with beside(source, target) as stream:
        formats.write(source, stream, genres, provenance, profile, style)
    copy_status(source, target)
    try:
        chosen = style and StyleValues(style.field, profile.chosen(style.values))
        _compare(source, target, profile.chosen(genres), provenance, chosen)
        if packets.digest(target) != (audio_sha256 or packets.digest(source)):
            raise TagError(f"{source}: writing the genre would change its audio; it is left alone")
    except GenrekitError as error:  # the copy is nothing that its reader knows
        raise type(error)(str(error).replace(str(target), str(source))) from error


def beside(source: Path, target: Path) -> IO[bytes]:
    """Create a file that only those may read who may read another one.

    Raises:
        OSError: it cannot be created, or exists already.
    """
    opener = partial(os.open, mode=source.stat().st_mode & 0o777)
    return open(target, "xb", opener=opener)


def copy_status(source: Path, target: Path) -> None:
    """Give a file the mode, owner, extended attributes and times of another, as far as allowed.

    Raises:
        OSError: a file is gone.
    """
    status = source.stat()
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)


def flush(path: Path) -> None:
    """Wait until a file's bytes are on the disk.

    Raises:
        OSError: the disk is full or fails.
    """
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until a rename in a folder is on the disk; Windows has no such call.

    Raises:
        OSError: the disk fails.
    """
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _compare(
    source: Path,
    target: Path,
    genres: tuple[str, ...],
    provenance: str,
    style: StyleValues | None,
) -> None:
    field = style.field if style else None
    written = formats.read(target, style_field=field)
    if written.genres != genres:
        raise TagError(f"{source}: {_misread(genres, written.genres)}")
    if style and written.styles != style.values:
        raise TagError(f"{source}: {_misread(style.values, written.styles, style.field)}")
    if written.provenance != provenance:
        raise TagError(
            f"{source}: {PROVENANCE} was written as {provenance!r} and reads "
            f"{written.provenance!r}, so the file is left alone"
        )
    readers = formats.difference, second_reader.difference
    for changed in (difference(source, target, field) for difference in readers):
        if changed:
            raise TagError(
                f"{source}: writing the genre would change {changed} as well, so it is left alone"
            )


def _misread(genres: Sequence[str], written: Sequence[str], field: str = "genre") -> str:
    """Say which genre is read back as something else, and why."""
    name = next((name for name in genres if name not in written), (*genres, "")[-1])
    if ";" in name:
        reason = "a semicolon stands between genres; leave it out"
    elif name != name.strip():
        reason = "spaces around a genre are not kept; leave them out"
    elif name.casefold() in [other.casefold() for other in genres if other is not name]:
        reason = "it stands there twice; leave one out"
    else:
        reason = "ID3 takes numbers and what is in brackets for its own genres; spell it in words"
    read_back = ", ".join(written) or f"no {field}"
    return f"the {field} {name!r} was written and {read_back} read back: {reason}"
