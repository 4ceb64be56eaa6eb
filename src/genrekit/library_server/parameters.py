"""Parameters of a library's addresses: ids, and queries of the table."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import Depends, Query
from fastapi.params import Path as InPath

from genrekit.library.track_query import Filter, Sort, TrackQuery
from genrekit.server.problems import ProblemError

TrackId = Annotated[int, InPath(ge=1, lt=1 << 63)]
JobId = Annotated[int, InPath(ge=1, lt=1 << 63)]
MIN_CORNERS, MAX_CORNERS = 3, 128
Lasso = Annotated[
    str, Query(max_length=4000, description="A polygon on the map: x1,y1,x2,y2,... in [-1, 1].")
]
_Probability = Annotated[float | None, Query(ge=0, le=1)]


def wanted_tracks(
    sort: Sort = "path",
    descending: bool = False,
    search: Annotated[str, Query(max_length=200)] = "",
    filter: Filter = "all",
    genre: Annotated[str | None, Query(max_length=200)] = None,
    min_probability: _Probability = None,
    max_probability: _Probability = None,
    lasso: Lasso = "",
) -> TrackQuery:
    """Return which tracks a request asks for."""
    return TrackQuery(
        sort,
        descending,
        search,
        filter,
        genre,
        min_probability,
        max_probability,
        corners(lasso),
    )


def corners(lasso: str) -> tuple[tuple[float, float], ...]:
    """Read the corners of a polygon.

    Raises:
        ProblemError: 422 they are too few, too many or no numbers.
    """
    try:
        values = [float(value) for value in lasso.split(",")] if lasso else []
    except ValueError:
        values = [math.nan]
    n_corners = len(values) // 2
    is_fit = len(values) % 2 == 0 and (not values or MIN_CORNERS <= n_corners <= MAX_CORNERS)
    if not is_fit or not all(map(math.isfinite, values)):
        detail = (
            f"lasso: got {lasso[:40]!r}; give x1,y1,x2,y2,... of {MIN_CORNERS} to {MAX_CORNERS}"
        )
        raise ProblemError(422, f"{detail} corners")
    return tuple(zip(values[::2], values[1::2], strict=True))


Wanted = Annotated[TrackQuery, Depends(wanted_tracks)]
