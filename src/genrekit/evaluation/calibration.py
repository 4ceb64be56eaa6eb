"""Fit what turns logits into probabilities that can be trusted, on validation tracks only.

What is calibrated is the product's answer, the mean of the segments' probabilities, and not the
single segment: the mean of overconfident segments is less confident than each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit import metrics
from genrekit.aggregation import segment_probabilities
from genrekit.models.card import Calibration, PrecisionPoint

TEMPERATURES = (0.05, 20.0)
BIASES = (-5.0, 5.0)
N_CYCLES = 20
SMALLEST_GAIN = 1e-7
CURVE_THRESHOLDS = np.linspace(0.0, 0.98, 50)


def fit(
    logits: Sequence[NDArray[np.floating]],
    true: ArrayLike,
    *,
    with_bias: bool = False,
    fitted_on: str = "",
) -> Calibration:
    """Fit the temperature, and where wished a bias per label, to validation tracks.

    Minimises the tracks' negative log-likelihood plus a Gaussian prior of standard deviation 1 on
    ln(temperature) and on each bias. The prior weighs as much as half a track: nothing among 200
    tracks, but it keeps five tracks that were all right from ending in a certainty of 100 %.

    Args:
        logits: one array a track. Shapes (n_segments, n_labels).
        true: label index of each track. Shape (n_tracks,).
        with_bias: fit a bias per label too; worth it where the training data's mix of genres
            differs from the validation data's, and a risk with few tracks.
        fitted_on: which tracks these are, for the model card.

    Returns:
        The card's calibration, with the calibration error before and after on these same tracks;
        so the one after is optimistic.

    Raises:
        ValueError: no track, a track without segments, or another number of labels than tracks.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2, applied to
    the mean over segments.
    """
    tracks = _Tracks(logits, true)
    temperature = _fit_temperature(tracks, np.zeros(tracks.n_labels))
    bias = np.zeros(tracks.n_labels)
    if with_bias:
        temperature, bias = _fit_both(tracks, temperature, bias)
    return Calibration(
        temperature=temperature,
        bias=tuple(bias.tolist()) if with_bias else (),
        fitted_on=fitted_on,
        ece_before=tracks.calibration_error(1.0, np.zeros(tracks.n_labels)),
        ece_after=tracks.calibration_error(temperature, bias),
    )


def precision_curve(probabilities: ArrayLike, true: ArrayLike) -> tuple[PrecisionPoint, ...]:
    """Return the card's precision curve: what abstaining below a threshold gives.

    Args:
        probabilities: calibrated, of validation tracks. Shape (n_tracks, n_labels).
        true: label index of each track. Shape (n_tracks,).

    Returns:
        Points at thresholds 0, 0.02, ... 0.98, as far as a track reaches them. Where coverage is
        small, precision was measured on few tracks and is uncertain.
    """
    curve = metrics.precision_coverage(probabilities, true, CURVE_THRESHOLDS)
    return tuple(
        PrecisionPoint(threshold=round(t, 4), precision=round(p, 4), coverage=round(c, 4))
        for t, p, c in zip(*(values.tolist() for values in curve), strict=True)
    )


class _Tracks:
    """The segments of all tracks in one array, so that one pass computes every track."""

    def __init__(self, logits: Sequence[NDArray[np.floating]], true: ArrayLike) -> None:
        lengths = np.array([len(rows) for rows in logits], dtype=np.int64)
        self.true = np.asarray(true, dtype=np.int64)
        if not len(logits) or not lengths.all() or self.true.shape != (len(logits),):
            raise ValueError(
                f"{len(logits)} tracks (fewest segments: {min(lengths, default=0)}) and "
                f"{self.true.size} labels came; as many of both, and a segment each, are needed"
            )
        self.logits = np.concatenate(logits).astype(np.float64)  # (n_segments of all, n_labels)
        self.lengths = lengths
        self.starts = np.cumsum(lengths) - lengths
        self.n_labels = self.logits.shape[1]

    def probabilities(self, temperature: float, bias: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over each track's segments, shape (n_tracks, n_labels)."""
        segments = segment_probabilities(self.logits, temperature, bias.tolist())
        sums = np.add.reduceat(segments, self.starts, axis=0)
        return np.asarray(sums / self.lengths[:, None])

    def loss(self, temperature: float, bias: NDArray[np.float64]) -> float:
        """Return the mean negative log-likelihood of the tracks plus the prior."""
        likelihood = metrics.log_losses(self.probabilities(temperature, bias), self.true).mean()
        prior = (np.log(temperature) ** 2 + (bias**2).sum()) / (2 * len(self.true))
        return float(likelihood + prior)

    def calibration_error(self, temperature: float, bias: NDArray[np.float64]) -> float:
        """Return the expected calibration error of the tracks."""
        items = metrics.calibration_items(self.probabilities(temperature, bias), self.true)
        return float(metrics.expected_calibration_error(items.sum(axis=0)))


def _fit_temperature(tracks: _Tracks, bias: NDArray[np.float64]) -> float:
    low, high = np.log(TEMPERATURES)
    return float(np.exp(_minimise(lambda x: tracks.loss(float(np.exp(x)), bias), low, high)))


def _fit_both(
    tracks: _Tracks, temperature: float, bias: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Fit one number after the other until a cycle gains nothing; the loss never rises."""
    loss = tracks.loss(temperature, bias)
    for _ in range(N_CYCLES):
        for label in range(tracks.n_labels):
            bias = _fit_bias(tracks, temperature, bias, label)
        temperature = _fit_temperature(tracks, bias)
        previous, loss = loss, tracks.loss(temperature, bias)
        if previous - loss < SMALLEST_GAIN:
            break
    return temperature, bias


def _fit_bias(
    tracks: _Tracks, temperature: float, bias: NDArray[np.float64], label: int
) -> NDArray[np.float64]:
    unit = np.eye(tracks.n_labels)[label]
    rest = bias * (1 - unit)
    best = _minimise(lambda x: tracks.loss(temperature, rest + x * unit), *BIASES)
    return np.asarray(rest + best * unit)


def _minimise(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is smallest: the best of 21 points, then golden-section search.

    The mean of softmaxes can have more than one minimum, so the points come first.
    """
    points = np.linspace(low, high, 21)
    best = int(np.argmin([function(float(point)) for point in points]))
    left, right = float(points[max(best - 1, 0)]), float(points[min(best + 1, 20)])
    golden = (np.sqrt(5) - 1) / 2
    while right - left > 1e-4:
        first, second = right - golden * (right - left), left + golden * (right - left)
        if function(first) < function(second):
            right = second
        else:
            left = first
    return (left + right) / 2
