"""A head that starts from a model's own head, and adds what a library's labels teach.

The new logits are the logarithms of the old model's probabilities plus a linear function of the
embedding, whose weights are shrunk towards zero. So without labels the new model is the old one, a
few labels change it a little, and with thousands it is a logistic regression on the embedding. A
genre that the old model lacks starts from a small constant probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrekit.inference.aggregation import segment_probabilities
from genrekit.training.standardising import standardise

Floats = NDArray[np.float64]
STRENGTH = 100.0  # of the penalty on the standardised weights, in tracks
_BIAS_STRENGTH = 1.0
_FLOOR = 1e-6
_MAX_ITERATIONS = 500


@dataclass(frozen=True)
class Start:
    """How an old model's logits become the starting logits of the new labels.

    The start is log(softmax((logits + bias) / temperature) @ mapping + floor).

    Attributes:
        temperature: of the old model.
        bias: of the old model. Shape (n_old,).
        mapping: one where an old label counts towards a new one. Shape (n_old, n_new).
        floor: a tiny number, or a small probability for a label without an old one.
            Shape (n_new,).
    """

    temperature: float
    bias: Floats
    mapping: Floats
    floor: Floats

    def __call__(self, logits: NDArray[np.floating]) -> Floats:
        """Return the starting logits. Shapes (n, n_old) -> (n, n_new)."""
        old = segment_probabilities(logits, self.temperature, self.bias.tolist())
        start: Floats = np.log(self.mapped(old) + self.floor)
        return start

    def mapped(self, probabilities: Floats) -> Floats:
        """Return probabilities of the new labels. Shapes (..., n_old) -> (..., n_new)."""
        found: Floats = probabilities @ self.mapping
        return found


def start_from(
    old: Sequence[str | None], new: Sequence[str], temperature: float, bias: Sequence[float]
) -> Start:
    """Return the start of a head.

    Args:
        old: the new label of each of the old model's labels; None if it has none.
        new: the new labels.
        temperature: of the old model.
        bias: of the old model; empty means zeros.
    """
    mapping = np.array([[name == label for label in new] for name in old], np.float64)
    is_new = mapping.sum(axis=0) == 0
    floor = np.where(is_new, 1 / len(new), _FLOOR)
    return Start(temperature, np.array(bias or np.zeros(len(old))), mapping, floor)


def fit(
    embeddings: NDArray[np.floating],
    start: Floats,
    targets: Floats,
    weights: Floats,
    strength: float = STRENGTH,
) -> tuple[Floats, Floats]:
    """Fit the addition to a head's starting logits.

    Args:
        embeddings: one row per track. Shape (n, d).
        start: the starting logits. Shape (n, n_labels).
        targets: the probability of each label, in rows that sum to one. Shape (n, n_labels).
        weights: the weight of each track. Shape (n,).
        strength: of the Gaussian prior on the weights of the standardised embedding.

    Returns:
        weight (d, n_labels) and bias (n_labels,): logits = start + embeddings @ weight + bias.
    """
    from scipy.optimize import minimize

    standardised = standardise(np.asarray(embeddings, np.float64))
    x = standardised.values
    n_labels = targets.shape[1]
    pull = np.append(np.full(x.shape[1], strength), _BIAS_STRENGTH)[:, None]
    x = np.column_stack([x, np.ones(len(x))])

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(-1, n_labels)
        logits = start + x @ parameters
        logits = logits - logits.max(axis=1, keepdims=True)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        value = -(weights[:, None] * targets * log_probabilities).sum()
        value += (pull * parameters**2).sum() / 2
        slope = x.T @ (weights[:, None] * (np.exp(log_probabilities) - targets))
        return float(value), (slope + pull * parameters).ravel()

    zero = np.zeros(x.shape[1] * n_labels)
    options = {"maxiter": _MAX_ITERATIONS}
    found = minimize(loss, zero, jac=True, method="L-BFGS-B", options=options).x
    found = found.reshape(-1, n_labels)
    return standardised.layer_on_raw(found[:-1], found[-1])
