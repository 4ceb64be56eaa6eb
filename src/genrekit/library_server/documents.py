"""The schemas of what the routes of a library take and return."""

from __future__ import annotations

from typing import Literal

from genrekit.strict import StrictModel
from genrekit.tagging.plan_files import StyleChange


class LabelDocument(StrictModel):
    """A label of the model: its wider genre where it has one, and how many tracks it leads."""

    label: str
    display_name: str
    parent: str | None
    colour: str
    n_tracks: int


class LibraryModelDocument(StrictModel):
    """The model whose predictions are shown: the one of the last scan."""

    name: str
    has_embedding: bool


class IndexingDocument(StrictModel):
    """How many of the library's files the table shows as they are now."""

    done: int
    total: int


class SessionDocument(StrictModel):
    """What the page needs first.

    ``model`` is None and the lists are empty before anything was scanned. ``threshold`` is the
    probability below which a track counts as "below".
    """

    version: str
    read_only: bool
    database: str
    model: LibraryModelDocument | None
    threshold: float
    labels: list[LabelDocument]
    counts: dict[str, int]
    indexing: IndexingDocument | None
    folders: list[str]
    profiles: list[str]
    genre_maps: list[str]


class RowDocument(StrictModel):
    """A file as a line of the table.

    ``tags`` are the genres of its tags, ``is_placeholder`` whether they name none, as "Other";
    ``correction`` are those that a person has given it here.
    """

    id: int
    path: str
    artist: str | None
    title: str | None
    album: str | None
    album_artist: str | None
    tags: list[str]
    label: str | None
    display_name: str | None
    probability: float | None
    agreement: Literal["agrees", "disagrees", "untagged", "none"]
    is_placeholder: bool
    duration_seconds: float | None
    warnings: list[str]
    error: str | None
    is_missing: bool
    is_quarantined: bool
    correction: list[str] | None


class WindowDocument(StrictModel):
    """A slice of the table; ``revision`` grows with every change of the library."""

    total: int
    revision: int
    rows: list[RowDocument]


class IdsDocument(StrictModel):
    """The ids of all files that match a query, in its order."""

    ids: list[int]


class ProbabilityDocument(StrictModel):
    """A label and its probability."""

    label: str
    display_name: str
    probability: float


class SourceDocument(StrictModel):
    """What one source says of a track: its most probable labels, and its weight.

    A tag that names only genres outside the model's labels has neither weight nor probability.
    """

    source: str
    weight: float | None
    labels: list[str]
    probability: float | None


class ChangeDocument(StrictModel):
    """One change of a file's genre and style; ``state`` is one of genrekit.tagging.journal."""

    change: int
    transaction: int
    time: str
    state: str
    old: list[str]
    new: list[str]
    style: StyleChange | None


class TrackDocument(RowDocument):
    """All that is known of a track without analysing it.

    ``conflicts`` are tags of the file with other genres than the one that takes precedence.
    """

    folder: str
    probabilities: list[ProbabilityDocument]
    sources: list[SourceDocument]
    together: ProbabilityDocument | None
    history: list[ChangeDocument]
    has_cover: bool
    conflicts: list[str]


class SimilarDocument(RowDocument):
    """A track that is similar to another one; ``similarity`` is a cosine in [-1, 1]."""

    similarity: float


class SimilarList(StrictModel):
    """The most similar tracks first."""

    tracks: list[SimilarDocument]


class MapDocument(StrictModel):
    """Where tracks lie in [-1, 1] x [-1, 1], in columns of one length.

    ``labels`` are positions in ``label_names``, -1 of a track that has none.
    """

    revision: int
    label_names: list[str]
    ids: list[int]
    x: list[float]
    y: list[float]
    labels: list[int]


class TeachDocument(RowDocument):
    """A track whose genre would teach the model, and why."""

    why: str


class TeachList(StrictModel):
    """The tracks that would teach the model most, first."""

    tracks: list[TeachDocument]


class GenreList(StrictModel):
    """Genre names to choose from."""

    genres: list[str]
