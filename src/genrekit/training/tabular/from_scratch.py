"""Logistic regression and a neural network in pure NumPy.

Both are the same thing: dense layers with rectifiers between them and a softmax at the end, trained
by Adam on mini-batches; logistic regression has only the last layer. scikit-learn provides the
interface (fit, predict, parameters), but none of the computation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

Floats = NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]

ADAM = (0.9, 0.999, 1e-8)
MIN_HELD_OUT = 2


class CurveRow(NamedTuple):
    """One epoch of the learning curve; nll and accuracy are on the held-out part, or NaN."""

    epoch: int
    train_loss: float
    nll: float
    accuracy: float


class SoftmaxNetwork(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The base of LogisticRegressionFromScratch and NeuralNetworkFromScratch.

    Attributes:
        classes_: the labels, sorted.
        layers_: weights (n_in, n_out) and biases (n_out,) of each layer.
        curve_: one CurveRow per epoch.
        n_iter_: number of epochs trained.
    """

    layers_: Layers
    curve_: list[CurveRow]

    def __init__(
        self,
        learning_rate: float = 0.01,
        l2: float = 1e-3,
        batch_size: int = 32,
        max_iter: int = 300,
        validation_fraction: float = 0.1,
        patience: int = 20,
        random_state: Any = None,
    ) -> None:
        """Choose how to train.

        Args:
            learning_rate: Adam's step.
            l2: penalty l2 / 2 * sum of squared weights, added to the mean loss, without biases.
            batch_size: rows per step.
            max_iter: maximum number of epochs.
            validation_fraction: share of the rows held out for early stopping.
            patience: epochs without a better held-out loss before training stops.
            random_state: seed of the order, the held-out part and the initial weights.
        """
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train until max_iter epochs, or patience epochs without a better held-out loss.

        A share of the rows, validation_fraction, is held out for that; the weights of the best
        epoch are kept. If it would be less than two rows, all rows are trained on.

        Args:
            X: features. Shape (n_rows, n_features).
            y: labels. Shape (n_rows,).

        Raises:
            ValueError: the rows are not finite, or of only one class.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, true = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"got {len(self.classes_)} class; expected at least two")
        rng = check_random_state(self.random_state)
        order = rng.permutation(len(X))
        n_held = round(len(X) * self.validation_fraction)
        n_held = n_held if n_held >= MIN_HELD_OUT else 0
        held, kept = order[:n_held], order[n_held:]
        self.layers_ = first_weights((X.shape[1], *self._hidden(), len(self.classes_)), rng)
        targets = np.eye(len(self.classes_))[true]
        self._train(X[kept], targets[kept], X[held], targets[held], rng)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class. Shape (n_rows, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.exp(_log_softmax(_forward(self.layers_, X)[-1]))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row. Shape (n_rows,)."""
        probabilities = self.predict_proba(X)
        predicted: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def _hidden(self) -> Sequence[int]:
        return ()

    def _train(self, X: Floats, targets: Floats, held: Floats, held_true: Floats, rng: Any) -> None:
        """Run the epochs; leave the best weights in layers_."""
        adam = _Adam(self.layers_, self.learning_rate)
        self.curve_, best, since = [], (np.inf, _copy(self.layers_)), 0
        for epoch in range(1, self.max_iter + 1):
            order = rng.permutation(len(X))
            losses = []
            for start in range(0, len(X), self.batch_size):
                rows = order[start : start + self.batch_size]
                loss, gradients = loss_and_gradients(self.layers_, X[rows], targets[rows], self.l2)
                adam.step(gradients)
                losses.append(loss * len(rows))
            self.curve_.append(self._row(epoch, sum(losses) / len(X), held, held_true))
            watched = self.curve_[-1].nll if len(held) else self.curve_[-1].train_loss
            since += 1
            if watched < best[0]:
                best, since = (watched, _copy(self.layers_)), 0
            if since >= self.patience:
                break
        self.layers_ = best[1]
        self.n_iter_ = len(self.curve_)

    def _row(self, epoch: int, loss: float, held: Floats, held_true: Floats) -> CurveRow:
        if not len(held):
            return CurveRow(epoch, loss, float("nan"), float("nan"))
        log_probabilities = _log_softmax(_forward(self.layers_, held)[-1])
        right = log_probabilities.argmax(axis=1) == held_true.argmax(axis=1)
        nll = -float((log_probabilities * held_true).sum(axis=1).mean())
        return CurveRow(epoch, loss, nll, float(right.mean()))


class LogisticRegressionFromScratch(SoftmaxNetwork):
    """Multinomial logistic regression, trained by Adam on mini-batches."""


class NeuralNetworkFromScratch(SoftmaxNetwork):
    """Dense layers with rectifiers between them, trained by Adam on mini-batches."""

    def __init__(
        self,
        hidden: Sequence[int] = (64,),
        learning_rate: float = 0.003,
        l2: float = 1e-3,
        batch_size: int = 32,
        max_iter: int = 300,
        validation_fraction: float = 0.1,
        patience: int = 20,
        random_state: Any = None,
    ) -> None:
        """Choose how to train, as SoftmaxNetwork; hidden: units of each layer before the last."""
        self.hidden = hidden
        super().__init__(
            learning_rate, l2, batch_size, max_iter, validation_fraction, patience, random_state
        )

    def _hidden(self) -> Sequence[int]:
        return self.hidden


def loss_and_gradients(
    layers: Layers, X: Floats, targets: Floats, l2: float
) -> tuple[float, Layers]:
    """Return the mean cross-entropy plus the penalty, and its gradient by back-propagation.

    Args:
        layers: weights (n_in, n_out) and biases (n_out,).
        X: features. Shape (n_rows, n_features).
        targets: one-hot truth. Shape (n_rows, n_classes).
        l2: see SoftmaxNetwork.

    Returns:
        The loss, and gradients shaped as layers.

    Source: Goodfellow, Bengio & Courville (2016), Deep Learning, algorithms 6.3 and 6.4.
    """
    activations = _forward(layers, X)
    log_probabilities = _log_softmax(activations[-1])
    penalty = l2 / 2 * sum(float((weight**2).sum()) for weight, _ in layers)
    loss = -float((log_probabilities * targets).sum()) / len(X) + penalty
    delta = (np.exp(log_probabilities) - targets) / len(X)  # d loss / d logits
    gradients: Layers = []
    for index in range(len(layers) - 1, -1, -1):
        weight, _ = layers[index]
        gradients.append((activations[index].T @ delta + l2 * weight, delta.sum(axis=0)))
        if index:
            delta = (delta @ weight.T) * (activations[index] > 0)
    return loss, gradients[::-1]


class _Adam:
    """Adam's running moments. Source: Kingma & Ba (2015), Adam, algorithm 1."""

    def __init__(self, layers: Layers, learning_rate: float) -> None:
        self._arrays = [array for layer in layers for array in layer]
        self._first = [np.zeros_like(array) for array in self._arrays]
        self._second = [np.zeros_like(array) for array in self._arrays]
        self._rate = learning_rate
        self._step = 0

    def step(self, gradients: Layers) -> None:
        """Update the layers in place."""
        self._step += 1
        decay, decay2, epsilon = ADAM
        flat = [array for layer in gradients for array in layer]
        for index, gradient in enumerate(flat):
            self._first[index] += (1 - decay) * (gradient - self._first[index])
            self._second[index] += (1 - decay2) * (gradient**2 - self._second[index])
            unbiased = self._first[index] / (1 - decay**self._step)
            scale = np.sqrt(self._second[index] / (1 - decay2**self._step)) + epsilon
            self._arrays[index] -= self._rate * unbiased / scale


def first_weights(sizes: Sequence[int], rng: Any) -> Layers:
    """Draw the initial weights and biases of layers of these sizes, starting with the inputs'.

    Source: He et al. (2015), Delving Deep into Rectifiers, section 2.2.
    """
    return [
        (rng.normal(scale=np.sqrt(2 / n_in), size=(n_in, n_out)), np.zeros(n_out))
        for n_in, n_out in pairwise(sizes)
    ]


def _forward(layers: Layers, X: Floats) -> list[Floats]:
    """Return the input, each hidden layer's output, and the logits."""
    activations = [X]
    for index, (weight, bias) in enumerate(layers):
        logits = activations[-1] @ weight + bias
        is_last = index == len(layers) - 1
        activations.append(logits if is_last else np.maximum(logits, 0))
    return activations


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _copy(layers: Layers) -> Layers:
    return [(weight.copy(), bias.copy()) for weight, bias in layers]
