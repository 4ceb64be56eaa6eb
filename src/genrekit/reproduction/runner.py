"""Reproduce claims: train each recipe, measure it as its source did, and honestly."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from genrekit import datasets
from genrekit.errors import DatasetError, RecipeError, unknown_name
from genrekit.reproduction import results
from genrekit.reproduction.results import Measurement, Result
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe

# Weights that are no file: "none", and those that timm or genrekit fetch.
FETCHED = {
    "imagenet": "ImageNet weights, which timm fetches from the network",
    "msd": "musicnn's weights (genrekit models weights musicnn)",
}
NO_DATA = "give the folder of the data: --data"
# What does not decide which models are trained.
UNTRAINED_KEYS = {"name", "description", "aggregation", "claim"}
Report = Callable[[str], None]


@dataclass(frozen=True)
class Claimed:
    """A recipe with a claim, and what it would run on.

    Attributes:
        recipe: with its data where they exist.
        needs: what it runs on, in words.
        missing: what of it does not exist; empty where it can run.
        fetches: what is fetched from the network when it runs; empty where nothing is.
    """

    recipe: Recipe
    needs: str
    missing: str
    fetches: str = ""

    @property
    def can_run(self) -> bool:
        """Whether it has everything that it needs."""
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
        return {name: claimed for name, claimed in all_claims.items() if claimed.can_run}
    for name in names:
        if name not in all_claims:
            raise RecipeError(unknown_name("recipe with a claim", name, [*all_claims, "all"]))
        if not all_claims[name].can_run:
            raise RecipeError(
                f"{name} cannot run here: {all_claims[name].missing}{meanwhile(name, all_claims)}"
            )
    return {name: all_claims[name] for name in names}


def meanwhile(name: str, all_claims: dict[str, Claimed]) -> str:
    """Return what can be measured while a row lacks something; empty where nothing can.

    >>> meanwhile("s0-resnet34", {})
    ''
    """
    can_run = [
        other for other, its in all_claims.items() if its.can_run and name in its.recipe.claim.of
    ]
    return f"; meanwhile measure what stands for it: {', '.join(can_run)}" if can_run else ""


def run(recipe: Recipe, runs: Path, folder: Path, report: Report) -> Result:
    """Measure what is still missing of a claim, and keep each measurement as soon as it is made.

    Where the results hold another aggregation of the same trained models, its measurements are
    taken: every one has all three levels.

    Args:
        recipe: has a claim, and can run.
        runs: keeps the run folders; what an earlier call finished there is read.
        folder: of the results; measurements of the same recipe there are kept.
        report: called with lines about what happens.

    Raises:
        GenrekitError: see experiments.evaluate.
        OSError: a folder cannot be written.
    """
    fresh = _fresh(recipe)
    found = results.load(folder)
    result = _continued(fresh, found.pop(recipe.name, None))
    twin = next((other for other in found.values() if _models(other) == _models(fresh)), None)
    if twin and not result.measurements:
        about = {"trained_by": twin.name, "commit": twin.commit, "device": twin.device}
        result = result.model_copy(update=about)
    run_folder = runs / f"{recipe.name}-{_digest(fresh)}"
    for protocol in _protocols(recipe):
        if protocol.key in result.measurements:
            report(f"{recipe.name}: {protocol.key} is there")
            continue
        is_twins = twin and result.trained_by == twin.name
        shared = twin.measurements.get(protocol.key) if twin and is_twins else None
        if shared is None:
            result = result.model_copy(update={"commit": fresh.commit, "device": fresh.device})
        measured = shared or _measure(recipe, protocol, run_folder / protocol.key, report)
        kept = {**result.measurements, protocol.key: measured}
        result = result.model_copy(update={"measurements": kept})
        results.save(result, folder)
        accuracy = measured.levels[recipe.claim.level].accuracy
        report(f"{recipe.name}: {measured.split}: {accuracy.percent()} %")
    return result


class _Protocol(NamedTuple):
    """A way to divide the data: the key of its measurement, kind of split, folds and seed."""

    key: str
    kind: str
    n_folds: int
    seed: int


def _measure(recipe: Recipe, protocol: _Protocol, folder: Path, report: Report) -> Measurement:
    from genrekit.training import experiments

    began = time.perf_counter()
    measured = experiments.evaluate(
        recipe,
        protocol.kind,
        folder,
        report,
        n_folds=protocol.n_folds or None,
        first_seed=protocol.seed,
    )
    return results.measurement(measured, time.perf_counter() - began, results.training(folder))


def _fresh(recipe: Recipe) -> Result:
    from genrekit.training import provenance

    dataset = datasets.open_dataset(recipe.data.source)
    name = Path(recipe.data.source).resolve().name
    return Result(
        name=recipe.name,
        recipe=recipes.without_paths(recipe),
        claim=recipe.claim,
        seed=recipe.seed,
        commit=provenance.commit(),
        device=provenance.device(),
        data=f"{name}, {len(dataset.tracks)} tracks",
    )


def _protocols(recipe: Recipe) -> Iterator[_Protocol]:
    """Yield the source's protocol, then from less to more honest, with one seed after the other.

    A recipe that validates on the test tracks is LEAKY, and has its source's protocol only.
    """
    for seed in range(recipe.claim.seeds):
        for protocol, kind, n_folds in _kinds(recipe):
            yield _Protocol(results.key(protocol, seed), kind, n_folds, seed)


def _kinds(recipe: Recipe) -> Iterator[tuple[str, str, int]]:
    claim = recipe.claim
    yield results.SOURCE, claim.split, claim.folds
    if recipe.data.validation == "test":
        return
    if claim.split == results.SEGMENT:
        yield results.TRACK, results.TRACK, claim.artist_folds
    if claim.leaky_too:
        yield results.SEGMENT, results.SEGMENT, 0
    kinds = {*datasets.open_dataset(recipe.data.source).split_kinds} - {claim.split}
    for kind, n_folds in ((results.ARTIST, claim.artist_folds), (results.FAULT_FILTERED, 0)):
        if kind in kinds:
            yield kind, kind, n_folds


def _claimed(recipe: Recipe, data: Path | None) -> Claimed:
    names, weights = recipe.claim.data, recipe.model.weights
    needs = " or ".join("the dataset's folder" if name == "." else name for name in names)
    fetches = FETCHED.get(weights, "")
    if weights != "none":
        needs += f"; {fetches or f'the weights {Path(weights).name}'}"
    if data is None:
        return Claimed(recipe, needs, NO_DATA)
    if not data.is_dir():
        return Claimed(recipe, needs, f"there is no folder {data}")
    paths = [data / name for name in names if (data / name).exists()]
    if not paths:
        return Claimed(recipe, needs, f"{_none_of(names)} found in {data}")
    missing = _missing(weights, paths[0], recipe.claim.n_genres)
    fields = {"data": recipe.data.model_copy(update={"source": str(paths[0])})}
    return Claimed(recipe.model_copy(update=fields), needs, missing, fetches)


def _none_of(names: Sequence[str]) -> str:
    return f"neither {' nor '.join(names)}" if len(names) > 1 else f"{names[0]} not"


def is_weight_file(weights: str) -> bool:
    """Whether a recipe's weights are a file, which --weights holds; else they are fetched."""
    return weights not in ("none", *FETCHED)


