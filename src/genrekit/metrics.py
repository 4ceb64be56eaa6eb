"""Metrics: arrays in, numbers out.

Every score is a function of sums over items (a confusion matrix, the sums per calibration bin), so
the bootstrap resamples those sums rather than the items: 2000 resamples take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

N_CALIBRATION_BINS = 15
FEW_GROUPS = 30  # an interval from fewer groups means little
N_RESAMPLES = 2000
# A probability of exactly 0 for the true label would make the loss infinite.
SMALLEST_PROBABILITY = 1e-12


class Estimate(NamedTuple):
    """A measured value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


class PrecisionCoverage(NamedTuple):
    """Precision and coverage when only predictions at or above each threshold count."""

    thresholds: Floats
    precision: Floats
    coverage: Floats


def confusion_items(true: ArrayLike, predicted: ArrayLike, n_labels: int) -> Floats:
    """Return one confusion matrix per item, with a single 1 in it; their sum is the total matrix.

    Args:
        true: label indices of the truth. Shape (n_items,).
        predicted: label indices of the predictions. Shape (n_items,).
        n_labels: how many labels there are.

    Returns:
        Shape (n_items, n_labels, n_labels): truth along axis 1, predictions along axis 2.

    Raises:
        ValueError: the shapes differ, or an index is out of range.

    >>> confusion_items([0, 0, 1], [0, 1, 1], 2).sum(axis=0).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    truth, labels = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if truth.shape != labels.shape or truth.ndim != 1:
        raise ValueError(
            f"got shapes {truth.shape} and {labels.shape}; expected equal shapes (n_items,)"
        )
    both = np.concatenate([truth, labels])
    if both.size and (both.min() < 0 or both.max() >= n_labels):
        raise ValueError(f"got labels {both.min()}..{both.max()}; expected 0..{n_labels - 1}")
    items = np.zeros((truth.size, n_labels, n_labels))
    items[np.arange(truth.size), truth, labels] = 1
    return items


def accuracy(confusion: ArrayLike) -> Floats:
    """Return the share of correct predictions. Shapes (..., n_labels, n_labels) -> (...)."""
    counts = np.asarray(confusion, dtype=np.float64)
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def precision(confusion: ArrayLike) -> Floats:
    """Return the share of each label's predictions that are correct.

    It is 0 for a label with items but no predictions, and NaN for one with neither.

    Shapes (..., n_labels, n_labels) -> (..., n_labels).
    """
    counts = np.asarray(confusion, dtype=np.float64)
    values = ratio(_hits(counts), counts.sum(axis=-2))
    return np.where(np.isnan(values) & (counts.sum(axis=-1) > 0), 0.0, values)


def recall(confusion: ArrayLike) -> Floats:
    """Return the share of each label's items that are predicted correctly; NaN without items.

    Shapes (..., n_labels, n_labels) -> (..., n_labels).
    """
    counts = np.asarray(confusion, dtype=np.float64)
    return ratio(_hits(counts), counts.sum(axis=-1))


def f1(confusion: ArrayLike) -> Floats:
    """Return the harmonic mean of precision and recall of each label; NaN without items.

    Shapes (..., n_labels, n_labels) -> (..., n_labels).
    """
    counts = np.asarray(confusion, dtype=np.float64)
    support = counts.sum(axis=-1)
    # 2 TP / (2 TP + FP + FN) is 0, not undefined, for a label that is never predicted.
    values = ratio(2 * _hits(counts), support + counts.sum(axis=-2))
    return np.where(support > 0, values, np.nan)


def macro(confusion: ArrayLike, score: Callable[[Floats], Floats]) -> Floats:
    """Average a score over the labels that have items.

    A label without items (in a resample, in a part of a dataset) has no recall and is left out.

    Args:
        confusion: shape (..., n_labels, n_labels).
        score: precision, recall or f1.

    Returns:
        Shape (...); NaN if no label has items.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    present = counts.sum(axis=-1) > 0
    values = np.where(present, score(counts), 0.0)
    return ratio(values.sum(axis=-1), present.sum(axis=-1))


