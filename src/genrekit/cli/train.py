"""``genrekit train``: a recipe or a folder of music in, a model folder out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console
from genrekit.errors import RecipeError

if TYPE_CHECKING:
    from genrekit.training.recipe import Recipe

GRID_FOLDS = 5


FromTags = Annotated[
    Path | None, typer.Option(help="A folder of music whose genre tags are the labels.")
]
Mapping = Annotated[
    Path | None, typer.Option("--map", help="With --from-tags: a label set with your genres.")
]
MinPerGenre = Annotated[
    int, typer.Option(min=2, help="With --from-tags: leave out genres with fewer tracks.")
]
Genres = Annotated[
    str | None,
    typer.Option(help="Only these, such as rock,classical.", show_default="the recipe's"),
]


def command(  # noqa: PLR0913, PLR0917 - each is an option
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
    exclude: Annotated[
        Path | None, typer.Option(help="A TSV of tracks to leave out, from `datasets audit`.")
    ] = None,
    from_tags: FromTags = None,
    mapping: Mapping = None,
    min_per_genre: MinPerGenre = 10,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.", show_default="runs/NAME-TIME")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, by its own recipe.")
    ] = None,
    genres: Genres = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the whole recipe and the data; train nothing.")
    ] = False,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Hold out one fold after the other, and measure.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="How --folds divides: artist, track or segment (LEAKY).")
    ] = "artist",
    grid: Annotated[
        list[str] | None,
        typer.Option(help="KEY=A,B,C: try all, by folds without the test tracks; train the best."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --folds or --grid: print JSON.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the recipe for a few steps on made audio.")
    ] = False,
) -> None:
    """Train a model; it ends in RUN/model, which `genrekit predict --model` takes.

    With --data alone, a small head is trained on the embedding of the embedded model. With
    --from-tags, a logistic one on all tracks, judged by folds that tear no artist or album apart.
    """
    if from_tags:
        out = out or _new_folder("own-genres")
        data = _label(from_tags, out, mapping, min_per_genre)
        from genrekit.training.recipe import FROM_TAGS

        arguments = [*FROM_TAGS, *(arguments or [])]
    left_out = [f"data.exclude={json.dumps(str(exclude))}"] if exclude else []
    recipe = _recipe([*(arguments or []), *left_out, *_chosen(genres)], data, resume)
    if dry_run:
        _show(recipe)
        return
    from genrekit.training import smoke as smoke_runs
    from genrekit.training.run import Run

    folder = resume or out or _new_folder(recipe.name)
    if smoke:
        recipe = smoke_runs.shrink(recipe, folder)
    if grid:
        recipe = _search(recipe, grid, folds or GRID_FOLDS, folder, as_json)
    elif folds:
        _measure(recipe, split, folds, folder, as_json)
        return
    try:
        model = Run(recipe, folder, _report).train()
    except KeyboardInterrupt:
        _report(f"interrupted; go on with: genrekit train --resume {folder}")
        raise
    typer.echo(model.path)


def _label(folder: Path, out: Path, mapping: Path | None, min_per_genre: int) -> str:
    """Write what the tags of a folder say as a manifest into the run's folder; return its path."""
    from genrekit.library import labelling

    target = out / "own-tags.csv"
    with console.progress("Reading tags", None) as advance:
        found = labelling.write_manifest(
            folder, target, mapping, min_per_genre=min_per_genre, advance=advance
        )
    genres = ", ".join(f"{genre} ({n})" for genre, n in found.n_tracks.items())
    _report(f"{sum(found.n_tracks.values())} tracks: {genres}")
    for reason, n_files in found.left_out.items():
        _report(f"left out: {n_files} files: {reason}")
    return str(target)


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


def _chosen(genres: str | None) -> list[str]:
    """Return the override of the recipe's genres."""
    if genres is None:
        return []
    names = [name.strip() for name in genres.split(",") if name.strip()]
    return [f"data.genres={json.dumps(names, ensure_ascii=False)}"]


def _show(recipe: Recipe) -> None:
    from genrekit.training import data as training_data
    from genrekit.training import recipe as recipes

    prepared = training_data.prepare(recipe)  # refuses unusable data before anything is printed
    typer.echo(recipes.to_toml(recipe))
    rows = [[genre, str(n_train), str(n_val)] for genre, n_train, n_val in prepared.rows()]
    title = f"{prepared.dataset.name}, {prepared.split.name} split"
    console.stdout().print(console.table(["genre", "train", "validation"], rows, title))
    for problem in prepared.dataset.problems:
        typer.echo(f"{problem}", err=True)


def _measure(recipe: Recipe, kind: str, n_folds: int, folder: Path, as_json: bool) -> None:
    from genrekit.evaluation import report
    from genrekit.training import measure

    result = measure.evaluate(recipe, kind, folder, _report, n_folds=n_folds)
    for path in report.write_folder(result, folder):
        _report(f"wrote {path}")
    if as_json:
        typer.echo(result.model_dump_json())
        return
    rows = [[run.split, f"{100 * run.n_right / run.n_tracks:.1f}"] for run in result.runs]
    rows += [
        [f"all, {level.replace('_', ' ')}", scores.accuracy.percent()]
        for level, scores in result.levels.items()
    ]
    title = f"{recipe.name} on {result.data}, {result.split_title}, {result.n_tracks} tracks"
    console.stdout().print(console.table(["fold", "accuracy %"], rows, title))


def _search(recipe: Recipe, texts: list[str], n_folds: int, folder: Path, as_json: bool) -> Recipe:
    from genrekit.training import grid as grids

    tried = grids.search(recipe, grids.parse(texts), n_folds, folder, _report)
    if as_json:
        typer.echo(json.dumps(grids.rows(tried), ensure_ascii=False))
    else:
        keys = list(tried[0].values)
        rows = [[*map(str, its.values.values()), its.scores.accuracy.percent()] for its in tried]
        title = f"{n_folds} folds of the training and validation tracks"
        console.stdout().print(console.table([*keys, "accuracy %"], rows, title))
    return tried[0].recipe


def _new_folder(name: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _report(line: str) -> None:
    typer.echo(line, err=True)
