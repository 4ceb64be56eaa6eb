"""Score the items of one level, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from genrekit import metrics
from genrekit.evaluation.result import ClassScores, CoveragePoint, Level, ReliabilityBin, Scores
from genrekit.models.card import Interval, PrecisionPoint

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def score(
    level: Level,
    probabilities: Floats,
    true: Integers,
    groups: Sequence[str],
    labels: Sequence[str],
) -> Scores:
    """Score the items of one level.

    Args:
        level: the kind of items.
        probabilities: shape (n_items, n_labels).
        true: label indices of the truth. Shape (n_items,).
        groups: the artist group of each item, for the intervals.
        labels: names of the labels.
    """
    items = metrics.confusion_items(true, probabilities.argmax(axis=1), len(labels))
    resamples = metrics.Resamples(items, groups)

    def macro(of_class: Callable[[Floats], Floats]) -> Interval:
        return interval(resamples, lambda sums: metrics.macro(sums, of_class))

    return Scores(
        level=level,
        n_items=len(true),
        accuracy=interval(resamples, metrics.accuracy),
        macro_precision=macro(metrics.precision),
        macro_recall=macro(metrics.recall),
        macro_f1=macro(metrics.f1),
        negative_log_likelihood=likelihood(probabilities, true, groups),
        expected_calibration_error=calibration_error(probabilities, true, groups),
        per_class={name: _class_scores(resamples, k) for k, name in enumerate(labels)},
        confusion=tuple(tuple(map(int, row)) for row in resamples.total.tolist()),
        reliability=_reliability(probabilities, true),
    )


def likelihood(probabilities: Floats, true: Integers, groups: Sequence[str]) -> Interval:
    """Return the mean negative log-likelihood of items; arguments as for score."""
    losses = metrics.log_losses(probabilities, true)
    items = np.stack([losses, np.ones_like(losses)], axis=1)
    return interval(metrics.Resamples(items, groups), mean)


def calibration_error(probabilities: Floats, true: Integers, groups: Sequence[str]) -> Interval:
    """Return the expected calibration error of items; arguments as for score."""
    items = metrics.calibration_items(probabilities, true)
    return interval(metrics.Resamples(items, groups), metrics.expected_calibration_error)


def mean(sums: Floats) -> Floats:
    """Return the first sums divided by the second. Shape (n, 2) -> (n,)."""
    return metrics.ratio(sums[:, 0], sums[:, 1])


def interval(resamples: metrics.Resamples, statistic: Callable[[Floats], Floats]) -> Interval:
    """Return a statistic with its interval; see Resamples.estimate."""
    return Interval(**resamples.estimate(statistic)._asdict())


def _class_scores(resamples: metrics.Resamples, label: int) -> ClassScores:
    n_items = int(resamples.total[label].sum())
    n_predicted = int(resamples.total[:, label].sum())

    def of_label(of_class: Callable[[Floats], Floats]) -> Interval:
        return interval(resamples, lambda sums: of_class(sums)[..., label])

    return ClassScores(
        n_items=n_items,
        precision=of_label(metrics.precision) if n_items or n_predicted else None,
        recall=of_label(metrics.recall) if n_items else None,
        f1=of_label(metrics.f1) if n_items else None,
    )


def _reliability(probabilities: Floats, true: Integers) -> tuple[ReliabilityBin, ...]:
    sums = metrics.calibration_items(probabilities, true).sum(axis=0)
    width = 1 / len(sums)
    return tuple(
        ReliabilityBin(
            low=index * width,
            high=(index + 1) * width,
            n_items=int(n),
            mean_probability=total / n,
            accuracy=hits / n,
        )
        for index, (n, total, hits) in enumerate(sums.tolist())
        if n
    )


def coverage(
    curve: Sequence[PrecisionPoint], probabilities: Floats, true: Integers, groups: Sequence[str]
) -> tuple[CoveragePoint, ...]:
    """Return the results at each threshold for which the card promises a precision.

    Args:
        curve: the card's, measured on validation tracks.
        probabilities: shape (n_tracks, n_labels).
        true: label indices of the truth. Shape (n_tracks,).
        groups: the artist group of each track, for the intervals.
    """
    return tuple(
        CoveragePoint(
            threshold=point.threshold,
            promised_precision=point.precision,
            **selective_scores(np.full(len(true), point.threshold), probabilities, true, groups),
        )
        for point in curve
    )


class SelectiveScores(TypedDict):
    """The fields that CoveragePoint and Abstention share."""

    precision: Interval | None
    coverage: Interval
    n_tracks: int


def selective_scores(
    thresholds: Floats, probabilities: Floats, true: Integers, groups: Sequence[str]
) -> SelectiveScores:
    """Return precision and coverage where only confident predictions count.

    Args:
        thresholds: the least probability of each track's prediction. Shape (n_tracks,).
        probabilities: shape (n_tracks, n_labels).
        true: label indices of the truth. Shape (n_tracks,).
        groups: the artist group of each track, for the intervals.
    """
    answered = probabilities.max(axis=1) >= thresholds
    hits = probabilities.argmax(axis=1) == true
    items = np.stack([answered & hits, answered, np.ones_like(answered)], axis=1)
    resamples = metrics.Resamples(items, groups)
    return SelectiveScores(
        precision=interval(resamples, mean) if answered.any() else None,
        coverage=interval(resamples, lambda sums: mean(sums[:, 1:])),
        n_tracks=int(answered.sum()),
    )
