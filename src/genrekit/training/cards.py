"""The card of a freshly trained model: what it was trained on, and how far it can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import Track
from genrekit.datasets.images import ImageSet
from genrekit.evaluation import calibration
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.models.card import ModelCard, TrainingData, one_view
from genrekit.training import recipe as recipes
from genrekit.training.data import TrainingSet
from genrekit.training.methods import TrainingMethod, some_segments
from genrekit.training.recipe import Recipe
from genrekit.training.tabular.method import TabularMethod


def make(
    recipe: Recipe, plan: TrainingMethod | TabularMethod, prepared: TrainingSet, cost: str
) -> ModelCard:
    """Describe a model that has not been calibrated yet; its hash is set when it is written."""
    parts = {"train": prepared.train, "validation": prepared.validation}
    ids = {part: {track.recording_id: None for track in tracks} for part, tracks in parts.items()}
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        description=recipe.description or f"Genres of {prepared.dataset.name}.",
        labels=prepared.labels,
        views=one_view(plan.spec, _feature_means(plan, prepared.train)),
        images=_images(recipe, prepared),
        aggregation=recipe.aggregation,
        training_data=TrainingData(
            dataset=prepared.dataset.name,
            split=prepared.split.name,
            split_sha256=prepared.split.sha256,
            n_tracks={part: len(found) for part, found in ids.items()},
            track_ids=tuple({**ids["train"], **ids["validation"]}),
            n_per_class=dict(sorted(Counter(_genres(parts)).items())),
        ),
        training_cost=cost,
        recipe=recipes.without_paths(recipe),
        initial_weights=plan.origin,
        unfit_for=recipe.unfit_for,
        license=recipe.license,
        citation=recipe.citation,
        onnx_sha256="",
    )


def _feature_means(
    plan: TrainingMethod | TabularMethod, train: Sequence[Track]
) -> tuple[float, ...]:
    """Return the mean of every bin over training tracks, as the network sees it."""
    if isinstance(plan, TabularMethod):
        return tuple(plan.feature_means(train).tolist())
    return tuple(some_segments(train, plan.spec).mean(axis=(0, 2)).round(3).tolist())


def _images(recipe: Recipe, prepared: TrainingSet) -> Literal["none", "published", "other"]:
    """Return which images the model takes; see ModelCard."""
    if recipe.model.image != "published":
        return "none"
    dataset = prepared.dataset
    known = not isinstance(dataset, ImageSet) or dataset.is_known
    return "published" if known else "other"


def _genres(parts: Mapping[str, Sequence[Track]]) -> list[str]:
    """Return the genre of every recording."""
    tracks = [track for part in parts.values() for track in part]
    return list({track.recording_id: track.genre for track in tracks}.values())


def calibrate(
    card: ModelCard,
    logits: Sequence[NDArray[np.float32]],
    true: NDArray[np.int64],
    groups: Sequence[str],
    told: str,
) -> tuple[ModelCard, float]:
    """Fit the calibration and measure the precision curve on tracks that were not learnt.

    Args:
        card: gives the aggregation.
        logits: one array a track, of shape (n_segments, n_labels).
        true: the tracks' label indices. Shape (n_tracks,).
        groups: the tracks' artist groups.
        told: which tracks these are, for the card.

    Returns:
        The card with both, and the tracks' accuracy.
    """
    fitted = calibration.choose(logits, true, groups, fitted_on=told)
    by_track = [segment_probabilities(rows, fitted.temperature, fitted.bias) for rows in logits]
    probabilities = np.stack(
        [track_probabilities(rows, card.aggregation, fitted.track_temperature) for rows in by_track]
    )
    curve = calibration.precision_curve(probabilities, true)
    accuracy = float((probabilities.argmax(axis=1) == true).mean())
    return card.model_copy(update={"calibration": fitted, "precision_curve": curve}), accuracy
