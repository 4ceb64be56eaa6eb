"""``genrekit evaluate``: measure a model on one part of a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from genrekit.datasets.base import Dataset
    from genrekit.evaluation.result import EvaluationResult
    from genrekit.evaluation.selection import AnySplit
    from genrekit.models.card import Interval

N_NAMED = 5
# Published systems that split segments at random cut thirty seconds into ten.
N_STRETCHES = 10
N_COVERAGE_ROWS = 10


def command(
    data: Annotated[str, typer.Option(help="A dataset's folder, manifest or name.")],
    split: Annotated[
        str,
        typer.Option(help="fault-filtered, artist, track, official, ... or segment (LEAKY)."),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="A model's name or folder.", show_default="the embedded model"),
    ] = None,
    part: Annotated[
        Literal["test", "validation", "train"], typer.Option(help="Which part to measure on.")
    ] = "test",
    seed: Annotated[int, typer.Option(help="Of the split, where it is drawn.")] = 0,
    include_training_tracks: Annotated[
        bool,
        typer.Option(
            "--include-training-tracks", help="Keep tracks the model was fitted to: LEAKY numbers."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write metrics.json, predictions.csv and PNGs into this folder."),
    ] = None,
    update_card: Annotated[
        bool, typer.Option("--update-card", help="Write the numbers into the model's card.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes.", show_default="one a core")
    ] = None,
) -> None:
    """Measure a model on every segment of a split's tracks, with 95 % intervals over artists."""
    from genrekit import datasets
    from genrekit.evaluation import protocol, report
    from genrekit.inference import Classifier
    from genrekit.models import registry

    folder = registry.find(model)
    dataset = datasets.open_dataset(data)
    divided = _divide(dataset, split, seed)
    classifier = Classifier(folder.path, segments="all")
    with console.progress("Listening", _n_tracks(divided, part)) as advance:
        result = protocol.evaluate(
            classifier,
            dataset,
            divided,
            part,
            include_training_tracks=include_training_tracks,
            jobs=jobs,
            advance=advance,
        )
    if as_json:
        typer.echo(result.model_dump_json())
    else:
        _show(result)
    if update_card:
        typer.echo(f"wrote {report.update_card(folder, result)}", err=True)
    drawn = out is None or _write(result, out)
    if result.failures or not drawn:
        raise typer.Exit(1)


def _divide(dataset: Dataset, kind: str, seed: int) -> AnySplit:
    """Return a split of the tracks, or the leaky one of ten stretches of each."""
    if kind != "segment":
        return dataset.split(kind, seed)
    n_segments = {track.track_id: N_STRETCHES for track in dataset.tracks}
    return dataset.segment_split(n_segments, seed)


def _n_tracks(split: AnySplit, part: str) -> int:
    return len({key if isinstance(key, str) else key[0] for key in split.ids(part)})


def _write(result: EvaluationResult, out: Path) -> bool:
    """Write the folder; say on standard error what was written, and return whether all was."""
    from genrekit.evaluation import plots, report

    for path in report.write_folder(result, out):
        typer.echo(f"wrote {path}", err=True)
    if not plots.available():
        typer.echo(f"genrekit: {plots.MISSING}", err=True)
    return plots.available()


def _show(result: EvaluationResult) -> None:
    out = console.stdout()
    for line in _headline(result):
        out.print(line, markup=False)
    for table in (_levels(result), _classes(result), _confusion(result), _coverage(result)):
        if table:
            out.print()
            out.print(table)
    before = result.uncalibrated
    out.print()
    out.print(
        f"Without the card's calibration ({_where(result)}): NLL "
        f"{_number(before.negative_log_likelihood)}, ECE "
        f"{_number(before.expected_calibration_error)}. ECE has 15 equal-width bins and is biased "
        "upwards on few tracks.",
        markup=False,
    )


