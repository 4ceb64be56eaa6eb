"""``genrekit evaluate``: measure a model, or train and measure a recipe, on a split's tracks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import console, tables
from genrekit.cli.options import AsJson, Exclude, Jobs, argument, option, spread
from genrekit.cli.outputs import output_option

if TYPE_CHECKING:
    from genrekit.datasets import Dataset
    from genrekit.evaluation.result import EvaluationResult
    from genrekit.models.card import LeakMeter, Robustness
    from genrekit.models.registry import ModelFolder
    from genrekit.training.recipe import Recipe


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of ``genrekit evaluate``."""

    data: Annotated[str, option("A dataset's folder, manifest or name.")]
    split: Annotated[
        str, option("The split: fault-filtered, artist, track, official or segment (LEAKY).")
    ]
    arguments: Annotated[
        list[str] | None,
        argument(
            "A model's name or folder, or a recipe to train and the values to change in it.",
            metavar="[MODEL|RECIPE.toml] [KEY=VALUE]...",
        ),
    ] = None
    model: Annotated[
        str | None,
        option("The model, if not the first argument.", show_default="the embedded model"),
    ] = None
    part: Annotated[
        Literal["test", "validation", "train"], option("Which part of a model's split.")
    ] = "test"
    seed: Annotated[int, option("The seed of a model's split, where that is random.")] = 0
    exclude: Exclude = None
    folds: Annotated[
        int | None, option("Train a recipe on this many folds.", min=2, show_default="none")
    ] = None
    seeds: Annotated[int, option("Train a recipe with this many seeds.", min=1)] = 1
    leak_meter: Annotated[bool, option("Train the recipe on every split, the LEAKY one too.")] = (
        False
    )
    robustness: Annotated[
        bool, option("Also predict the tracks as MP3, with noise, time-shifted, ...")
    ] = False
    include_training_tracks: Annotated[
        bool, option("Keep the tracks that the model was trained on: LEAKY numbers.")
    ] = False
    as_json: AsJson = False
    output: Annotated[
        Path | None,
        output_option(
            "Write report.html, metrics.json, predictions.csv and PNGs to this folder.", folder=True
        ),
    ] = None
    update_card: Annotated[bool, option("Write the numbers into the model's card.")] = False
    jobs: Jobs = None

    @property
    def named(self) -> str | None:
        """Return the model or the recipe; None is the embedded model."""
        names = [argument for argument in self.arguments or () if "=" not in argument]
        if self.model is not None:
            names.append(self.model)
        if len(names) > 1:
            raise typer.BadParameter(f"got {', '.join(names)}; expected one model or recipe")
        return names[0] if names else None

    @property
    def repeats(self) -> dict[str, int | None]:
        """Return how often a recipe is trained, and by how many processes."""
        return {"n_folds": self.folds, "n_seeds": self.seeds, "jobs": self.jobs}

    @property
    def changes(self) -> list[str]:
        """Return every KEY=VALUE."""
        return [argument for argument in self.arguments or () if "=" in argument]

    @property
    def overrides(self) -> list[str]:
        """Return what differs from the recipe."""
        excluded = [f"data.exclude={json.dumps(str(self.exclude))}"] if self.exclude else []
        return self.changes + excluded

    def open(self) -> Dataset:
        """Open the data."""
        from genrekit import datasets

        return datasets.open_dataset(self.data, self.exclude)

    @property
    def is_recipe(self) -> bool:
        """Return whether a recipe's file was named."""
        return (self.named or "").endswith(".toml")


@spread(EvaluateOptions)
def command(options: EvaluateOptions) -> None:
    """Measure a model, or train and measure a recipe, with 95 % intervals over artists.

    Every segment of the split's tracks is predicted, by the same code as in `genrekit predict`.

    Examples:
        genrekit evaluate fast --data GTZAN --split fault-filtered
        genrekit evaluate recipes/fast.toml --data GTZAN --split artist --folds 5
    """
    from genrekit.evaluation import report
    from genrekit.models import registry

    _check(options)
    folder = None if options.is_recipe else registry.find(options.named)
    with _runs_folder(options) as runs:
        result = _model(options, folder) if folder else _recipe(options, runs)
        if options.leak_meter:
            meter = _leak_meter(options, folder, runs)
            result = result.model_copy(update={"leak_meter": meter})
    if options.robustness and folder:
        changed = _robustness(options, folder, result)
        result = result.model_copy(update={"robustness": changed})
    if options.as_json:
        typer.echo(result.model_dump_json())
    else:
        tables.show(result)
    if options.update_card and folder:
        console.say(f"wrote {report.update_card(folder, result, options.open())}")
    drawn = options.output is None or _write(result, options.output, folder)
    if result.failures or not drawn:
        raise typer.Exit(1)


