"""The schemas of jobs, and of plans that are reviewed, applied and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from genrekit.errors import unknown_name
from genrekit.library.track_query import Filter
from genrekit.strict import StrictModel
from genrekit.tagging import genre_map
from genrekit.tagging.plan_files import MAX_CHARACTERS, MAX_GENRES, StyleChange
from genrekit.tagging.plan_settings import PlanSettings

Decision = Literal["open", "accepted", "rejected"]
JobState = Literal["running", "paused", "interrupted", "done", "failed", "cancelled"]
JobKind = Literal["scan", "watch", "plan", "apply", "undo", "train"]
Id = Annotated[int, Field(ge=1, lt=1 << 63)]
Folder = Annotated[str, Field(min_length=1, max_length=4096)]
Genres = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]],
    Field(min_length=1, max_length=MAX_GENRES),
]


class LibraryJobDocument(StrictModel):
    """Work that runs in the background of the page.

    ``interrupted`` is what ran when the program ended; it can be resumed.
    """

    id: int
    kind: JobKind
    title: str
    state: JobState
    done: int
    total: int | None
    messages: list[str]
    result: dict[str, Any] | None
    can_pause: bool
    started: str
    ended: str | None


class JobList(StrictModel):
    """The latest jobs first."""

    jobs: list[LibraryJobDocument]


class ScanRequest(StrictModel):
    """Which folders to scan; ``retry`` tries the files again that failed before."""

    folders: Annotated[list[Folder], Field(min_length=1, max_length=100)]
    retry: bool = False


class WatchRequest(StrictModel):
    """Which folder to watch."""

    folder: Folder


class PlanFilter(StrictModel):
    """The tracks that the table shows for a query."""

    filter: Filter = "all"
    search: Annotated[str, Field(max_length=200)] = ""
    genre: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    lasso: Annotated[str, Field(max_length=4000)] = ""


class PlanRequest(PlanSettings):
    """What to plan: folders, single tracks or what the table shows; otherwise everything.

    ``genre_map`` is a list of names that comes with genrekit: no file is read for a request.
    """

    folders: Annotated[list[Folder], Field(max_length=100, default_factory=list)]
    ids: Annotated[list[Id], Field(max_length=1_000_000)] | None = None
    filter: PlanFilter | None = None

    @field_validator("genre_map")
    @classmethod
    def _comes_with_genrekit(cls, value: Path | None) -> Path | None:
        if value and str(value) not in genre_map.names():
            raise ValueError(unknown_name("genre_map", str(value), genre_map.names()))
        return value


class ReasonDocument(StrictModel):
    """Why files stay as they are, and how many."""

    reason: str
    n_tracks: int


class ReviewSummary(StrictModel):
    """How many lines of a plan are in which state, and why other files stay as they are."""

    n_lines: int = 0
    open: int = 0
    accepted: int = 0
    rejected: int = 0
    applied: int = 0
    failed: int = 0
    reasons: Annotated[list[ReasonDocument], Field(default_factory=list)]


class LineDocument(StrictModel):
    """One file of a plan: its current and its new genres."""

    id: int
    track_id: int | None
    path: str
    artist: str | None
    album: str | None
    album_artist: str | None
    title: str | None
    old: list[str]
    new: list[str]
    style: StyleChange | None
    why: str
    probability: float | None
    decision: Decision
    outcome: Literal["changed", "unchanged", "failed"] | None
    reason: str | None
    warnings: list[str]


class ReviewDocument(StrictModel):
    """A part of the plan in review; every change names the revision that it is based on."""

    revision: int
    state: Literal["none", "review", "applying"]
    summary: ReviewSummary
    total: int
    lines: list[LineDocument]


class RevisionDocument(StrictModel):
    """The result of a change of the plan."""

    revision: int
    summary: ReviewSummary


class LineDecision(StrictModel):
    """What is decided about a line; ``new`` are other genres to write."""

    id: Id
    decision: Decision | None = None
    new: Genres | None = None


class DecisionsRequest(StrictModel):
    """Decisions about lines of the plan as it was at a revision."""

    revision: int
    decisions: Annotated[list[LineDecision], Field(max_length=100_000)]


class AcceptRequest(StrictModel):
    """Accept every open line that is at least as probable."""

    revision: int
    min_probability: Annotated[float, Field(ge=0, le=1)]


class DropRequest(StrictModel):
    """Forget the plan."""

    revision: int


class ApplyRequest(StrictModel):
    """Write what is accepted; ``expected_count`` is how many files the user was shown."""

    revision: int
    expected_count: Annotated[int, Field(ge=1)]


class UndoRequest(StrictModel):
    """Undo a transaction, or the last change of one track."""

    transaction: Id | None = None
    track: Id | None = None


class TransactionDocument(StrictModel):
    """One plan that was applied: how many of its files are in which state."""

    id: int
    started: str
    n_files: dict[str, int]
    is_undoable: bool


class TransactionList(StrictModel):
    """The latest transactions first."""

    transactions: list[TransactionDocument]


class CorrectionRequest(StrictModel):
    """The genres of a track, as a person spells them."""

    genres: Genres


class TrainedRequest(StrictModel):
    """The job whose model will be used."""

    job: Id


class AcceptedModel(StrictModel):
    """The name under which a model is installed, which the next scan uses."""

    model: str
