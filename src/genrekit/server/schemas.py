"""The schemas of the routes' responses, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from genrekit.explain.document import ExplanationDocument
from genrekit.models.card import Metrics, ModelCard
from genrekit.prediction import FailedFile, PredictionDocument
from genrekit.server.problems import ProblemDocument
from genrekit.strict import StrictModel


class PredictionResult(PredictionDocument):
    """A file's prediction, with ``spectrogram`` and ``timeline`` if the request includes them."""

    spectrogram: dict[str, Any] | None = None
    timeline: dict[str, Any] | None = None


class Results(StrictModel):
    """One result per file, in the order of the files."""

    results: list[PredictionResult | ExplanationDocument | FailedFile]


class JobDocument(StrictModel):
    """A job, with ``result`` once it is done, or ``problem`` once it has failed."""

    id: str
    status: Literal["running", "done", "failed"]
    result: PredictionResult | ExplanationDocument | Results | None = None
    problem: ProblemDocument | None = None


class ModelDocument(StrictModel):
    """A model that this server predicts with; the first of the list is the default."""

    name: str
    version: str
    description: str
    labels: list[str]
    sha256: str
    license: str
    metrics: list[Metrics]
    max_precision: float | None
    unfit_for: list[str]

    @classmethod
    def of(cls, card: ModelCard) -> ModelDocument:
        """Describe a model by its card."""
        same = {name: getattr(card, name, None) for name in cls.model_fields}
        precision = max((point.precision for point in card.precision_curve), default=None)
        made = {"sha256": card.onnx_sha256, "max_precision": precision}
        return cls.model_validate(same | made)


class ModelList(StrictModel):
    """Every model of this server."""

    models: list[ModelDocument]


class Health(StrictModel):
    """Whether the server is alive, or can accept work."""

    status: Literal["ok"]
