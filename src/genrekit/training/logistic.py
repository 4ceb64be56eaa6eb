"""Logistic regression as a head: one per tap of the frozen network, summed into one dense layer.

The problem is convex, so only the penalty needs tuning, there is no early stopping, and the same
data always yields the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrekit.training.standardising import standardise

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
MAX_ITERATIONS = 500


def fit(
    features: Floats,
    labels: Integers | Booleans,
    n_labels: int,
    widths: Sequence[int],
    l2: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Fit one class-balanced regression per tap and average their logits.

    Args:
        features: the taps side by side, one row per segment. Shape (n_rows, sum(widths)).
        labels: the rows' label indices, of shape (n_rows,); or, if rows may have several labels,
            whether they have each, of shape (n_rows, n_labels). Then each label is fitted
            separately, as a binary problem, and its log odds are the logit.
        n_labels: length of the logits.
        widths: the number of columns of each tap.
        l2: each tap's penalty on the standardised weights, relative to the mean loss of a row.

    Returns:
        weight (sum(widths), n_labels) and bias (n_labels,): logits = features @ weight + bias.

    Source: Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, 4.4.
    """
    edges = np.cumsum([0, *widths])
    parts = [
        _one(features[:, start:stop], labels, n_labels, penalty)
        for start, stop, penalty in zip(edges[:-1], edges[1:], l2, strict=True)
    ]
    weight = np.concatenate([weight for weight, _ in parts]) / len(parts)
    bias = np.sum([bias for _, bias in parts], axis=0) / len(parts)
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))


def _one(
    features: Floats, labels: Integers | Booleans, n_labels: int, l2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.linear_model import LogisticRegression

    standardised = standardise(features)
    model = LogisticRegression(
        C=1 / (l2 * len(features)), class_weight="balanced", max_iter=MAX_ITERATIONS
    )
    x = standardised.values
    if labels.ndim == 2:
        weight, bias = _each(model, x, labels.astype(np.bool_))
    else:
        model.fit(x, labels)
        weight, bias = model.coef_, model.intercept_
        if n_labels == 2:  # scikit-learn keeps one row, the log odds of the second label
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return standardised.layer_on_raw(weight.T, bias)


def _each(
    model: LogisticRegression, x: NDArray[np.floating], labels: Booleans
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (n_labels, d) and biases; a label of all rows, or of none, has zero weights.

    Such labels occur in folds: their bias is that of a single row to the contrary.
    """
    weight, bias = np.zeros((labels.shape[1], x.shape[1])), np.zeros(labels.shape[1])
    for index, has_it in enumerate(labels.T):
        if has_it.all() or not has_it.any():
            bias[index] = (1 if has_it.all() else -1) * np.log(len(x))
        else:
            model.fit(x, has_it)
            weight[index], bias[index] = model.coef_[0], model.intercept_[0]
    return weight, bias
