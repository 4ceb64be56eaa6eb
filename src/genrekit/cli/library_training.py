"""``genrekit train --from-library``: a new head for the model used to scan the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from genrekit.cli import console
from genrekit.errors import RecipeError

if TYPE_CHECKING:
    from genrekit.cli.train import TrainOptions
    from genrekit.library.labelled import LabelledLibrary
    from genrekit.training.teaching import TaughtModel

_WITHOUT = (
    "arguments",
    "data",
    "exclude",
    "from_tags",
    "resume",
    "genres",
    "folds",
    "grid",
    "smoke",
)
_STEP = 100  # tracks between two progress lines, where no bar can be shown


def teach(options: TrainOptions) -> None:
    """Read a library's labels, fit, compare, write the model folder and show the result.

    Raises:
        RecipeError: an option that --from-library excludes.
    """
    others = [f"--{name.replace('_', '-')}" for name in _WITHOUT if getattr(options, name)]
    if others:
        raise RecipeError(
            f"--from-library takes its data from the library; omit {', '.join(others)}"
        )
    from genrekit import labels
    from genrekit.library import database, labelled, query
    from genrekit.models import registry

    label_set = labels.read(options.mapping) if options.mapping else None
    with database.opened(options.db, must_exist=True) as connection:
        used = query.used_model(connection)
        found = labelled.labelled(connection, used)
    folder = registry.find(used.path)
    _show_labels(found)
    if options.dry_run:
        return
    from genrekit.training import export, lesson, teaching

    tracks = [lesson.TaughtTrack(*recording) for recording in found.recordings]
    n_measured = teaching.n_measured(len(tracks))
    with console.progress("Measuring", n_measured, unit="tracks") as advance:
        model = teaching.teach(
            folder,
            tracks,
            label_set,
            min_per_genre=options.min_per_genre,
            advance=_counted(advance, n_measured),
        )
    output = options.output or Path("runs") / f"library-{datetime.now():%Y%m%d-%H%M%S}"
    target = export.write_folder(output / "model", model.model, model.card)
    _show_result(model, target, options.as_json)


def _show_labels(found: LabelledLibrary) -> None:
    n_corrections = sum(recording.is_correction for recording in found.recordings)
    n_tagged = len(found.recordings) - n_corrections
    console.say(f"{n_corrections} corrected recordings, {n_tagged} with genre tags")
    for reason, n_files in found.left_out.items():
        console.say(f"left out: {n_files} files: {reason}")


def _counted(advance: Callable[[], None], n_tracks: int) -> Callable[[], None]:
    n_done = 0

    def step() -> None:
        nonlocal n_done
        n_done += 1
        advance()
        if n_done % _STEP == 0:
            console.say(f"{n_done} of {n_tracks} tracks measured")

    return step


def _show_result(model: TaughtModel, target: Path, as_json: bool) -> None:
    for path, reason in model.failures.items():
        console.complain(path, f"not measured: {reason}")
    if as_json:
        typer.echo(json.dumps({**model.to_dict(), "model": str(target)}, ensure_ascii=False))
        return
    rows = [
        [model.card.name, f"{100 * model.accuracy:.1f}"],
        [model.old_name, f"{100 * model.old_accuracy:.1f}"],
        ["difference", model.difference.points()],
    ]
    title = f"{model.n_tracks} tracks of {model.n_artist_groups} artists, each held out"
    console.stdout().print(console.table(["model", "accuracy %"], rows, title))
    if model.caution:
        console.say(f"note: {model.caution}")
    if model.new_labels:
        console.say(f"genres that {model.old_name} lacks: {', '.join(model.new_labels)}")
    console.say(f"it is not in use yet; to use it: genrekit models install {target}")
    typer.echo(target)
