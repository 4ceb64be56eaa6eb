"""Reproduce claims: train each recipe, measure it as its source did, and honestly."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genrekit import datasets
from genrekit.errors import DatasetError, RecipeError, unknown_name
from genrekit.reproduction import results
from genrekit.reproduction.results import ARTIST, FAULT_FILTERED, SEGMENT, SOURCE, TRACK, Result
from genrekit.training import cards, experiments
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe
from genrekit.training.run import Report, commit, device

# Weights that are no file: "none", and those that timm or genrekit fetch.
FETCHED = {
    "imagenet": "ImageNet weights, which timm fetches from the network",
    "msd": "musicnn's weights (genrekit models weights musicnn)",
}
NO_DATA = "give the folder of the data: --data"


@dataclass(frozen=True)
class Claimed:
    """A recipe with a claim, and what it would run on.

    Attributes:
        recipe: with its data where they are there.
        needs: what it runs on, in words.
        missing: what of it is not there; empty where it can run.
        fetches: what is fetched from the network when it runs; empty where nothing is.
    """

    recipe: Recipe
    needs: str
    missing: str
    fetches: str = ""

    @property
    def can_run(self) -> bool:
        """Whether everything that it needs is there."""
        return not self.missing


def claims(folder: Path, data: Path | None, weights: Path | None = None) -> dict[str, Claimed]:
    """Return the recipes of a folder that have a claim, by name.

    Args:
        folder: of recipes.
        data: the folder below which ``claim.data`` is looked for; None finds nothing.
        weights: the folder of the weight files that recipes name; None is the working folder.

    Raises:
        RecipeError: no recipe with a claim is there, or one is wrong.
    """
    found = {}
    for path in sorted(folder.glob("*.toml")):
        recipe = recipes.load(path)
        if recipe.claim.is_made:
            found[recipe.name] = _claimed(_with_weights(recipe, weights), data)
    if not found:
        raise RecipeError(f"{folder} holds no recipe with a claim; give the folder of recipes")
    return found


def choose(all_claims: dict[str, Claimed], names: Sequence[str]) -> dict[str, Claimed]:
    """Return the named claims; "all" means every one that can run.

    Raises:
        RecipeError: an unknown name, or one that cannot run here.
    """
    if list(names) == ["all"]:
        return {name: its for name, its in all_claims.items() if its.can_run}
    for name in names:
        if name not in all_claims:
            raise RecipeError(unknown_name("recipe with a claim", name, [*all_claims, "all"]))
        if not all_claims[name].can_run:
            raise RecipeError(f"{name} cannot run here: {all_claims[name].missing}")
    return {name: all_claims[name] for name in names}


def run(its: Claimed, runs: Path, folder: Path, report: Report) -> Result:
    """Measure what is still missing of a claim, and keep each measurement as soon as it is there.

    Where the results hold another aggregation of the same trained models, its measurements are
    taken: every one has all three levels.

    Args:
        its: can run.
        runs: keeps the run folders; what an earlier call finished there is read.
        folder: of the results; measurements of the same recipe there are kept.
        report: called with lines about what happens.

    Raises:
        GenrekitError: see measure.evaluate.
        OSError: a folder cannot be written.
    """
    recipe = its.recipe
    fresh = Result(
        name=recipe.name,
        recipe=cards.without_paths(recipe),
        claim=recipe.claim,
        seed=recipe.seed,
        commit=commit(),
        device=device(),
        data=_describe(recipe),
    )
    found = results.load(folder)
    result = _continued(fresh, found.pop(recipe.name, None))
    twin = next((its for its in found.values() if _same_models(its, fresh)), None)
    if twin and not result.measurements:
        about = {"trained_by": twin.name, "commit": twin.commit, "device": twin.device}
        result = result.model_copy(update=about)
    place = runs / f"{recipe.name}-{_digest(fresh)}"
    for key, kind, n_folds in _protocols(recipe):
        if key in result.measurements:
            report(f"{recipe.name}: {key} is there")
            continue
        kept = twin.measurements.get(key) if twin and result.trained_by == twin.name else None
        if kept is None:
            began = time.perf_counter()
            measured = experiments.evaluate(
                recipe, kind, place / key, report, n_folds=n_folds or None
            )
            training = results.training(place / key)
            kept = results.measurement(measured, time.perf_counter() - began, training)
            result = result.model_copy(update={"commit": fresh.commit, "device": fresh.device})
        result = result.model_copy(update={"measurements": {**result.measurements, key: kept}})
        results.save(result, folder)
        accuracy = kept.levels[recipe.claim.level].accuracy
        report(f"{recipe.name}: {kept.split}: {accuracy.percent()} %")
    return result


def _protocols(recipe: Recipe) -> Iterator[tuple[str, str, int]]:
    """Yield (key, kind of split, number of folds): the source's, then from less to more honest."""
    claim = recipe.claim
    dataset = datasets.open_dataset(recipe.data.source)
    yield SOURCE, claim.split, claim.folds
    if claim.split == SEGMENT:
        yield TRACK, TRACK, claim.artist_folds
    if claim.leaky_too:
        yield SEGMENT, SEGMENT, 0
    if ARTIST in dataset.split_kinds and claim.split != ARTIST:
        yield ARTIST, ARTIST, claim.artist_folds
    if FAULT_FILTERED in dataset.split_kinds and claim.split != FAULT_FILTERED:
        yield FAULT_FILTERED, FAULT_FILTERED, 0


