"""The model card: everything known about a network, as ``card.json``.

The file ends with a seal, the SHA-256 of everything else in it, so that manual edits of a card are
detected. It protects against accidents and embellished numbers, not against forgers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from genrekit.errors import ModelError
from genrekit.features.spec import FeatureSpec
from genrekit.metrics import caution
from genrekit.strict import StrictModel

SEAL = "seal"
FORMAT_VERSION = 2
Probability = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=1e-3, le=1e3)]
Coefficient = Annotated[float, Field(ge=-1e6, le=1e6)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class OtherFormatError(ValueError):
    """A card of a format that this version of genrekit does not read."""

    def __init__(self, found: object) -> None:
        wrote = "genrekit 0.1" if found == 1 else "another version of genrekit"
        super().__init__(
            f"its format_version is {found!r}, written by {wrote}; expected {FORMAT_VERSION}: "
            "train the model again, or install a release of it for this version"
        )


class Interval(StrictModel):
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float

    def percent(self, unit: str = "") -> str:
        """Return a share in percent.

        >>> Interval(value=0.5, low=0.4, high=0.625).percent(" %")
        '50.0 % [40.0, 62.5]'
        """
        return f"{100 * self.value:.1f}{unit} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def points(self, unit: str = "") -> str:
        """Return a difference of shares in percentage points, with its sign.

        >>> Interval(value=0.05, low=-0.01, high=0.11).points(" points")
        '+5.0 points [-1.0, +11.0]'
        """
        return f"{100 * self.value:+.1f}{unit} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"

    def number(self) -> str:
        """Return the value as it is.

        >>> Interval(value=0.0551, low=0.04, high=0.07).number()
        '0.055 [0.04, 0.07]'
        """
        return f"{self.value:.3f} [{self.low:.2f}, {self.high:.2f}]"


class Calibration(StrictModel):
    """The parameters that turn logits into probabilities.

    A segment's probabilities are softmax((logits + bias) / temperature); a track's are the mean of
    its segments' to the power of 1 / track_temperature, normalised.
    """

    temperature: Temperature = 1.0
    track_temperature: Temperature = 1.0
    bias: tuple[Annotated[float, Field(ge=-1000, le=1000)], ...] = ()
    fitted_on: str = ""
    ece_before: float | None = None
    ece_after: float | None = None


class MusicGate(StrictModel):
    """A logistic regression that separates music from speech, noise and other sounds.

    A segment is music if weights @ embedding + bias is above 0; ``fitted_on`` names the data.
    """

    weights: Annotated[tuple[Coefficient, ...], Field(min_length=1, max_length=100_000)]
    bias: Coefficient
    fitted_on: str = ""


class PrecisionPoint(StrictModel):
    """One point of the validation curve: predicting at or above threshold has this precision."""

    threshold: Probability
    precision: Probability
    coverage: Probability


class Abstention(StrictModel):
    """The results of a model that abstains below the threshold for a promised precision.

    ``threshold`` is None if several models have one each, ``precision`` if none predicts anything.
    """

    promised_precision: Probability
    threshold: Probability | None
    precision: Interval | None
    coverage: Interval
    n_tracks: int


class Metrics(StrictModel):
    """The scores on one split, with the number of tracks.

    ``uncalibrated_error`` is the expected calibration error without temperature and bias.
    """

    split: str
    data: str
    n_tracks: int
    level: Literal["segment", "majority_vote", "mean_probability"] = "mean_probability"
    accuracy: Interval
    macro_recall: Interval
    macro_f1: Interval
    expected_calibration_error: Interval
    per_class_recall: dict[str, float]
    n_per_class: dict[str, int] = Field(default_factory=dict)
    n_artist_groups: int | None = None
    uncalibrated_error: Interval | None = None
    abstention: tuple[Abstention, ...] = ()

    @property
    def caution(self) -> str | None:
        """Return a caution that the intervals mean little, if there are few artist groups."""
        if self.n_artist_groups is None:
            return None
        return caution(self.n_tracks, self.n_artist_groups, self.accuracy.value)


class LeakRow(StrictModel):
    """The same recipe under one split; it is LEAKY if the split separates a track's segments.

    ``difference`` is this accuracy minus the honest split's; None for the honest split.
    """

    split: str
    n_tracks: int
    n_artist_groups: int
    segment_accuracy: Interval
    accuracy: Interval
    difference: Interval | None

    @property
    def caution(self) -> str | None:
        """Return a caution that the intervals mean little, if there are few artist groups."""
        return caution(self.n_tracks, self.n_artist_groups, self.accuracy.value)


class LeakMeter(StrictModel):
    """The effect of the split alone: one recipe on the same data, from leaky to honest splits."""

    data: str
    recipe: str
    honest: str
    rows: tuple[LeakRow, ...]


class AudioChange(StrictModel):
    """One change to the audio: the accuracy under it, and how many predictions stay the same."""

    name: str
    n_tracks: int
    accuracy: Interval
    agreement: Interval


class Robustness(StrictModel):
    """The effects of changes to the audio of the same test tracks; the first row is no change."""

    data: str
    split: str
    changes: tuple[AudioChange, ...]


class TrainingData(StrictModel):
    """The labelled tracks that the weights were fitted to."""

    dataset: str
    split: str
    split_sha256: str
    n_tracks: dict[str, int]
    track_ids: tuple[str, ...] = ()
    n_per_class: dict[str, int] = Field(default_factory=dict)


class View(StrictModel):
    """One input of the network: its name in ``model.onnx`` and the front end that computes it.

    ``feature_means`` is the mean of every bin over training tracks, as input to the network:
    explanations fill masked parts with it. It is empty if unknown.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = "features"
    features: FeatureSpec
    feature_means: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> View:
        if len(self.feature_means) not in (0, self.features.n_bins):
            raise ValueError(
                f"feature_means has {len(self.feature_means)} numbers; the front end has "
                f"{self.features.n_bins} bins"
            )
        return self

    def with_means(self, feature_means: Sequence[float]) -> View:
        """Return the view with other feature_means."""
        return self.model_copy(update={"feature_means": tuple(feature_means)})


