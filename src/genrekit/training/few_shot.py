"""Add a genre to a model from a few examples, without the music that it was trained on.

The model gets one more logit, linear in its embedding; all others are unchanged. With z the new
logit and L = log sum exp of the old ones, p(new) = sigmoid(z - L), and every track keeps the odds
among its old genres. The likelihood of the new weights is therefore that of a binary regression
with the known offset -L: it needs music that is not of the new genre, but not that music's labels,
so a library will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import stratify
from genrekit.errors import DatasetError, ModelError
from genrekit.labels import spelling
from genrekit.models.card import ModelCard
from genrekit.models.registry import ModelFolder
from genrekit.training import onnx_head
from genrekit.training.standardising import standardise

Floats = NDArray[np.float64]
MIN_EXAMPLES = 5
MIN_OTHERS = 50
L2 = 0.1  # relative to the mean loss; the recipes' default for a logistic head
N_FOLDS = 5


@dataclass(frozen=True)
class Addition:
    """A model with one more genre, and how held-out tracks were classified.

    Attributes:
        model: the ONNX file's bytes.
        card: its card, without the hash of the network.
        n_found: how many held-out examples were predicted as the new genre.
        n_taken: how many other held-out tracks were, too.
        summary: these results in one sentence.
    """

    model: bytes
    card: ModelCard
    n_found: int
    n_taken: int
    summary: str


def add(
    folder: ModelFolder,
    genre: str,
    examples: NDArray[np.float32],
    groups: Sequence[str],
    others: NDArray[np.float32],
) -> Addition:
    """Add a genre to a model.

    Args:
        folder: the model.
        genre: the new label.
        examples: mean embeddings of tracks of the new genre. Shape (n_examples, d).
        groups: their artists or albums; examples of one group are held out together.
        others: mean embeddings of tracks of other genres, such as a library's. Shape (n_others, d).

    Returns:
        The new model, fitted to all tracks, and its results in folds.

    Raises:
        DatasetError: fewer than five examples or fifty others, or all examples of one group.
        ModelError: the model knows the genre already or has no embedding.
    """
    _check(folder.card, genre, examples, groups, others)
    old = _old_logits(folder, np.concatenate([examples, others]))
    every = np.concatenate([examples, others]).astype(np.float64)
    is_new = np.arange(len(every)) < len(examples)
    names = [*groups, *(f"other {index}" for index in range(len(others)))]
    fold_of = stratify.folds(np.where(is_new, "new", "old").tolist(), names, N_FOLDS)
    called_new = np.zeros(len(every), bool)
    for fold in range(N_FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        weight, bias = fit(every[inside], is_new[inside], old[inside])
        called_new[outside] = every[outside] @ weight + bias > old[outside].max(axis=1)
    weight, bias = fit(every, is_new, old)
    temperature = folder.card.calibration.temperature
    model = onnx_head.widen(folder.onnx_path.read_bytes(), weight * temperature, bias * temperature)
    n_found, n_taken = int(called_new[is_new].sum()), int(called_new[~is_new].sum())
    summary = (
        f"held out in {N_FOLDS} folds, {n_found} of {len(examples)} examples are predicted as "
        f"{genre!r}, and so are {n_taken} of {len(others)} other tracks of the library"
    )
    return Addition(model, _card(folder.card, genre, summary), n_found, n_taken, summary)


def fit(embeddings: Floats, is_new: NDArray[np.bool_], old: Floats) -> tuple[Floats, float]:
    """Fit the new logit.

    The examples together weigh as much as one of the model's genres on average.

    Args:
        embeddings: shape (n, d).
        is_new: which are of the new genre. Shape (n,).
        old: calibrated logits of the other genres. Shape (n, n_labels).

    Returns:
        weight (d,) and bias of the new calibrated logit.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    standardised = standardise(embeddings)
    x = standardised.values
    offset = logsumexp(old, axis=1)
    share = 1 / (old.shape[1] + 1)
    weights = np.where(is_new, share / is_new.sum(), (1 - share) / (~is_new).sum())
    sign = np.where(is_new, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weight, bias = parameters[:-1], parameters[-1]
        margin = sign * (x @ weight + bias - offset)
        pull = -weights * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = weights @ np.logaddexp(0, -margin) + L2 / 2 * weight @ weight
        return float(value), np.append(x.T @ pull + L2 * weight, pull.sum())

    start = np.append(np.zeros(x.shape[1]), np.median(offset))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    weight, bias = standardised.layer_on_raw(found[:-1], found[-1])
    return weight, float(bias)


def _check(
    card: ModelCard,
    genre: str,
    examples: NDArray[np.float32],
    groups: Sequence[str],
    others: NDArray[np.float32],
) -> None:
    if spelling(genre) in map(spelling, card.labels) or not spelling(genre):
        raise ModelError(
            f"model {card.name!r} knows {', '.join(card.labels)}; {genre!r} is not a new genre"
        )
    if len(examples) < MIN_EXAMPLES:
        raise DatasetError(
            f"got {len(examples)} examples of {genre!r}; expected at least {MIN_EXAMPLES}"
        )
    if len(set(groups)) < 2:
        raise DatasetError(
            f"all examples of {genre!r} are by one artist, so none can be held out; add some by "
            "another artist"
        )
    if len(others) < MIN_OTHERS:
        raise DatasetError(
            f"the library has {len(others)} other tracks that model {card.name!r} has analysed; "
            f"expected at least {MIN_OTHERS}; scan more music with this model"
        )


def _old_logits(folder: ModelFolder, embeddings: NDArray[np.float32]) -> Floats:
    """Return the model's calibrated logits, whose softmax is its probabilities."""
    calibration = folder.card.calibration
    logits = onnx_head.run_head(folder.onnx_path.read_bytes(), embeddings.astype(np.float32))
    bias = np.array(calibration.bias or [0.0])
    calibrated: Floats = (logits.astype(np.float64) + bias) / calibration.temperature
    return calibrated


def _card(card: ModelCard, genre: str, summary: str) -> ModelCard:
    """Describe the new model, without the old model's measurements, which do not apply to it."""
    calibration = card.calibration
    bias = (*calibration.bias, 0.0) if calibration.bias else ()
    return card.model_copy(
        update={
            "name": f"{card.name}-{spelling(genre)}"[:64],
            "description": f"{card.description} With one more genre, {genre}: {summary}.",
            "labels": (*card.labels, genre),
            "calibration": calibration.model_copy(update={"bias": bias}),
            "precision_curve": (),
            "metrics": (),
            "initial_weights": f"model {card.name} {card.version}, sha256 {card.onnx_sha256}",
        }
    )
