"""The list of tracks to leave out: TSV with track_id, reason and other tracks."""

from __future__ import annotations

from pathlib import Path

from genrekit.errors import DatasetError

HEADER = "track_id\treason\tother"


def read(path: Path) -> dict[str, str]:
    """Read what ``genrekit datasets audit -o`` wrote, or a plain list of track ids.

    Args:
        path: a text file; the first cell (up to a tab) of each line is a track_id, the second, if
            any, the reason. The header and lines that start with "#" are skipped.

    Returns:
        track_id -> reason.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}; give a file that `genrekit datasets audit "
            "-o` wrote, or one track_id a line"
        ) from error
    reasons: dict[str, str] = {}
    for line in text.split("\n"):
        track_id, _, rest = line.rstrip("\r").partition("\t")
        if track_id.strip() and not track_id.startswith("#") and line.rstrip("\r") != HEADER:
            reasons.setdefault(track_id.strip(), rest.partition("\t")[0] or "listed")
    return reasons