def _check(options: EvaluateOptions) -> None:
    """Refuse options that exclude each other."""
    if options.is_recipe:
        if options.update_card or options.robustness:
            raise typer.BadParameter(
                "--update-card and --robustness need a model; train the recipe and name its model"
            )
        if options.include_training_tracks or options.part != "test" or options.seed:
            raise typer.BadParameter(
                "--part, --seed and --include-training-tracks need a model; a recipe is measured "
                "on what it held out"
            )
    elif not options.leak_meter and (options.folds or options.seeds > 1 or options.changes):
        raise typer.BadParameter(
            "--folds, --seeds and KEY=VALUE need training: give a recipe's file, or --leak-meter"
        )


@contextmanager
def _runs_folder(options: EvaluateOptions) -> Iterator[Path]:
    """Keep the runs beside the report, where a later call finds them, or in a temporary folder."""
    if options.output:
        yield options.output / "runs"
        return
    with tempfile.TemporaryDirectory(prefix="genrekit-") as folder:
        yield Path(folder)


def _model(options: EvaluateOptions, folder: ModelFolder) -> EvaluationResult:
    from genrekit.evaluation import protocol, selection
    from genrekit.inference.classifier import Classifier

    dataset = options.open()
    (split,) = selection.divide(dataset, options.split, seed=options.seed)
    n_tracks = len({key if isinstance(key, str) else key[0] for key in split.ids(options.part)})
    with console.progress("predicting", n_tracks) as advance:
        return protocol.evaluate(
            Classifier(folder.path, segments="all"),
            dataset,
            split,
            options.part,
            include_training_tracks=options.include_training_tracks,
            jobs=options.jobs,
            advance=advance,
        )


def _training() -> ModuleType:
    """Return genrekit.training.experiments, which needs torch."""
    from genrekit.training import experiments

    return experiments


def _recipe(options: EvaluateOptions, runs: Path) -> EvaluationResult:
    recipe = _resolved(options, None)
    result: EvaluationResult = _training().evaluate(
        recipe, options.split, runs, console.say, **options.repeats
    )
    return result


def _leak_meter(options: EvaluateOptions, folder: ModelFolder | None, runs: Path) -> LeakMeter:
    recipe = _resolved(options, folder)
    meter: LeakMeter = _training().leak_meter(recipe, runs, console.say, **options.repeats)
    return meter


def _resolved(options: EvaluateOptions, folder: ModelFolder | None) -> Recipe:
    """Return the recipe that was named, or the one in the model's card."""
    if folder:
        changed: Recipe = _training().recipe_of(folder.card, options.data, options.overrides)
        return changed
    from genrekit.training import recipe
    from genrekit.training.recipe import catalogue

    return recipe.load(catalogue.find(options.named or ""), options.overrides, options.data)


def _robustness(
    options: EvaluateOptions, folder: ModelFolder, result: EvaluationResult
) -> Robustness:
    from genrekit.evaluation import robustness

    with console.progress("changing the audio", result.n_tracks) as advance:
        return robustness.measure(
            folder, result, jobs=options.jobs, report=console.say, advance=advance
        )


def _write(result: EvaluationResult, out: Path, model: ModelFolder | None) -> bool:
    """Write the folder, name what was written on standard error, and return whether all was."""
    from genrekit import plotting
    from genrekit.evaluation import plots, report

    trained = [model.path.parent] if model else list((out / "runs").glob("*"))
    curves = trained[0] / "metrics.csv" if len(trained) == 1 else None
    for path in report.write_folder(result, out, curves):
        console.say(f"wrote {path}")
    if not plots.available():
        console.warn(plotting.missing())
    return plots.available()
