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

    Recall and f1 are None where no item has it, precision where it was not predicted either.
    """

    n_items: int
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None


class ReliabilityBin(StrictModel):
    """The items whose best probability lies in (low, high]."""

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

    Macro scores are means over the labels that have an item. The share of votes is no probability
    in the strict sense, so likelihood and calibration error of majority_vote serve to compare only.
    """

    level: Level
    expected_calibration_error: Interval
    per_class: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]


class Uncalibrated(StrictModel):
    """The mean probability without the card's temperature and bias: what calibration changes."""

    negative_log_likelihood: Interval
    expected_calibration_error: Interval


class CoveragePoint(StrictModel):
    """What one threshold of the card gives here; precision is None where no track reaches it."""

    threshold: float
    promised_precision: float
    precision: Interval | None
    coverage: Interval
    n_tracks: int


class RunScore(StrictModel):
    """The score of one of the models that an evaluation pools; its seed where several count."""

    split: str
    seed: int | None = None
    sha256: str
    n_tracks: int
    n_correct: int


class TrackResult(StrictModel):
    """The prediction of one track; ``group`` is what intervals resample."""

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
    """Tracks of one genre that were predicted as one other label, the surest mistakes first."""

    genre: str
    label: str
    track_ids: tuple[str, ...]


class FailedTrack(StrictModel):
    """A track that could not be decoded; it is left out of every number."""

    track_id: str
    path: str
    error: str


class EvaluationResult(StrictModel):
    """An evaluation: which model on which tracks, and every number with its interval.

    ``split_is_leaky``: segments of one track lie on both sides of the split.
    ``product_level`` is the level of the model's own predictions. ``trained_on`` names the tracks
    of this part that the weights were fitted to; they count only where ``includes_trained_on`` is
    true. ``n_same_artist`` counts the tracks measured that are no training tracks but have
    an artist who is in the training tracks. ``unknown_genres`` counts tracks left out because the
    model has no such label. ``problems`` are the dataset's: files it skipped before any split.
    ``runs`` has an entry for each model: one, or one a fold and seed of a recipe. ``other_split``
    is true where the model's card names a split of this name and data, but of other tracks.
    ``composition`` counts each genre's tracks by part of the (first) split, segments under the
    leaky one; ``confusions`` are of ``product_level``, the most frequent first.
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
        """Whether the numbers flatter: a leaky split, or training tracks that were measured."""
        return self.split_is_leaky or (self.includes_trained_on and bool(self.trained_on))

    @property
    def split_title(self) -> str:
        """The split, its part and, where it applies, the word LEAKY."""
        return f"{self.split} {self.part}{' (LEAKY)' if self.leaky else ''}"

    @property
    def caution(self) -> str | None:
        """Say that the intervals mean little, where they come of few artist groups."""
        accuracy = self.product.accuracy.value
        return metrics.caution(self.n_tracks, self.n_artist_groups, accuracy)

    @property
    def product(self) -> Scores:
        """The scores of the level of the model's own predictions."""
        return self.levels[self.product_level]


def to_card_metrics(result: EvaluationResult, level: Level | None = None) -> Metrics:
    """Return an evaluation's numbers in the form that a model card keeps.

    Args:
        result: an evaluation.
        level: which level; None is the one of the model's own predictions.
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
    """Return the scores of one level in the form that a model card keeps."""
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
