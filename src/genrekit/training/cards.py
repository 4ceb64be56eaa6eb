"""The card of a newly trained model: its training data and calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from genrekit.datasets.images import ImageSet
from genrekit.evaluation import calibration
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.models.card import ModelCard, TrainingData
from genrekit.prediction import percent
from genrekit.training import recipe as recipes
from genrekit.training.out_of_fold import true_labels

if TYPE_CHECKING:
    from genrekit.datasets import Track
    from genrekit.training.data import TrainingSet
    from genrekit.training.methods import TrainingMethod
    from genrekit.training.out_of_fold import HeldOut
    from genrekit.training.recipe import Recipe


def make(recipe: Recipe, method: TrainingMethod, prepared: TrainingSet, cost: str) -> ModelCard:
    """Describe a model that is not calibrated yet; its hash is set when it is written."""
    parts = {"train": prepared.train, "validation": prepared.validation}
    ids = {part: {track.recording_id: None for track in tracks} for part, tracks in parts.items()}
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        description=recipe.description or f"Genres of {prepared.dataset.name}.",
        labels=prepared.labels,
        views=method.described_views(prepared.train),
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
        initial_weights=method.origin,
        unfit_for=recipe.unfit_for,
        license=recipe.license,
        citation=recipe.citation,
        onnx_sha256="",
    )


def _images(recipe: Recipe, prepared: TrainingSet) -> Literal["none", "published", "other"]:
    """Return which images the model takes; see ModelCard."""
    if recipe.model.image != "published":
        return "none"
    dataset = prepared.dataset
    known = not isinstance(dataset, ImageSet) or dataset.is_known
    return "published" if known else "other"


def _genres(parts: Mapping[str, Sequence[Track]]) -> list[str]:
    """Return the genres of every recording."""
    tracks = [track for part in parts.values() for track in part]
    genres = {track.recording_id: track.genres for track in tracks}
    return [genre for its in genres.values() for genre in its]


def calibrate(card: ModelCard, held_out: HeldOut, prepared: TrainingSet) -> tuple[ModelCard, str]:
    """Fit the calibration and measure the precision curve on tracks that were not learnt.

    Args:
        card: gives the aggregation.
        held_out: the tracks and the model's logits of them.
        prepared: gives their labels, their artist groups and the split.

    Returns:
        The card with both, and the tracks' accuracy in a sentence. Of several genres each is right.
    """
    tracks, logits, description = held_out
    described = f"{len(tracks)} {description} of {prepared.split.described}"
    shares = prepared.shares(tracks)
    plain = [track_probabilities(segment_probabilities(rows), card.aggregation) for rows in logits]
    true = true_labels(np.stack(plain), shares)
    groups = [prepared.dataset.groups[track.track_id] for track in tracks]
    fitted = calibration.choose(logits, true, groups, fitted_on=described)
    by_track = [segment_probabilities(rows, fitted.temperature, fitted.bias) for rows in logits]
    probabilities = np.stack(
        [track_probabilities(rows, card.aggregation, fitted.track_temperature) for rows in by_track]
    )
    true = true_labels(probabilities, shares)
    curve = calibration.precision_curve(probabilities, true)
    accuracy = float((probabilities.argmax(axis=1) == true).mean())
    card = card.model_copy(update={"calibration": fitted, "precision_curve": curve})
    n_several = sum(bool(track.more_genres) for track in tracks)
    several = f"; any of its genres is right for {n_several} with several" if n_several else ""
    return card, f"accuracy on {described}: {percent(accuracy)}{several}"
