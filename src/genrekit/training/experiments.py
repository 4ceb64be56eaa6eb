"""Train a recipe on a split, and evaluate it on the held-out part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit.datasets import SegmentSplit
from genrekit.errors import RecipeError
from genrekit.evaluation import comparison, selection
from genrekit.evaluation.result import EvaluationResult
from genrekit.evaluation.selection import AnySplit
from genrekit.models.card import LeakMeter, ModelCard
from genrekit.networks import checkpoints
from genrekit.training import data
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe
from genrekit.training.run import Report, TrainingRun

if TYPE_CHECKING:
    from genrekit.evaluation.protocol import Measured


def evaluate(
    recipe: Recipe,
    kind: str,
    folder: Path,
    report: Report,
    *,
    n_folds: int | None = None,
    n_seeds: int = 1,
    first_seed: int = 0,
    jobs: int | None = None,
) -> EvaluationResult:
    """Train a recipe once per fold and seed, and pool the predictions of the test tracks.

    Args:
        recipe: names the data; its split is not used.
        kind: how to divide the data: "segment" (LEAKY), "track", "artist" or a published split.
        folder: for one run folder each; runs that an earlier call finished are read.
        report: called with progress lines.
        n_folds: hold out each of this many folds in turn; None divides once.
        n_seeds: the number of seeds; the split's count up from 0, the training's from the
            recipe's.
        first_seed: added to both.
        jobs: worker processes that predict the test tracks; None is one per core.

    Raises:
        GenrekitError: see Run.train, selection.divide and protocol.evaluate.
    """
    from genrekit.evaluation import protocol

    dataset = data.open_source(recipe)
    measured = []
    for seed in range(first_seed, first_seed + n_seeds):
        seeded = recipe.model_copy(update={"seed": recipe.seed + seed})
        for split in selection.divide(dataset, kind, n_folds, seed):
            report(f"{recipe.name}: {split.title}{f', seed {seed}' if n_seeds > 1 else ''}")
            run_folder = folder / f"{split.name.replace(' ', '-')}-seed-{seed}"
            its = train_and_predict(seeded, split, run_folder, report, jobs=jobs)
            measured.append(its._replace(seed=seed if n_seeds > 1 else None))
    return protocol.measure(measured, selection.title(kind, n_folds, n_seeds))


def leak_meter(
    recipe: Recipe,
    folder: Path,
    report: Report,
    *,
    n_folds: int | None = None,
    n_seeds: int = 1,
    jobs: int | None = None,
) -> LeakMeter:
    """Measure a recipe under every split of its data, from the leaky to the honest one.

    A published split is never divided into folds. For arguments and errors see evaluate.
    """
    dataset = data.open_source(recipe)
    results = {
        kind: evaluate(
            recipe,
            kind,
            folder,
            report,
            n_folds=None if kind in dataset.fixed else n_folds,
            n_seeds=n_seeds,
            jobs=jobs,
        )
        for kind in comparison.leak_meter_kinds(dataset)
    }
    return comparison.leak_meter(recipe.name, results)


def recipe_of(card: ModelCard, source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a model's card, on other data.

    Args:
        card: has only the last part of paths; musicnn's weights are searched where
            ``genrekit models weights musicnn`` puts them.
        source: the data.
        overrides: as for recipe.load, such as "model.weights=FILE".

    Raises:
        RecipeError: the card has no recipe, or an override is wrong.
    """
    if not card.recipe:
        raise RecipeError(f"the card of {card.name!r} has no recipe; give a recipe's file instead")
    fields = json.loads(json.dumps(card.recipe))
    if fields.get("model", {}).get("weights") == checkpoints.musicnn_path().name:
        fields["model"]["weights"] = "msd"
    return recipes.resolve(recipes.changed(fields, overrides, source))


def train_and_predict(
    recipe: Recipe, split: AnySplit, folder: Path, report: Report, *, jobs: int | None = None
) -> Measured:
    """Train a recipe on a split, unless the folder has the finished run, and predict its test part.

    Under the leaky split of segments, tracks are in training and test: only the segments of the
    test part count. A recipe that validates on the test tracks is measured on them, as LEAKY.

    Raises:
        GenrekitError: see Run.train and protocol.evaluate.
    """
    from genrekit.evaluation import predictions, protocol
    from genrekit.inference.classifier import Classifier

    model = TrainingRun(recipe, folder, report, split).train_once()
    classifier = Classifier(model.path, segments="all")
    dataset = data.open_source(recipe)
    is_leaky = isinstance(split, SegmentSplit) or recipe.data.validation == data.ON_TEST
    chosen = selection.select(model.card, dataset, split, include_training_tracks=is_leaky)
    predicted = predictions.predict_tracks(classifier, dataset, chosen.tracks, jobs)
    return protocol.Measured(model.card, chosen, predicted)