def one_view(spec: FeatureSpec, feature_means: Sequence[float] = ()) -> tuple[View]:
    """Return the views of a network whose only input is called "features"."""
    return (View(features=spec, feature_means=tuple(feature_means)),)


def with_hop(views: Sequence[View], hop_seconds: float) -> tuple[View, ...]:
    """Return the views with segments that start hop_seconds apart."""
    change = {"segment_hop_seconds": hop_seconds}
    return tuple(
        view.model_copy(update={"features": view.features.model_copy(update=change)})
        for view in views
    )


def check_views(views: Sequence[View]) -> None:
    """Check that views are of the same segments, so that a track is cut only once for all.

    Raises:
        ValueError: a name occurs twice; the segments differ in length, hop or range; or
            hand-crafted columns are combined with another view.
    """
    names = [view.name for view in views]
    if len(set(names)) != len(names):
        raise ValueError(f"the names of views must differ; got {', '.join(names)}")
    for key in ("segment_seconds", "segment_hop_seconds", "first_seconds"):
        values = {getattr(view.features, key) for view in views}
        if len(values) > 1:
            raise ValueError(
                f"all views need the same {key}; got {', '.join(map(str, sorted(values)))}"
            )
    if len(views) > 1 and any(view.features.kind == "handcrafted" for view in views):
        raise ValueError(
            "hand-crafted columns must be the only view of a model; got other views too"
        )


class ModelCard(StrictModel):
    """Everything that turns ``model.onnx`` into calibrated genre probabilities.

    ``views`` are the inputs of the network; all are computed from the same segments of a track.
    ``images`` says which images of spectrograms it takes: "none"; "published", as well as audio,
    from which it draws the same; or "other", of unknown origin, so that it takes no audio.
    """

    format_version: Literal[2] = 2
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    version: str
    description: str
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=10_000)]
    views: Annotated[tuple[View, ...], Field(min_length=1, max_length=16)]
    images: Literal["none", "published", "other"] = "none"
    aggregation: Literal["mean_probability", "majority_vote"] = "mean_probability"
    calibration: Calibration = Calibration()
    music_gate: MusicGate | None = None
    precision_curve: tuple[PrecisionPoint, ...] = ()
    training_data: TrainingData | None = None
    metrics: tuple[Metrics, ...] = ()
    leak_meter: LeakMeter | None = None
    robustness: Robustness | None = None
    training_cost: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
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
        check_views(self.views)
        if self.images != "none" and len(self.views) > 1:
            raise ValueError(f"a model of images has one view; got {len(self.views)}")
        return self

    @property
    def segments(self) -> FeatureSpec:
        """The first view's front end, whose segment length and hop are those of every view."""
        return self.views[0].features


def threshold_for(card: ModelCard, min_precision: float | None) -> float:
    """Return the lowest probability at which a model's predictions reach a precision.

    Args:
        card: the model's card, with its precision curve measured on validation tracks.
        min_precision: in (0, 1]; None for no requirement.

    Returns:
        The threshold of the curve's point with the largest coverage among those that reach
        min_precision; 0 without a requirement.

    Raises:
        ModelError: the card has no curve, or none of its points reaches min_precision.
        ValueError: min_precision is outside (0, 1].
    """
    if min_precision is None:
        return 0.0
    if not 0 < min_precision <= 1:
        raise ValueError(
            f"got min_precision {min_precision}; expected a number above 0 and at most 1"
        )
    if not card.precision_curve:
        raise ModelError(
            f"model {card.name!r} has no precision curve in its card, so no precision can be "
            "promised; omit min_precision or use another model"
        )
    reached = [point for point in card.precision_curve if point.precision >= min_precision]
    if not reached:
        best = max(point.precision for point in card.precision_curve)
        raise ModelError(
            f"model {card.name!r} cannot reach a precision of {min_precision:g}; the best it "
            f"reached on its validation tracks is {best:.3f}; request no more than that"
        )
    return max(reached, key=lambda point: point.coverage).threshold


def to_json(card: ModelCard) -> str:
    """Return the content of ``card.json``: the card and its seal."""
    fields = card.model_dump(mode="json")
    return json.dumps({**fields, SEAL: seal_of(fields)}, ensure_ascii=False, indent=1) + "\n"


def from_json(text: str | bytes) -> ModelCard:
    """Read the output of to_json.

    Raises:
        pydantic.ValidationError: it is not JSON, or a key is missing, unknown or wrong.
        ValueError: another version of genrekit wrote the card; or its seal is missing or does not
            match the rest: the card was edited.
    """
    fields = json.loads(text)
    if isinstance(fields, dict) and fields.get("format_version") != FORMAT_VERSION:
        raise OtherFormatError(fields.get("format_version"))
    seal = fields.pop(SEAL, None) if isinstance(fields, dict) else None
    card = ModelCard.model_validate_json(json.dumps(fields))
    if seal != seal_of(fields):
        raise ValueError(f"its {SEAL} {'does not match' if seal else 'is missing'}")
    return card


def seal_of(fields: dict[str, Any]) -> str:
    """Return the seal of a card's fields: a hash of the file's content, not of its layout."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
