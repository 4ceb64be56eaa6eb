"""The answers' shapes, for the OpenAPI document; the answers themselves are written elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from genrekit.models.card import Metrics
from genrekit.prediction import ModelReference, SegmentPrediction


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenreProbability(_Shape):
    """A label and its calibrated probability."""

    label: str
    probability: float


class PredictionAnswer(_Shape):
    """What genrekit says of one file; ``label`` is null where it abstained.

    ``spectrogram`` and ``timeline`` are there where the request included them.
    """

    path: str
    label: str | None
    probability: float
    abstained: bool
    threshold: float
    duration_seconds: float
    genres: list[GenreProbability]
    segments: list[SegmentPrediction]
    model: ModelReference
    warnings: list[str]
    spectrogram: dict[str, Any] | None = None
    timeline: dict[str, Any] | None = None


class ExplanationAnswer(_Shape):
    """Evidence for every label of the model, in nats; ``curves`` checks that of ``genre``."""

    prediction: dict[str, Any]
    genre: str
    labels: list[str]
    starts_seconds: list[float]
    segment_seconds: float
    bands: list[str]
    evidence: dict[str, Any]
    curves: dict[str, Any]
    replaced_by: str
    method: str
    n_heard: int
    coverage: str


class FailedAnswer(_Shape):
    """A file among several that could not be heard, and why."""

    path: str
    error: str


class Results(_Shape):
    """One answer a file, in the order of the files."""

    results: list[PredictionAnswer | ExplanationAnswer | FailedAnswer]


class ProblemDocument(_Shape):
    """What went wrong, after RFC 9457."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str


class JobAnswer(_Shape):
    """A job: ``result`` is there once it is done, ``problem`` once it failed."""

    id: str
    status: Literal["running", "done", "failed"]
    result: PredictionAnswer | ExplanationAnswer | Results | None = None
    problem: ProblemDocument | None = None


class ModelAnswer(_Shape):
    """A model that this server answers with; the first of the list is the default."""

    name: str
    version: str
    description: str
    labels: list[str]
    sha256: str
    license: str
    metrics: list[Metrics]
    max_precision: float | None
    unfit_for: list[str]


class ModelList(_Shape):
    """Every model of this server."""

    models: list[ModelAnswer]


class Health(_Shape):
    """Whether the server lives, or can take work."""

    status: Literal["ok"]
