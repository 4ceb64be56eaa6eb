"""The model card: everything a model folder says about its network, as ``card.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from genrekit.features.spec import FeatureSpec

Probability = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A frozen part of the card that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(Strict):
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


class Calibration(Strict):
    """Temperature and per-class bias: probabilities = softmax((logits + bias) / temperature)."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    bias: tuple[float, ...] = ()
    fitted_on: str = ""
    ece_before: float | None = None
    ece_after: float | None = None


class PrecisionPoint(Strict):
    """One point of the validation curve: answering at or above threshold gives this precision."""

    threshold: Probability
    precision: Probability
    coverage: Probability


class Metrics(Strict):
    """What was measured, on which split, over how many tracks."""

    split: str
    data: str
    n_tracks: int
    level: Literal["segment", "majority_vote", "mean_probability"] = "mean_probability"
    accuracy: Interval
    macro_recall: Interval
    macro_f1: Interval
    expected_calibration_error: Interval
    per_class_recall: dict[str, float]


class TrainingData(Strict):
    """The labelled tracks that the weights were fitted to."""

    dataset: str
    split: str
    split_sha256: str
    n_tracks: dict[str, int]
    track_ids: tuple[str, ...] = ()


class ModelCard(Strict):
    """Everything that turns ``model.onnx`` into calibrated genre probabilities."""

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    version: str
    description: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    features: FeatureSpec
    aggregation: Literal["mean_probability", "majority_vote"] = "mean_probability"
    calibration: Calibration = Calibration()
    precision_curve: tuple[PrecisionPoint, ...] = ()
    training_data: TrainingData | None = None
    metrics: tuple[Metrics, ...] = ()
    training_cost: str = ""
    recipe: dict[str, Any] = {}
    initial_weights: str = ""
    unfit_for: tuple[str, ...] = ()
    license: str
    citation: str = ""
    onnx_sha256: str

    @model_validator(mode="after")
    def _check(self) -> ModelCard:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must differ; got {', '.join(self.labels)}")
        if len(self.calibration.bias) not in (0, len(self.labels)):
            raise ValueError(
                f"calibration.bias has {len(self.calibration.bias)} numbers; there are "
                f"{len(self.labels)} labels"
            )
        return self
