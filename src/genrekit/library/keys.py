"""Keys by which names are sorted, found and compared."""

from __future__ import annotations

from genrekit import labels
from genrekit.library import database

LAST = "\U0010ffff"  # sorts files without artist, title, ... after all others


def key(value: str | None) -> str:
    """Return the key for sorting and finding text: case-folded, with composed letters."""
    return labels.composed(database.text(value)).casefold() if value else LAST


def artist(name: str | None) -> str | None:
    r"""Return the key that identifies an artist; None for names that mean no particular artist.

    >>> artist("Bjo\u0308rk") == artist("BJ\u00d6RK"), artist("Various Artists"), artist(None)
    (True, None, None)
    """
    found = key(name)
    return None if found == LAST or labels.artist_group(found) is None else found
