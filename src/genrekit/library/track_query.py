"""What is asked of a library's table: which files, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sort = Literal[
    "path", "artist", "title", "album", "tag", "label", "probability", "agreement", "duration"
]
Filter = Literal[
    "all",
    "disagrees",
    "missing",
    "placeholder",
    "not_music",
    "below",
    "failed",
    "corrected",
    "gone",
]


@dataclass(frozen=True)
class TrackQuery:
    """Which files a table shows, and in which order.

    Attributes:
        sort: the column; what has no value there comes last in either direction.
        descending: the largest value first.
        search: words that all stand in the path, artist, title, album or genres, in any order.
        filter: a kind of files.
        genre: only where this is the most probable label, or a wider genre of that.
        min_probability, max_probability: of the most probable label; None is no condition.
        lasso: corners of a polygon on the library's map; only the tracks in it. () is no condition.
    """

    sort: Sort = "path"
    descending: bool = False
    search: str = ""
    filter: Filter = "all"
    genre: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    lasso: tuple[tuple[float, float], ...] = ()
