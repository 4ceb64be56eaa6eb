"""Fit the calibration of a model's probabilities, on validation tracks only.

What is calibrated is a track's prediction, the mean of its segments' probabilities, rather than
single segments: the mean of overconfident segments is less confident than each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit import metrics
from genrekit.datasets import stratify
from genrekit.errors import DatasetError
from genrekit.inference.aggregation import segment_probabilities, tempered
from genrekit.models.card import Calibration, PrecisionPoint

TEMPERATURES = (0.05, 20.0)
BIASES = (-5.0, 5.0)
N_FOLDS = 5
CURVE_THRESHOLDS = np.linspace(0.0, 0.98, 50)


def fit(
    logits: Sequence[NDArray[np.floating]],
    true: ArrayLike,
    *,
    with_track: bool = False,
    with_bias: bool = False,
    fitted_on: str = "",
) -> Calibration:
    """Fit the temperature and, on request, the track's temperature and a bias per label.

    Minimises the validation tracks' negative log-likelihood plus a Gaussian prior of standard
    deviation 1 on the logarithm of each temperature and on each bias. The prior weighs as much as
    half a track: nothing among 200 tracks, but it keeps five tracks that were all right from ending
    in a certainty of 100 %.

    Args:
        logits: one array per track. Shapes (n_segments, n_labels).
        true: label index of each track. Shape (n_tracks,).
        with_track: fit a second temperature for the mean over segments: the mean of segments with
            independent errors is underconfident.
        with_bias: fit a bias per label too; worth it where the training data's mix of genres
            differs from the validation data's, and a risk with few tracks.
        fitted_on: which tracks these are, for the model card.

    Returns:
        The card's calibration, with the calibration error before and after on the same tracks, so
        that the latter is optimistic.

    Raises:
        ValueError: no tracks, a track without segments, or not one label per track.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2, applied to
    the mean over segments.
    """
    tracks = _Tracks(logits, true)
    found = _Numbers(_fit_temperature(tracks), 1.0, np.zeros(tracks.n_labels))
    if with_track or with_bias:
        found = _fit_together(tracks, found, with_track, with_bias)
    return Calibration(
        temperature=found.temperature,
        track_temperature=found.track_temperature,
        bias=tuple(found.bias.tolist()) if with_bias else (),
        fitted_on=fitted_on,
        ece_before=tracks.calibration_error(_Numbers(1.0, 1.0, np.zeros(tracks.n_labels))),
        ece_after=tracks.calibration_error(found),
    )


def choose(
    logits: Sequence[NDArray[np.floating]],
    true: ArrayLike,
    groups: Sequence[str],
    *,
    fitted_on: str = "",
) -> Calibration:
    """Fit a temperature, and the track's and the biases only if they help on held-out tracks.

    Each in turn is fitted on all folds but one and compared on that one, for every fold. It is
    accepted if it lowers the held-out tracks' negative log-likelihood by more than the standard
    error of the difference, but not if there are too few tracks for folds.

    Args:
        logits: one array per validation track. Shapes (n_segments, n_labels).
        true: label index of each track. Shape (n_tracks,).
        groups: the artist group of each track, which folds keep together.
        fitted_on: which tracks these are, for the model card.

    Raises:
        ValueError: as for fit.
    """
    labels = np.asarray(true, dtype=np.int64)
    try:
        folds = stratify.folds([str(label) for label in labels], groups, N_FOLDS)
    except DatasetError:  # a label of one artist, or one artist who fills a fold
        return fit(logits, labels, fitted_on=fitted_on)
    losses = partial(_held_out_losses, logits, labels, folds)
    plain = losses(with_track=False, with_bias=False)
    track = losses(with_track=True, with_bias=False)
    with_track = _is_better(track, plain)
    biased = losses(with_track=with_track, with_bias=True)
    with_bias = _is_better(biased, track if with_track else plain)
    return fit(logits, labels, with_track=with_track, with_bias=with_bias, fitted_on=fitted_on)


def _is_better(losses: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    gains = others - losses
    return bool(gains.mean() > gains.std() / np.sqrt(len(gains)))


def _held_out_losses(
    logits: Sequence[NDArray[np.floating]],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    with_track: bool,
    with_bias: bool,
) -> NDArray[np.float64]:
    """Return each track's loss under the fit without its fold. Shape (n_tracks,)."""
    losses = np.zeros(len(labels))
    for fold in range(N_FOLDS):
        inside = np.flatnonzero(folds != fold).tolist()
        outside = np.flatnonzero(folds == fold).tolist()
        if outside:
            seen = [logits[i] for i in inside]
            fitted = fit(seen, labels[inside], with_track=with_track, with_bias=with_bias)
            held = _Tracks([logits[i] for i in outside], labels[outside])
            bias = np.array(fitted.bias or np.zeros(held.n_labels))
            numbers = _Numbers(fitted.temperature, fitted.track_temperature, bias)
            losses[outside] = metrics.log_losses(held.probabilities(numbers), held.true)
    return losses


