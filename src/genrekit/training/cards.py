"""The card of a freshly trained model: what it was trained on, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrekit.aggregation import segment_probabilities, track_probabilities
from genrekit.evaluation import calibration
from genrekit.models.card import ModelCard, TrainingData
from genrekit.training.data import TrainingSet
from genrekit.training.plans import Plan
from genrekit.training.recipe import Recipe


def make(recipe: Recipe, plan: Plan, prepared: TrainingSet, cost: str) -> ModelCard:
    """Describe a model that has not been calibrated yet; its hash is set when it is written."""
    tracks = (*prepared.train, *prepared.validation)
    counts = {"train": len(prepared.train), "validation": len(prepared.validation)}
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        description=recipe.description or f"Genres of {prepared.dataset.name}.",
        labels=prepared.labels,
        features=plan.spec,
        aggregation=recipe.aggregation,
        training_data=TrainingData(
            dataset=prepared.dataset.name,
            split=prepared.split.name,
            split_sha256=prepared.split.sha256,
            n_tracks=counts,
            track_ids=tuple(track.track_id for track in tracks),
        ),
        training_cost=cost,
        recipe=_without_paths(recipe),
        initial_weights=plan.origin,
        unfit_for=recipe.unfit_for,
        license=recipe.license,
        citation=recipe.citation,
        onnx_sha256="",
    )


def calibrate(
    card: ModelCard, logits: Sequence[NDArray[np.float32]], true: NDArray[np.int64], told: str
) -> tuple[ModelCard, float]:
    """Fit the temperature and measure the precision curve on tracks that were not learnt.

    Args:
        card: gives the aggregation.
        logits: one array a track, of shape (n_segments, n_labels).
        true: the tracks' label indices. Shape (n_tracks,).
        told: which tracks these are, for the card.

    Returns:
        The card with both, and the tracks' accuracy.
    """
    fitted = calibration.fit(logits, true, fitted_on=told)
    probabilities = np.stack(
        [
            track_probabilities(segment_probabilities(rows, fitted.temperature), card.aggregation)
            for rows in logits
        ]
    )
    curve = calibration.precision_curve(probabilities, true)
    accuracy = float((probabilities.argmax(axis=1) == true).mean())
    return card.model_copy(update={"calibration": fitted, "precision_curve": curve}), accuracy


def _without_paths(recipe: Recipe) -> dict[str, object]:
    """Return what differs from the defaults, with paths cut to their last part."""
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    for section, key in (("data", "source"), ("model", "weights"), ("teacher", "unlabelled")):
        if key in fields.get(section, {}):
            fields[section][key] = Path(fields[section][key]).name
    fields.get("data", {}).pop("cache", None)
    return fields
