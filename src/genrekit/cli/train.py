"""``genrekit train``: a recipe or a folder of music in, a model folder out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console, library_training
from genrekit.cli.options import Db, Exclude, argument, option, spread
from genrekit.cli.outputs import output_option
from genrekit.errors import RecipeError

if TYPE_CHECKING:
    from genrekit.training.placement import Placement
    from genrekit.training.recipe import Recipe

GRID_FOLDS = 5


def _completions(incomplete: str) -> list[str]:
    from genrekit.training.recipe import catalogue

    return catalogue.completions(incomplete)


@dataclass(frozen=True)
class TrainOptions:
    """The options of ``genrekit train``."""

    arguments: Annotated[
        list[str] | None,
        argument(
            "A recipe's name or file, and values to change in it, such as optimiser.lr=1e-3.",
            metavar="[RECIPE] [KEY=VALUE]...",
            autocompletion=_completions,
        ),
    ] = None
    data: Annotated[
        str | None, option("A dataset: a folder with one folder per genre, a manifest or a name.")
    ] = None
    exclude: Exclude = None
    from_tags: Annotated[
        Path | None, option("A folder of music whose genre tags are the labels.")
    ] = None
    from_library: Annotated[
        bool, option("Train on the corrections and tags of a scanned library.")
    ] = False
    db: Db = None
    mapping: Annotated[
        Path | None,
        option("With --from-tags, --from-library: a TOML file of your genres.", "--label-set"),
    ] = None
    min_per_genre: Annotated[
        int,
        option(
            "With --from-tags, --from-library: leave out (new) genres with fewer tracks.", min=2
        ),
    ] = 10
    output: Annotated[
        Path | None,
        output_option("The run's folder.", folder=True, show_default="runs/NAME-TIME"),
    ] = None
    resume: Annotated[
        Path | None, option("Resume the run in this folder, with its own recipe.")
    ] = None
    genres: Annotated[
        str | None, option("Only these, such as rock,classical.", show_default="the recipe's")
    ] = None
    dry_run: Annotated[bool, option("Show the full recipe and the data; train nothing.")] = False
    folds: Annotated[
        int | None, option("Measure by cross-validation over this many folds.", min=2)
    ] = None
    split: Annotated[str, option("How --folds divides: by artist, track or segment (LEAKY).")] = (
        "artist"
    )
    grid: Annotated[
        list[str] | None,
        option("KEY=A,B,C: compare them by folds without the test tracks; train the best."),
    ] = None
    as_json: Annotated[
        bool, option("Write the result of --folds, --grid, --from-library as JSON.", "--json")
    ] = False
    smoke: Annotated[bool, option("Try the recipe for a few steps on synthetic audio.")] = False
    devices: Annotated[
        int, option("Processes on each machine: one per GPU, or sharing the CPU.", min=1)
    ] = 1
    nodes: Annotated[
        int | None,
        option("Machines that run this command.", min=1, show_default="torchrun's or 1"),
    ] = None


@spread(TrainOptions)
def command(options: TrainOptions) -> None:
    """Train a model and write it to RUN/model, for `genrekit predict --model`.

    With --data alone, a small head is trained on the embeddings of the embedded model. With
    --from-tags, a logistic one on all tracks, measured by folds that never divide an artist or
    album. With --from-library, the model of the last scan learns from corrections and tags, and
    is compared with its old self; `genrekit models install RUN/model` puts it into use.

    Examples:
        genrekit train --data MyGenres/
        genrekit train cnn --data MyGenres/ optimiser.lr=1e-3
    """
    if options.from_library:
        library_training.teach(options)
        return
    placement = _place(options)
    if options.from_tags:
        options = _label(options, options.from_tags)
    recipe = _recipe(options)
    if options.dry_run:
        _show(recipe)
        return
    from genrekit.training import smoke as smoke_runs
    from genrekit.training.run import TrainingRun

    folder = options.resume or options.output or _new_folder(recipe.name)
    if options.smoke:
        recipe = smoke_runs.shrink(recipe, folder)
    if options.grid:
        recipe = _search(recipe, options, folder)
    elif options.folds:
        _measure(recipe, options, folder)
        return
    run = TrainingRun(recipe, folder, console.say, placement=placement)
    try:
        if placement.node_rank:
            run.join()
        else:
            typer.echo(run.train().path)
    except KeyboardInterrupt:
        console.say(f"interrupted; to resume: genrekit train --resume {folder}")
        raise


def _place(options: TrainOptions) -> Placement:
    """Return this machine's place among all that train."""
    from genrekit.training import placement as placements

    placement = placements.find(options.devices, options.nodes)
    if placement.n_ranks > 1 and (options.folds or options.grid):
        raise RecipeError(
            "--folds and --grid train one network at a time in one process; omit "
            "--devices and --nodes"
        )
    if placement.n_nodes > 1 and not (options.output or options.resume):
        raise RecipeError(
            "several machines need one folder; give each the same --output or --resume"
        )
    return placement


