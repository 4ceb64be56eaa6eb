"""Grid search over any keys of a recipe, by folds inside its training and validation tracks."""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genrekit.errors import RecipeError
from genrekit.evaluation import selection
from genrekit.evaluation.result import Scores
from genrekit.files import write_beside
from genrekit.prediction import percent
from genrekit.training import data, experiments
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe
from genrekit.training.run import Report

REPORT = "grid.json"


@dataclass(frozen=True)
class Tried:
    """One combination, and its results in the folds at the recipe's level."""

    values: Mapping[str, Any]
    recipe: Recipe
    scores: Scores


def parse(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Read "section.key=a,b,c" texts; values are written as in TOML, bare words are strings.

    Raises:
        RecipeError: a text is malformed, or a key occurs twice.

    >>> parse(["model.parameters.C=1.0,10.0", "model.backbone=tabular:svm,tabular:knn"])
    {'model.parameters.C': [1.0, 10.0], 'model.backbone': ['tabular:svm', 'tabular:knn']}
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not (equals and key.strip() and values.strip()) or key.strip() in grid:
            raise RecipeError(
                f"--grid {text!r}: write section.key=a,b,c, each key once, such as "
                "model.parameters.C=1.0,10.0"
            )
        try:
            grid[key.strip()] = tomllib.loads(f"values = [{values}]")["values"]
        except tomllib.TOMLDecodeError:
            grid[key.strip()] = [recipes.parse(value.strip()) for value in values.split(",")]
    return grid


def search(
    recipe: Recipe, grid: Mapping[str, Sequence[Any]], n_folds: int, folder: Path, report: Report
) -> list[Tried]:
    """Try every combination in folds of the recipe's training and validation tracks.

    The recipe's test tracks are in no fold. Folds are grouped by artist, if artists are known.

    Args:
        recipe: the recipe to vary.
        grid: values by dotted key.
        n_folds: number of folds.
        folder: for grid.json and the run folders, which a later call reads.
        report: called with progress lines.

    Returns:
        The combinations, the most accurate first, ties in the order tried.

    Raises:
        RecipeError: a combination is not a valid recipe.
        GenrekitError: see experiments.train_and_predict.
    """
    from genrekit.evaluation import protocol

    candidates = [
        (values, recipes.with_values(recipe, values))
        for values in (
            dict(zip(grid, row, strict=True)) for row in itertools.product(*grid.values())
        )
    ]
    prepared = data.prepare(recipe)
    pool = replace(prepared.dataset, tracks=(*prepared.train, *prepared.validation))
    kind = "artist" if pool.has_artists else "track"
    tried = []
    for values, candidate in candidates:
        place = folder / "grid" / _digest(values)
        measured = [
            experiments.train_and_predict(candidate, split, place / f"fold-{index + 1}", report)
            for index, split in enumerate(selection.divide(pool, kind, n_folds))
        ]
        result = protocol.measure(measured, selection.title(kind, n_folds))
        tried.append(Tried(values, candidate, result.product))
        accuracy = result.product.accuracy.value
        report(f"{', '.join(f'{k} = {v}' for k, v in values.items())}: {percent(accuracy)}")
    tried.sort(key=lambda one: -one.scores.accuracy.value)
    _write(folder / REPORT, tried, selection.title(kind, n_folds))
    return tried


def rows(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """Return the table of a search: one dictionary per combination, the best first."""
    return [
        {
            **one.values,
            "accuracy": one.scores.accuracy.model_dump(),
            "macro_f1": one.scores.macro_f1.model_dump(),
            "negative_log_likelihood": one.scores.negative_log_likelihood.model_dump(),
        }
        for one in tried
    ]


def _write(path: Path, tried: Sequence[Tried], title: str) -> None:
    content = {"folds": title, "of": "training and validation tracks", "tried": rows(tried)}
    with write_beside(path, "w") as stream:
        json.dump(content, stream, indent=1)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