def log_losses(probabilities: ArrayLike, true: ArrayLike) -> Floats:
    """Return -ln of the probability of each item's true label, clipped to at least 1e-12.

    Args:
        probabilities: shape (n_items, n_labels).
        true: label indices of the truth. Shape (n_items,).

    Returns:
        Negative log-likelihoods; their mean is the metric. Shape (n_items,).
    """
    values = np.asarray(probabilities, dtype=np.float64)
    chosen = np.take_along_axis(values, np.asarray(true, dtype=np.int64)[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)))


def calibration_items(
    probabilities: ArrayLike, true: ArrayLike, n_bins: int = N_CALIBRATION_BINS
) -> Floats:
    """Return what each item adds to its calibration bin: a count, its top probability, a hit.

    The bins are of equal width over the top probability: the first is [0, 1/n_bins], every other
    one is open below and closed above.

    Args:
        probabilities: shape (n_items, n_labels).
        true: label indices of the truth. Shape (n_items,).
        n_bins: how many bins there are.

    Returns:
        Shape (n_items, n_bins, 3).
    """
    values = np.asarray(probabilities, dtype=np.float64)
    best = values.max(axis=1)
    hits = values.argmax(axis=1) == np.asarray(true)
    bins = np.clip(np.ceil(best * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    items = np.zeros((len(values), n_bins, 3))
    items[np.arange(len(values)), bins] = np.stack([np.ones_like(best), best, hits], axis=1)
    return items


def expected_calibration_error(bin_sums: ArrayLike) -> Floats:
    """Return the mean gap between probability and accuracy over the calibration bins.

    With few items the estimate is biased upwards: in a bin of five items the accuracy of even a
    perfectly calibrated classifier differs from its probability. So a value on 150 tracks cannot be
    compared with one on 1000, and resampling adds to the bias.

    Args:
        bin_sums: the sum of calibration_items over the items. Shape (..., n_bins, 3).

    Returns:
        In [0, 1]. Shape (...).

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, equation 3.
    """
    sums = np.asarray(bin_sums, dtype=np.float64)
    distances = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1)
    return ratio(distances, sums[..., 0].sum(axis=-1))


def precision_coverage(
    probabilities: ArrayLike, true: ArrayLike, thresholds: ArrayLike | None = None
) -> PrecisionCoverage:
    """Return precision and coverage for every threshold on the top probability.

    Args:
        probabilities: of the tracks. Shape (n_tracks, n_labels).
        true: label indices of the truth. Shape (n_tracks,).
        thresholds: which ones to try; None tries each top probability that occurs.

    Returns:
        In ascending order of threshold, without thresholds that no track reaches.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    best = values.max(axis=1)
    hits = values.argmax(axis=1) == np.asarray(true)
    tried = np.unique(best if thresholds is None else np.asarray(thresholds, dtype=np.float64))
    predicted = best[None, :] >= tried[:, None]  # (n_thresholds, n_tracks)
    n_predicted = predicted.sum(axis=1)
    kept = n_predicted > 0
    n_correct = (predicted & hits).sum(axis=1)[kept]
    return PrecisionCoverage(
        tried[kept], n_correct / n_predicted[kept], n_predicted[kept] / max(len(best), 1)
    )


class Resamples:
    """Sums over all items, and over the items of resampled groups.

    Tracks of one artist are alike, so resampling tracks would make the interval too narrow. Instead
    groups are drawn with replacement, as many as there are.

    Source: Cameron, Gelbach, Miller (2008), Bootstrap-Based Improvements for Inference with
    Clustered Errors (pairs cluster bootstrap); Efron's percentile interval.
    """

    def __init__(
        self,
        items: ArrayLike,
        groups: Sequence[Hashable],
        n_resamples: int = N_RESAMPLES,
        seed: int = 0,
    ) -> None:
        """Draw the resamples.

        Args:
            items: what each item adds to the sums, such as confusion_items. Shape (n_items, ...).
            groups: the group of each item; items of one group are drawn together. Length n_items.
            n_resamples: how many resamples to draw.
            seed: the same seed draws the same groups.

        Raises:
            ValueError: there are no items, or not one group per item.
        """
        values = np.asarray(items, dtype=np.float64)
        if not len(values) or len(values) != len(groups):
            raise ValueError(
                f"got {len(values)} items and {len(groups)} groups; expected one group per item"
            )
        codes: dict[Hashable, int] = {}
        index = np.array([codes.setdefault(group, len(codes)) for group in groups])
        by_group = np.zeros((len(codes), *values.shape[1:]))
        np.add.at(by_group, index, values)
        chances = np.full(len(codes), 1 / len(codes))
        drawn = np.random.default_rng(seed).multinomial(len(codes), chances, size=n_resamples)
        self.total = by_group.sum(axis=0)
        self.sums = np.tensordot(drawn.astype(np.float64), by_group, axes=1)  # (n_resamples, ...)

    def estimate(self, statistic: Callable[[Any], Floats]) -> Estimate:
        """Return a statistic of all items with its 95 % interval.

        Args:
            statistic: maps sums of shape (n, ...) to values of shape (n,), such as accuracy; NaN
                where it is undefined for a resample.

        Returns:
            The value, and the 2.5 and 97.5 percentiles over the resamples for which it is defined.
        """
        low, high = np.nanpercentile(statistic(self.sums), [2.5, 97.5])
        return Estimate(float(statistic(self.total[None])[0]), float(low), float(high))


def bootstrap(
    items: ArrayLike,
    groups: Sequence[Hashable],
    statistic: Callable[[Any], Floats],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate one statistic of a sum; see Resamples for arguments, errors and source.

    >>> bootstrap(confusion_items([0, 1], [0, 1], 2), ["a", "b"], accuracy)
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    return Resamples(items, groups, n_resamples, seed).estimate(statistic)


def caution(n_tracks: int, n_groups: int, accuracy: float | None = None) -> str | None:
    """Return a caution that an interval of few artist groups means little; None if they suffice.

    Without an accuracy the interval is of another quantity, such as a difference of accuracies.
    If all or none were right, every resample is the same and the interval has no width; then the
    exact bound is added: the accuracy at which that many groups would all agree in 2.5 % of samples
    (Clopper and Pearson 1934, with each group one trial).

    >>> caution(14, 14, 1.0).partition("; ")[2]
    'all were right, as a true accuracy of 76.8 % still allows'
    >>> caution(500, 200, 0.9) is None
    True
    """
    if n_groups >= FEW_GROUPS:
        return None
    sentence = (
        f"an interval from {n_tracks} tracks of {n_groups} artist groups means little: below "
        f"{FEW_GROUPS} groups it is mostly chance"
    )
    if accuracy not in (0.0, 1.0):
        return sentence
    bound = 100 * 0.025 ** (1 / max(n_groups, 1))
    how, limit = ("all were", bound) if accuracy else ("none was", 100 - bound)
    return f"{sentence}; {how} right, as a true accuracy of {limit:.1f} % still allows"


def mcnemar(n_only_first: int, n_only_second: int) -> float:
    """Return the two-sided p value for two classifiers being equally good on the same tracks.

    Args:
        n_only_first: tracks that only the first classifier predicted correctly.
        n_only_second: tracks that only the second one predicted correctly.

    Returns:
        McNemar's exact p value, from the binomial distribution with one half.

    Raises:
        ValueError: a count is negative.

    Source: McNemar (1947), Psychometrika 12; exact form after Edwards.

    >>> mcnemar(0, 5)
    0.0625
    """
    if min(n_only_first, n_only_second) < 0:
        raise ValueError(f"got counts {n_only_first} and {n_only_second}; expected none below 0")
    n_discordant = n_only_first + n_only_second
    tail = sum(comb(n_discordant, k) for k in range(min(n_only_first, n_only_second) + 1))
    return min(1.0, float(2 * tail / 2**n_discordant))


def _hits(counts: Floats) -> Floats:
    return np.asarray(np.diagonal(counts, axis1=-2, axis2=-1))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the quotients of arrays of equal shape; NaN where the denominator is not above 0."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(top, bottom, out=np.full_like(bottom, np.nan), where=bottom > 0)
