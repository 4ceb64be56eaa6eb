"""Prediction: what genrekit says of one track, and its JSON form."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class SegmentPrediction(BaseModel):
    """Probabilities of one segment of a track, with its place in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_seconds: float
    end_seconds: float
    probabilities: dict[str, float]


class ModelReference(BaseModel):
    """Which model spoke: name, version and the SHA-256 of its network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    sha256: str


class Prediction(BaseModel):
    """Genre probabilities of one track.

    ``probabilities`` maps every label of the model to the calibrated probability of the track, the
    mean over its segments; they sum to one. ``abstained`` is true where the best probability lies
    below ``threshold``: then ``label`` is None and the answer is "I don't know".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None
    probabilities: dict[str, float]
    segments: tuple[SegmentPrediction, ...]
    model: ModelReference
    duration_seconds: float
    threshold: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def genres(self) -> list[tuple[str, float]]:
        """(label, probability) pairs, most probable first; ties in the model's label order."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    @property
    def probability(self) -> float:
        """Probability of the most probable label."""
        return max(self.probabilities.values())

    @property
    def abstained(self) -> bool:
        """Whether the best probability lies below the threshold."""
        return self.probability < self.threshold

    @property
    def label(self) -> str | None:
        """The most probable label, or None when abstaining."""
        return None if self.abstained else self.genres[0][0]

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the JSON form as a dictionary.

        Args:
            top: keep only this many of the most probable genres; None keeps all of them.
        """
        return {
            "path": self.path,
            "label": self.label,
            "probability": self.probability,
            "abstained": self.abstained,
            "threshold": self.threshold,
            "duration_seconds": self.duration_seconds,
            "genres": [{"label": k, "probability": p} for k, p in self.genres[:top]],
            "segments": [segment.model_dump() for segment in self.segments],
            "model": self.model.model_dump(),
            "warnings": list(self.warnings),
        }

    def to_json(self, top: int | None = None) -> str:
        """Return one line of JSON; ``from_json(p.to_json())`` equals ``p``."""
        return json.dumps(self.to_dict(top), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Prediction:
        """Read what to_json wrote (with every genre kept).

        Raises:
            ValueError: the text is not the JSON form of a Prediction.
        """
        fields = json.loads(text)
        try:
            return cls(
                path=fields["path"],
                probabilities={g["label"]: g["probability"] for g in fields["genres"]},
                segments=fields["segments"],
                model=fields["model"],
                duration_seconds=fields["duration_seconds"],
                threshold=fields["threshold"],
                warnings=fields["warnings"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the JSON form of a Prediction: {error!r}") from error
