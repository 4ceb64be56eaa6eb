"""The result of an evaluation, and its JSON form."""

from __future__ import annotations

from typing import Literal

from genrekit import metrics
from genrekit.models.card import Abstention, Interval, LeakMeter, Metrics, Robustness
from genrekit.prediction import ModelReference
from genrekit.strict import StrictModel

Level = Literal["segment", "majority_vote", "mean_probability"]


class ClassScores(StrictModel):
    """Scores of one label.

    Recall and f1 are None if no item has the label, precision if it was not predicted either.
    """

    n_items: int
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None


class ReliabilityBin(StrictModel):
    """The items whose top probability is in (low, high]."""

    low: float
    high: float
    n_items: int
    mean_probability: float
    accuracy: float


class LevelScores(StrictModel):
    """The scores of one level."""

    n_items: int
    accuracy: Interval
    macro_precision: Interval
    macro_recall: Interval
    macro_f1: Interval
    negative_log_likelihood: Interval


class Scores(LevelScores):
    """All scores of one level with 95 % intervals; rows of the confusion matrix are the truth.

    Macro scores are means over the labels with items. The share of votes is not strictly a
    probability, so likelihood and calibration error of majority_vote are for comparison only.
    """

    level: Level
    expected_calibration_error: Interval
    per_class: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]


class Uncalibrated(StrictModel):
    """The scores without the card's temperature and bias, to show the effect of calibration."""

    negative_log_likelihood: Interval
    expected_calibration_error: Interval


class CoveragePoint(StrictModel):
    """The results at one of the card's thresholds; precision is None if no track reaches it."""

    threshold: float
    promised_precision: float
    precision: Interval | None
    coverage: Interval
    n_tracks: int


class RunScore(StrictModel):
    """The score of one of the pooled models, with its seed if there are several."""

    split: str
    seed: int | None = None
    sha256: str
    n_tracks: int
    n_correct: int


class TrackResult(StrictModel):
    """The prediction of one track; ``group`` is its resampling group."""

    track_id: str
    path: str
    artist_group: str | None
    group: str
    genre: str
    label: str
    probability: float
    n_segments: int

    @property
    def correct(self) -> bool:
        """Whether the prediction is the truth."""
        return self.label == self.genre


class Confusion(StrictModel):
    """Tracks of one genre predicted as another label, the most confident mistakes first."""

    genre: str
    label: str
    track_ids: tuple[str, ...]


class FailedTrack(StrictModel):
    """A track that could not be decoded; it is left out of every number."""

    track_id: str
    path: str
    error: str


class EvaluationResult(StrictModel):
    """An evaluation: the model, the tracks, and every score with its interval.

    ``split_is_leaky``: segments of one track are on both sides of the split.
    ``product_level`` is the level of the model's own predictions. ``trained_on`` lists the tracks
    of this part that the weights were fitted to; they count only if ``includes_trained_on`` is
    true. ``n_same_artist`` counts the measured tracks that are not training tracks but share an
    artist with them. ``unknown_genres`` counts tracks left out because the model lacks their
    label. ``problems`` are the dataset's: files skipped before any split. ``runs`` has one entry
    per model: a single one, or one per fold and seed of a recipe. ``other_split`` is true if the
    model's card names a split of this name and data, but with other tracks. ``composition`` counts
    each genre's tracks by part of the (first) split, or segments under the leaky one;
    ``confusions`` are at ``product_level``, the most frequent first.
    """

    model: ModelReference
    runs: tuple[RunScore, ...]
    data: str
    split: str
    split_sha256: str
    split_is_leaky: bool
    part: str
    labels: tuple[str, ...]
    composition: dict[str, dict[str, int]]
    n_tracks: int
    n_artist_groups: int
    product_level: Level
    levels: dict[Level, Scores]
    uncalibrated: Uncalibrated
    coverage: tuple[CoveragePoint, ...]
    abstention: tuple[Abstention, ...]
    trained_on: tuple[str, ...]
    includes_trained_on: bool
    other_split: bool
    n_same_artist: int
    unknown_genres: dict[str, int]
    problems: tuple[str, ...]
    failures: tuple[FailedTrack, ...]
    tracks: tuple[TrackResult, ...]
    confusions: tuple[Confusion, ...]
    leak_meter: LeakMeter | None = None
    robustness: Robustness | None = None

    @property
    def leaky(self) -> bool:
        """Whether the scores are inflated, by a leaky split or measured training tracks."""
        return self.split_is_leaky or (self.includes_trained_on and bool(self.trained_on))

    @property
    def split_title(self) -> str:
        """The split, its part and, if it applies, the word LEAKY."""
        return f"{self.split} {self.part}{' (LEAKY)' if self.leaky else ''}"

    @property
    def caution(self) -> str | None:
        """Say that the intervals mean little, where they come of few artist groups."""
        accuracy = self.product.accuracy.value
        return metrics.caution(self.n_tracks, self.n_artist_groups, accuracy)

    @property
    def product(self) -> Scores:
        """The scores at the level of the model's own predictions."""
        return self.levels[self.product_level]


def to_card_metrics(result: EvaluationResult, level: Level | None = None) -> Metrics:
    """Return an evaluation's scores in the form for a model card.

    Args:
        result: an evaluation.
        level: the level; None is that of the model's own predictions.
    """
    return card_metrics(
        result.levels[level or result.product_level],
        split=result.split_title,
        data=result.data,
        n_tracks=result.n_tracks,
        n_artist_groups=result.n_artist_groups,
        uncalibrated_error=result.uncalibrated.expected_calibration_error,
        abstention=result.abstention,
    )


def card_metrics(
    scores: Scores,
    *,
    split: str,
    data: str,
    n_tracks: int,
    n_artist_groups: int,
    uncalibrated_error: Interval | None = None,
    abstention: tuple[Abstention, ...] = (),
) -> Metrics:
    """Return the scores of one level in the form for a model card."""
    return Metrics(
        split=split,
        data=data,
        n_tracks=n_tracks,
        level=scores.level,
        accuracy=scores.accuracy,
        macro_recall=scores.macro_recall,
        macro_f1=scores.macro_f1,
        expected_calibration_error=scores.expected_calibration_error,
        per_class_recall={
            label: row.recall.value
            for label, row in scores.per_class.items()
            if row.recall is not None
        },
        n_per_class={label: row.n_items for label, row in scores.per_class.items()},
        n_artist_groups=n_artist_groups,
        uncalibrated_error=uncalibrated_error,
        abstention=abstention,
    )
