"""Make a copy of an audio file in which nothing but the genre differs, and prove it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.tags import formats
from genrekit.tags.profiles import Profile


def rewrite(
    source: Path, target: Path, genres: Sequence[str], provenance: str, profile: Profile
) -> None:
    """Write a copy of a file with other genres.

    The copy has the file's mode, owner and extended attributes. It is read again: every other tag,
    every picture and every packet of encoded audio is as before, and the genres that are read are
    those given.

    Args:
        source: the file; it stays as it is.
        target: the copy, which must not be there yet.
        genres: names, the most probable first.
        provenance: where they came from.
        profile: the form to write them in.

    Raises:
        TagError: something else would change, or the tags cannot be read or written.
        AudioError: no audio is found in the file.
        OSError: the copy cannot be written, such as on a full disk.
    """
    with source.open("rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
    formats.write(target, genres, provenance, profile)
    copy_status(source, target)
    _compare(source, target, profile.chosen(genres), provenance)


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


def _compare(source: Path, target: Path, genres: tuple[str, ...], provenance: str) -> None:
    written = formats.read(target)
    if written.genres != genres or written.provenance != provenance:
        raise TagError(
            f"{source}: {', '.join(genres)} was written and {', '.join(written.genres)} read back; "
            "choose names without semicolons, brackets and numbers alone"
        )
    before, after = formats.rest(source), formats.rest(target)
    changed = sorted(key for key in before | after if before.get(key) != after.get(key))
    if changed:
        raise TagError(
            f"{source}: writing the genre would change {', '.join(changed)} as well, so it is left "
            "alone; save it once with a tag editor, or choose another --profile"
        )
    if packets.digest(source) != packets.digest(target):
        raise TagError(f"{source}: writing the genre would change its audio, so it is left alone")