def _headline(result: EvaluationResult) -> list[str]:
    """Say what was measured, and loudly what was left out or flatters."""
    lines = [
        f"{result.model.name} {result.model.version} on {result.data}, {result.split_title}: "
        f"{result.n_tracks} tracks of {result.n_artist_groups} artist groups; "
        "[95 % intervals by resampling artist groups]"
    ]
    if result.trained_on:
        verb = "MEASURED ALL THE SAME" if result.includes_trained_on else "left out"
        lines.append(
            f"TRAINING TRACKS: {len(result.trained_on)} of this part were used to fit the model, "
            f"{verb}: {_some(result.trained_on)}"
        )
    if result.n_same_artist:
        lines.append(
            f"SAME ARTISTS: {result.n_same_artist} of these tracks are by an artist whose "
            "other tracks were used to fit the model"
        )
    if result.unknown_genres:
        counts = ", ".join(f"{genre} {n}" for genre, n in result.unknown_genres.items())
        lines.append(f"LEFT OUT, genres that the model does not know: {counts}")
    if result.problems:
        n_problems = len(result.problems)
        lines.append(f"SKIPPED by the dataset, {n_problems}: {_some(result.problems)}")
    if result.failures:
        lines.append(f"FAILED, left out: {len(result.failures)} tracks that cannot be heard")
        lines += [f"  {failure.path}: {failure.error}" for failure in result.failures]
    return lines


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


def _where(result: EvaluationResult) -> str:
    return f"{result.split_title}, n = {result.n_tracks}"


def _levels(result: EvaluationResult) -> Table:
    """Return one column a level, one row a score."""
    levels = list(result.levels.values())
    shares = {
        "accuracy %": [scores.accuracy for scores in levels],
        "macro precision %": [scores.macro_precision for scores in levels],
        "macro recall %": [scores.macro_recall for scores in levels],
        "macro F1 %": [scores.macro_f1 for scores in levels],
    }
    numbers = {
        "NLL": [scores.negative_log_likelihood for scores in levels],
        "ECE": [scores.expected_calibration_error for scores in levels],
    }
    rows = [["n", *(str(scores.n_items) for scores in levels)]]
    rows += [[name, *map(_percent, values)] for name, values in shares.items()]
    rows += [[name, *map(_number, values)] for name, values in numbers.items()]
    headers = ["", *(scores.level.replace("_", " ") for scores in levels)]
    return console.table(headers, rows, f"By level ({_where(result)} tracks)")


def _classes(result: EvaluationResult) -> Table:
    rows = [
        [label, str(row.n_items), _percent(row.precision), _percent(row.recall), _percent(row.f1)]
        for label, row in result.product.per_class.items()
    ]
    title = f"By genre, {result.product_level.replace('_', ' ')} ({_where(result)})"
    return console.table(("genre", "n", "precision %", "recall %", "F1 %"), rows, title)


def _confusion(result: EvaluationResult) -> Table:
    rows = [
        [label, *(str(n) if n else "." for n in row)]
        for label, row in zip(result.labels, result.product.confusion, strict=True)
    ]
    title = f"Confusion: truth in rows, answers in columns ({_where(result)})"
    return console.table(("", *(label[:6] for label in result.labels)), rows, title)


def _coverage(result: EvaluationResult) -> Table | None:
    """Return what abstaining gives, at up to ten of the card's thresholds."""
    if not result.coverage:
        return None
    points = result.coverage[:: max(1, -(-len(result.coverage) // N_COVERAGE_ROWS))]
    rows = [
        [
            f"{point.threshold:.2f}",
            f"{100 * point.promised_precision:.1f}",
            _percent(point.precision),
            _percent(point.coverage),
            str(point.n_tracks),
        ]
        for point in points
    ]
    headers = ("threshold", "promised %", "precision %", "coverage %", "answered")
    return console.table(headers, rows, f"Abstaining below a probability ({_where(result)})")


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _number(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.2f}, {interval.high:.2f}]"
