"""What names are sorted, found and compared by."""

from __future__ import annotations

from genrekit import labels
from genrekit.library import database

LAST = "\U0010ffff"  # sorts what has no artist, title, ... behind all that has


def key(value: str | None) -> str:
    """Return what text is sorted and found by: without case, with composed letters."""
    return labels.composed(database.text(value)).casefold() if value else LAST


def artist(name: str | None) -> str | None:
    r"""Return what tells an artist from others; None where nobody or many are named.

    >>> artist("Bjo\u0308rk") == artist("BJ\u00d6RK"), artist("Various Artists"), artist(None)
    (True, None, None)
    """
    found = key(name)
    return None if found == LAST or labels.artist_group(found) is None else found
