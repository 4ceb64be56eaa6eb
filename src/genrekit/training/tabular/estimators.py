"""The estimators for ``model.backbone = "tabular:NAME"``, each with its scaler.

They compute in double precision on features rounded to single precision, the ONNX model's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from genrekit.errors import RecipeError, unknown_name
from genrekit.training.tabular.from_scratch import (
    LogisticRegressionFromScratch,
    NeuralNetworkFromScratch,
)

Floats = NDArray[np.float64]
CHUNK = 16


class NearestNeighbours(KNeighborsClassifier):  # type: ignore[misc]
    """k nearest neighbours by Euclidean distance, each with one vote.

    Among rows at the same distance, such as repeated recordings, the first given counts;
    scikit-learn leaves the order open, so that two runtimes would differ.
    """

    def predict_proba(self, X: Any) -> Floats:
        """Return the share of votes of each class. Shape (n_rows, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        votes = [self._votes(X[start : start + CHUNK]) for start in range(0, len(X), CHUNK)]
        return np.concatenate(votes)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class with the most votes, the first of the sorted classes in a tie."""
        predicted: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predicted

    def _votes(self, X: Floats) -> Floats:
        distances = ((X[:, None] - self._fit_X[None]) ** 2).sum(axis=2)  # (n_rows, n_known)
        # Sums of the same numbers differ in the last digits between runtimes; rounded, they tie.
        distances = distances.astype(np.float32)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.n_neighbors]
        votes: Floats = np.eye(len(self.classes_))[self._y[nearest]].mean(axis=1)
        return votes


class SupportVectorMachine(SVC):  # type: ignore[misc]
    """SVC whose probabilities are the softmax of its one-against-rest decisions.

    Their ranking is that of SVC, with ties between votes broken; the model's temperature, fitted on
    held-out tracks, calibrates them.
    """

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class. Shape (n_rows, n_classes)."""
        decisions = self.decision_function(X)
        if decisions.ndim == 1:  # two classes: the decision for the second
            decisions = np.stack([np.zeros_like(decisions), decisions], axis=1)
        powers = np.exp(decisions - decisions.max(axis=1, keepdims=True))
        probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
        return probabilities


def _xgboost(**parameters: Any) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(**parameters)


MAKERS: dict[str, Callable[..., BaseEstimator]] = {
    "xgboost": _xgboost,
    "random-forest": RandomForestClassifier,
    "svm": SupportVectorMachine,
    "knn": NearestNeighbours,
    "logistic": LogisticRegression,
    "mlp": MLPClassifier,
    "logistic-scratch": LogisticRegressionFromScratch,
    "nn-scratch": NeuralNetworkFromScratch,
}
# Differences from the estimators' defaults.
DEFAULTS: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 500},
    "svm": {"C": 10.0},
    "logistic": {"max_iter": 2000},
    "mlp": {"max_iter": 1000},
    # On so few rows threads cost more than they save: 117 s against 4.6 s on a busy machine.
    "xgboost": {
        "n_jobs": 1,
        "n_estimators": 300,
        "learning_rate": 0.05,
        "max_depth": 4,
        "colsample_bynode": 0.3,
    },
}
UNSCALED = ("xgboost", "random-forest")


def parameters_of(name: str) -> frozenset[str]:
    """Return the names of an estimator's parameters.

    Raises:
        RecipeError: an unknown name.
    """
    if name not in MAKERS:
        raise RecipeError(unknown_name("tabular model", name, MAKERS))
    return frozenset(MAKERS[name]().get_params())


def make(name: str, parameters: Mapping[str, Any], seed: int) -> Pipeline:
    """Make an estimator that takes raw features.

    Args:
        name: a key of MAKERS.
        parameters: of the estimator, in addition to DEFAULTS.
        seed: for all randomness in it.

    Returns:
        A pipeline of a StandardScaler and the estimator; trees need no scaler.

    Raises:
        RecipeError: an unknown name or parameter.
    """
    known = parameters_of(name)
    for key in parameters:
        if key not in known:
            raise RecipeError(unknown_name(f"key of model.parameters for {name}", key, known))
    settled = {**DEFAULTS.get(name, {}), **dict(_settled(parameters))}
    if "random_state" in known:
        settled.setdefault("random_state", seed)
    estimator = MAKERS[name]().set_params(**settled)
    steps = [] if name in UNSCALED else [StandardScaler()]
    return make_pipeline(*steps, estimator)


def fit(pipeline: Pipeline, features: NDArray[np.float32], true: NDArray[np.int64]) -> Pipeline:
    """Fit a pipeline.

    Args:
        pipeline: as returned by make.
        features: raw features. Shape (n_rows, n_columns).
        true: label indices, each at least once. Shape (n_rows,).

    Raises:
        RecipeError: a parameter has a value that the estimator refuses.
    """
    try:
        return pipeline.fit(features.astype(np.float64), true)
    except (ValueError, TypeError) as error:  # the features are finite: a parameter is wrong
        text = " ".join(str(error).split())
        raise RecipeError(f"model.parameters: {text}") from error


def probabilities(pipeline: Pipeline, features: NDArray[np.float32]) -> Floats:
    """Return the estimator's own probabilities. Shape (n_rows, n_labels)."""
    found: Floats = np.asarray(pipeline.predict_proba(features.astype(np.float64)), np.float64)
    return found


def _settled(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Convert lists to tuples, which scikit-learn does not change."""
    for key, value in parameters.items():
        yield key, tuple(value) if isinstance(value, list) else value