def _claimed(recipe: Recipe, data: Path | None) -> Claimed:
    wanted, weights = recipe.claim.data, recipe.model.weights
    needs = " or ".join("the dataset's folder" if name == "." else name for name in wanted)
    fetches = FETCHED.get(weights, "")
    if weights != "none":
        needs += f"; {fetches or f'the weights {Path(weights).name}'}"
    if data is None:
        return Claimed(recipe, needs, NO_DATA)
    there = [data / name for name in wanted if (data / name).exists()]
    if not there:
        return Claimed(recipe, needs, f"{' nor '.join(wanted)} not found in {data}")
    missing = _missing_weights(recipe)
    fields = {"data": recipe.data.model_copy(update={"source": str(there[0])})}
    missing = missing or _unusable(there[0])
    return Claimed(recipe.model_copy(update=fields), needs, missing, fetches)


def _with_weights(recipe: Recipe, folder: Path | None) -> Recipe:
    """Look for a weight file that the recipe names in a folder."""
    weights = recipe.model.weights
    if folder is None or weights in ("none", *FETCHED):
        return recipe
    model = recipe.model.model_copy(update={"weights": str(folder / weights)})
    return recipe.model_copy(update={"model": model})


def _missing_weights(recipe: Recipe) -> str:
    weights = recipe.model.weights
    if weights in ("none", *FETCHED) or Path(weights).is_file():
        return ""
    return f"the weights {weights} are not there; give their folder: --weights"


def _unusable(path: Path) -> str:
    try:
        datasets.open_dataset(path)
    except (DatasetError, OSError) as error:
        return str(error)
    return ""


def _describe(recipe: Recipe) -> str:
    dataset = datasets.open_dataset(recipe.data.source)
    name = Path(recipe.data.source).resolve().name
    return f"{name}, {len(dataset.tracks)} tracks"


def _continued(fresh: Result, kept: Result | None) -> Result:
    """Return what was kept if it is of the same recipe on the same data, or a fresh result."""
    same = kept is not None and (kept.recipe, kept.claim, kept.data) == (
        json.loads(json.dumps(fresh.recipe)),
        fresh.claim,
        fresh.data,
    )
    return kept if kept is not None and same else fresh


def _same_models(one: Result, other: Result) -> bool:
    """Whether two recipes differ in what they are called and in how segments are joined only."""
    return _trained(one) == _trained(other)


def _trained(result: Result) -> str:
    """Return what decides which models are trained, and on which tracks."""
    told = {"name", "description", "aggregation", "claim"}
    recipe = {key: value for key, value in result.recipe.items() if key not in told}
    claim = result.claim
    protocols = (claim.split, claim.folds, claim.artist_folds)
    return json.dumps([recipe, protocols, result.data, result.seed], sort_keys=True)


def _digest(fresh: Result) -> str:
    content = json.dumps([fresh.recipe, fresh.data], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
