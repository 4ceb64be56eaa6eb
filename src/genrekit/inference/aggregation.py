"""From segment logits to track probabilities, for prediction, evaluation and training alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TIE_BREAK = 1e-3
FloatArray = NDArray[np.float32] | NDArray[np.float64]


def segment_probabilities(
    logits: FloatArray, temperature: float = 1.0, bias: Sequence[float] = ()
) -> NDArray[np.float64]:
    """Turn logits into calibrated probabilities: softmax((logits + bias) / temperature).

    Args:
        logits: of the network. Shape (..., n_labels).
        temperature: above 1 flattens the probabilities, below 1 sharpens them.
        bias: one number per label, added before the division; empty means zeros.

    Returns:
        Probabilities that sum to one over the last axis. Shape (..., n_labels).

    >>> segment_probabilities(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    shifted = np.asarray(logits, np.float64)
    if len(bias):
        shifted = shifted + np.asarray(bias, np.float64)
    shifted = shifted / temperature
    return _normalised(np.exp(shifted - shifted.max(axis=-1, keepdims=True)))


def tempered(probabilities: FloatArray, temperature: float) -> NDArray[np.float64]:
    """Return probabilities ** (1 / temperature), normalised; their ranking does not change.

    Args:
        probabilities: shape (..., n_labels).
        temperature: above 1 flattens, below 1 sharpens, 1 changes nothing.

    >>> tempered(np.array([0.8, 0.2]), 0.5).round(3).tolist()
    [0.941, 0.059]
    """
    given = np.asarray(probabilities, np.float64)
    if temperature == 1:
        return given
    return _normalised((given / given.max(axis=-1, keepdims=True)) ** (1 / temperature))


def _normalised(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def track_probabilities(
    probabilities: FloatArray, aggregation: str = "mean_probability", temperature: float = 1.0
) -> NDArray[np.float64]:
    """Aggregate the segments of one track.

    Args:
        probabilities: one row per segment. Shape (n_segments, n_labels).
        aggregation: "mean_probability", or "majority_vote" for the share of segments in which a
            label is the most probable one, with ties broken by the mean probability.
        temperature: applied to the mean, see tempered; votes are not changed.

    Returns:
        Probabilities of the track. Shape (n_labels,).

    Raises:
        ValueError: an unknown aggregation, or no segments.

    >>> track_probabilities(np.array([[0.6, 0.4], [0.2, 0.8]])).tolist()
    [0.4, 0.6000000000000001]
    """
    rows = np.asarray(probabilities, np.float64)
    if not len(rows):
        raise ValueError("got no segments; expected at least one per track")
    if aggregation == "mean_probability":
        return tempered(rows.mean(axis=0), temperature)
    if aggregation == "majority_vote":
        votes = np.bincount(rows.argmax(axis=1), minlength=rows.shape[1])
        weighed = votes.astype(np.float64)
        if (
            votes == votes.max()
        ).sum() > 1:  # the mean breaks ties, and weighs too little to do more
            weighed += TIE_BREAK * rows.mean(axis=0)
        return _normalised(weighed)
    raise ValueError(f"got aggregation {aggregation!r}; expected mean_probability or majority_vote")
