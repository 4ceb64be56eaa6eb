"""``genrekit train``: a recipe or a folder of music in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.errors import RecipeError

if TYPE_CHECKING:
    from genrekit.training.recipe import Recipe


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE.toml] [KEY=VALUE]...",
            help="A recipe, and values that differ from it, such as optimiser.lr=1e-3.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A dataset: a folder with one folder per genre, a manifest, a name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.", show_default="runs/NAME-TIME")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, by its own recipe.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the whole recipe and the data; train nothing.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the recipe for a few steps on made audio.")
    ] = False,
) -> None:
    """Train a model; it ends in RUN/model, which `genrekit predict --model` takes.

    With --data alone, a small head is trained on the embedding of the embedded model.
    """
    recipe = _recipe(arguments or [], data, resume)
    if dry_run:
        _show(recipe)
        return
    from genrekit.training import smoke as smoke_runs
    from genrekit.training.run import Run

    folder = resume or out or _new_folder(recipe.name)
    if smoke:
        recipe = smoke_runs.shrink(recipe, folder)
    try:
        model = Run(recipe, folder, _report).train()
    except KeyboardInterrupt:
        _report(f"interrupted; go on with: genrekit train --resume {folder}")
        raise
    typer.echo(model.path)


def _recipe(arguments: list[str], data: str | None, resume: Path | None) -> Recipe:
    from genrekit.training import recipe as recipes

    overrides = [argument for argument in arguments if "=" in argument]
    files = [argument for argument in arguments if "=" not in argument]
    if resume:
        if arguments or data:
            raise RecipeError("--resume goes on with the run's own recipe; give nothing beside it")
        return recipes.load(resume / "recipe.toml")
    if len(files) > 1:
        raise RecipeError(f"one recipe at a time; {', '.join(files)} came")
    if not (files or data or any(text.startswith("data.source=") for text in overrides)):
        raise RecipeError("give a recipe (RECIPE.toml) or --data FOLDER")
    return recipes.load(Path(files[0]) if files else None, overrides, data)


def _show(recipe: Recipe) -> None:
    from genrekit.training import data as training_data
    from genrekit.training import recipe as recipes

    typer.echo(recipes.to_toml(recipe))
    prepared = training_data.prepare(recipe)
    rows = [[genre, str(n_train), str(n_val)] for genre, n_train, n_val in prepared.rows()]
    title = f"{prepared.dataset.name}, {prepared.split.name} split"
    console.stdout().print(console.table(["genre", "train", "validation"], rows, title))
    for problem in prepared.dataset.problems:
        typer.echo(f"{problem}", err=True)


def _new_folder(name: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _report(line: str) -> None:
    typer.echo(line, err=True)