def _with_weights(recipe: Recipe, folder: Path | None) -> Recipe:
    """Look for a weight file that the recipe names in a folder."""
    weights = recipe.model.weights
    if folder is None or not is_weight_file(weights):
        return recipe
    model = recipe.model.model_copy(update={"weights": str(folder / weights)})
    return recipe.model_copy(update={"model": model})


def _missing(weights: str, data: Path, n_genres: int) -> str:
    """Return what of the weights, data and genres is not there or cannot be opened."""
    if is_weight_file(weights) and not Path(weights).is_file():
        return f"the weights {weights} are not there; give their folder: --weights"
    try:
        labels = datasets.open_dataset(data).labels
    except (DatasetError, OSError) as error:
        return str(error)
    if len(labels) < n_genres:
        return (
            f"{data} holds {len(labels)} of the source's {n_genres} genres ({', '.join(labels)}); "
            "get the others, or train its recipe on these by genrekit train"
        )
    return ""


def _continued(fresh: Result, kept: Result | None) -> Result:
    """Return what was kept if it is of the same models on the same data, or a fresh result."""
    if kept is None or (_models(kept), kept.recipe.get("aggregation")) != (
        _models(fresh),
        fresh.recipe.get("aggregation"),
    ):
        return fresh
    return kept.model_copy(update={"recipe": fresh.recipe, "claim": fresh.claim})


def is_of(result: Result, recipe: Recipe) -> bool:
    """Whether a result is of the models that a recipe trains now, on whichever data."""
    now = result.model_copy(
        update={"recipe": recipes.without_paths(recipe), "claim": recipe.claim, "seed": recipe.seed}
    )
    return _models(_without_data(result)) == _models(_without_data(now))


def _without_data(result: Result) -> Result:
    fields = json.loads(json.dumps(result.recipe))
    fields.get("data", {}).pop("source", None)
    if not fields.get("data"):
        fields.pop("data", None)
    return result.model_copy(update={"recipe": fields})


def _models(result: Result) -> str:
    """Return what decides which models are trained, and on which tracks."""
    recipe = {key: value for key, value in result.recipe.items() if key not in UNTRAINED_KEYS}
    claim = result.claim
    protocols = (claim.split, claim.folds, claim.artist_folds)
    content = [recipe, protocols, result.data, result.seed]
    return json.dumps(json.loads(json.dumps(content)), sort_keys=True)


def _digest(fresh: Result) -> str:
    return hashlib.sha256(_models(fresh).encode()).hexdigest()[:8]
