"""What addresses of a library hold: ids, and what a table is asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from fastapi.params import Path as InPath

from genrekit.library.track_query import Filter, Sort, TrackQuery

TrackId = Annotated[int, InPath(ge=1, lt=1 << 63)]
JobId = Annotated[int, InPath(ge=1, lt=1 << 63)]
_Probability = Annotated[float | None, Query(ge=0, le=1)]


def wanted_tracks(
    sort: Sort = "path",
    descending: bool = False,
    search: Annotated[str, Query(max_length=200)] = "",
    filter: Filter = "all",
    genre: Annotated[str | None, Query(max_length=200)] = None,
    min_probability: _Probability = None,
    max_probability: _Probability = None,
) -> TrackQuery:
    """Return which tracks a request asks for."""
    return TrackQuery(sort, descending, search, filter, genre, min_probability, max_probability)


Wanted = Annotated[TrackQuery, Depends(wanted_tracks)]