def _label(options: TrainOptions, folder: Path) -> TrainOptions:
    """Write a folder's genre tags to a manifest in the run's folder, to train on."""
    from genrekit.library import labelling
    from genrekit.training.recipe import FROM_TAGS

    output = options.output or _new_folder("own-genres")
    target = output / "own-tags.csv"
    with console.progress("Reading tags", None) as advance:
        found = labelling.write_manifest(
            folder, target, options.mapping, min_per_genre=options.min_per_genre, advance=advance
        )
    genres = ", ".join(f"{genre} ({n})" for genre, n in found.n_tracks.items())
    several = f", {found.n_several} of them with several genres" if found.n_several else ""
    console.say(f"{found.n_files} tracks{several}: {genres}")
    for reason, n_files in found.left_out.items():
        console.say(f"left out: {n_files} files: {reason}")
    arguments = [*FROM_TAGS, *(options.arguments or [])]
    return replace(options, output=output, data=str(target), arguments=arguments)


def _recipe(options: TrainOptions) -> Recipe:
    from genrekit.training import recipe as recipes
    from genrekit.training.recipe import catalogue

    arguments = [*(options.arguments or []), *_chosen(options)]
    overrides = [argument for argument in arguments if "=" in argument]
    files = [argument for argument in arguments if "=" not in argument]
    if options.resume:
        if arguments or options.data:
            raise RecipeError("--resume uses the run's own recipe; give no other recipe or value")
        return recipes.load(options.resume / "recipe.toml")
    if len(files) > 1:
        raise RecipeError(f"got {', '.join(files)}; expected one recipe")
    named = files or options.data or any(text.startswith("data.source=") for text in overrides)
    if not named:
        raise RecipeError("give a recipe (a name or RECIPE.toml) or --data FOLDER")
    return recipes.load(catalogue.find(files[0]) if files else None, overrides, options.data)


def _chosen(options: TrainOptions) -> list[str]:
    """Return what --exclude and --genres override in the recipe."""
    overrides = []
    if options.exclude:
        overrides.append(f"data.exclude={json.dumps(str(options.exclude))}")
    if options.genres is not None:
        names = [name.strip() for name in options.genres.split(",") if name.strip()]
        overrides.append(f"data.genres={json.dumps(names, ensure_ascii=False)}")
    return overrides


def _show(recipe: Recipe) -> None:
    from genrekit.training import data as training_data
    from genrekit.training import recipe as recipes

    prepared = training_data.prepare(recipe)  # refuses unusable data before anything is printed
    typer.echo(recipes.to_toml(recipe))
    rows = [[genre, str(n_train), str(n_val)] for genre, n_train, n_val in prepared.rows()]
    title = f"{prepared.dataset.name}, {prepared.split.described}"
    console.stdout().print(console.table(["genre", "train", "validation"], rows, title))
    for problem in prepared.dataset.problems:
        console.say(str(problem))


def _measure(recipe: Recipe, options: TrainOptions, folder: Path) -> None:
    from genrekit.evaluation import report
    from genrekit.training import experiments

    result = experiments.evaluate(recipe, options.split, folder, console.say, n_folds=options.folds)
    for path in report.write_folder(result, folder):
        console.say(f"wrote {path}")
    if options.as_json:
        typer.echo(result.model_dump_json())
        return
    rows = [[run.split, f"{100 * run.n_correct / run.n_tracks:.1f}"] for run in result.runs]
    rows += [
        [f"all, {level.replace('_', ' ')}", scores.accuracy.percent()]
        for level, scores in result.levels.items()
    ]
    title = f"{recipe.name} on {result.data}, {result.split_title}, {result.n_tracks} tracks"
    console.stdout().print(console.table(["fold", "accuracy %"], rows, title))
    if result.caution:
        console.say(f"note: {result.caution}")


def _search(recipe: Recipe, options: TrainOptions, folder: Path) -> Recipe:
    from genrekit.training import grid as grids

    n_folds = options.folds or GRID_FOLDS
    tried = grids.search(recipe, grids.parse(options.grid or ()), n_folds, folder, console.say)
    if options.as_json:
        typer.echo(json.dumps(grids.rows(tried), ensure_ascii=False))
    else:
        keys = list(tried[0].values)
        rows = [[*map(str, one.values.values()), one.scores.accuracy.percent()] for one in tried]
        title = f"{n_folds} folds of the training and validation tracks"
        console.stdout().print(console.table([*keys, "accuracy %"], rows, title))
    return tried[0].recipe


def _new_folder(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