def precision_curve(probabilities: ArrayLike, true: ArrayLike) -> tuple[PrecisionPoint, ...]:
    """Return the card's precision curve: precision and coverage by threshold.

    Args:
        probabilities: calibrated, of validation tracks. Shape (n_tracks, n_labels).
        true: label index of each track. Shape (n_tracks,).

    Returns:
        Points at thresholds 0, 0.02, ... 0.98, as far as any track reaches them. At small
        coverage, precision is measured on few tracks and uncertain.
    """
    curve = metrics.precision_coverage(probabilities, true, CURVE_THRESHOLDS)
    return tuple(
        PrecisionPoint(threshold=round(t, 4), precision=round(p, 4), coverage=round(c, 4))
        for t, p, c in zip(*(values.tolist() for values in curve), strict=True)
    )


@dataclass(frozen=True)
class _Numbers:
    """The parameters to fit; bias has shape (n_labels,)."""

    temperature: float
    track_temperature: float
    bias: NDArray[np.float64]

    def prior(self) -> float:
        """Return their penalty, which is zero if they change nothing."""
        logarithms = np.log([self.temperature, self.track_temperature])
        return float((logarithms**2).sum() + (self.bias**2).sum())


class _Tracks:
    """The segments of all tracks in one array, so that one pass computes every track."""

    def __init__(self, logits: Sequence[NDArray[np.floating]], true: ArrayLike) -> None:
        lengths = np.array([len(rows) for rows in logits], dtype=np.int64)
        self.true = np.asarray(true, dtype=np.int64)
        if not len(logits) or not lengths.all() or self.true.shape != (len(logits),):
            raise ValueError(
                f"got {len(logits)} tracks (fewest segments: {min(lengths, default=0)}) and "
                f"{self.true.size} labels; expected one label and at least one segment per track"
            )
        self.logits = np.concatenate(logits).astype(np.float64)  # (n_segments of all, n_labels)
        self.lengths = lengths
        self.starts = np.cumsum(lengths) - lengths
        self.n_labels = self.logits.shape[1]

    def probabilities(self, numbers: _Numbers) -> NDArray[np.float64]:
        """Return each track's probabilities, shape (n_tracks, n_labels)."""
        segments = segment_probabilities(self.logits, numbers.temperature, numbers.bias.tolist())
        sums = np.add.reduceat(segments, self.starts, axis=0)
        return tempered(sums / self.lengths[:, None], numbers.track_temperature)

    def loss(self, numbers: _Numbers) -> float:
        """Return the mean negative log-likelihood of the tracks plus the prior."""
        likelihood = metrics.log_losses(self.probabilities(numbers), self.true).mean()
        return float(likelihood + numbers.prior() / (2 * len(self.true)))

    def calibration_error(self, numbers: _Numbers) -> float:
        """Return the expected calibration error of the tracks."""
        items = metrics.calibration_items(self.probabilities(numbers), self.true)
        return float(metrics.expected_calibration_error(items.sum(axis=0)))


def _fit_temperature(tracks: _Tracks) -> float:
    def loss(logarithm: float) -> float:
        return tracks.loss(_Numbers(float(np.exp(logarithm)), 1.0, np.zeros(tracks.n_labels)))

    return float(np.exp(_minimise(loss, *np.log(TEMPERATURES))))


def _fit_together(tracks: _Tracks, start: _Numbers, with_track: bool, with_bias: bool) -> _Numbers:
    """Fit all parameters at once, starting from the best temperature alone."""
    from scipy.optimize import minimize

    def numbers(x: NDArray[np.float64]) -> _Numbers:
        track = float(np.exp(x[1])) if with_track else 1.0
        bias = x[1 + with_track :] if with_bias else start.bias
        return _Numbers(float(np.exp(x[0])), track, bias)

    first = [np.log(start.temperature), *[0.0] * with_track]
    bounds = [tuple(np.log(TEMPERATURES))] * len(first)
    if with_bias:
        first += start.bias.tolist()
        bounds += [BIASES] * tracks.n_labels
    found = minimize(lambda x: tracks.loss(numbers(x)), first, method="L-BFGS-B", bounds=bounds)
    return numbers(found.x)


def _minimise(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the minimum of a function: the best of 21 points, then golden-section search."""
    # The mean of softmaxes can have several minima, hence the points.
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
