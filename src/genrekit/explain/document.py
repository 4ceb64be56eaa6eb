"""The JSON form of an explanation."""

from __future__ import annotations

from typing import Any

from genrekit.prediction import PredictionDocument
from genrekit.strict import StrictModel


class Passage(StrictModel):
    """Seconds that support a genre, with the mean evidence of their windows in nats."""

    start_seconds: float
    end_seconds: float
    evidence: float


class LabelEvidence(StrictModel):
    """One label's evidence in nats, and the passages that decide for it.

    ``segments`` holds a number a segment, ``windows`` a list of its windows, ``blocks`` a list of
    its bands' windows.
    """

    segments: list[float]
    windows: list[list[float]]
    blocks: list[list[list[float]]]
    deciding: list[Passage]


class ExplanationDocument(StrictModel):
    """Evidence for every label of the model, in nats; ``curves`` checks that of ``genre``."""

    prediction: PredictionDocument
    genre: str
    labels: list[str]
    starts_seconds: list[float]
    segment_seconds: float
    bands: list[str]
    evidence: dict[str, LabelEvidence]
    curves: dict[str, Any]
    replaced_by: str
    method: str
    n_segments: int
    coverage: str
