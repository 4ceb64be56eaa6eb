"""The results of evaluations and audits as text and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from genrekit.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from genrekit.evaluation.comparison import Comparison
    from genrekit.evaluation.result import EvaluationResult
    from genrekit.models.card import Interval, LeakMeter, Robustness
    from genrekit.quality.findings import Audit, Finding, Published

N_NAMED = 5
N_CONFUSIONS = 8
N_TRACKS = 4  # shown per finding


def show(result: EvaluationResult) -> None:
    """Print all results of an evaluation."""
    out = console.stdout()
    for line in _headline(result):
        out.print(line, markup=False)
    shown = (
        _levels(result),
        _runs(result),
        _classes(result),
        _confusion(result),
        _confusions(result),
        _abstention(result),
        result.leak_meter and leak_meter(result.leak_meter),
        result.robustness and robustness(result.robustness),
    )
    for table in shown:
        if table:
            out.print()
            out.print(table)
    for row in result.leak_meter.rows if result.leak_meter else ():
        if row.caution:
            out.print(f"FEW TRACKS, {row.split}: {row.caution}", markup=False)
    before = result.uncalibrated
    out.print()
    out.print(
        f"Without the card's calibration ({_where(result)}): NLL "
        f"{before.negative_log_likelihood.number()}, ECE "
        f"{before.expected_calibration_error.number()}. ECE has 15 equal-width bins and is biased "
        "upwards on few tracks.",
        markup=False,
    )


def _headline(result: EvaluationResult) -> list[str]:
    """Return what was measured, and warnings about what was left out or flatters the result."""
    lines = [
        f"{result.model.name} {result.model.version} on {result.data}, {result.split_title}: "
        f"{result.n_tracks} tracks of {result.n_artist_groups} artist groups; "
        "[95 % intervals by resampling artist groups]"
    ]
    if result.caution:
        lines.append(f"FEW TRACKS: {result.caution}")
    if result.split_is_leaky:
        lines.append(
            "LEAKY: segments of every track were trained on; these numbers are for comparison only"
        )
    elif result.trained_on:
        verb = "INCLUDED" if result.includes_trained_on else "left out"
        lines.append(
            f"TRAINING TRACKS: {len(result.trained_on)} of this part were used to fit the model, "
            f"{verb}: {_some(result.trained_on)}"
        )
    if result.other_split:
        lines.append(
            f"ANOTHER SPLIT: the card has another hash for the {result.split} split of "
            f"{result.data}; these tracks differ from those held out in training"
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
        lines.append(f"FAILED, left out: {len(result.failures)} tracks that cannot be decoded")
        lines += [f"  {failure.path}: {failure.error}" for failure in result.failures]
    return lines


def _some(names: Sequence[str], n_named: int = N_NAMED) -> str:
    more = f" and {len(names) - n_named} more" if len(names) > n_named else ""
    return ", ".join(names[:n_named]) + more


def _where(result: EvaluationResult) -> str:
    return f"{result.split_title}, n = {result.n_tracks}"


def _levels(result: EvaluationResult) -> Table:
    """Return a table with one column per level, one row per score."""
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
    rows += [[name, *(its.percent() for its in values)] for name, values in shares.items()]
    rows += [[name, *(its.number() for its in values)] for name, values in numbers.items()]
    headers = ["", *(scores.level.replace("_", " ") for scores in levels)]
    return console.table(headers, rows, f"By level ({_where(result)} tracks)")


def _classes(result: EvaluationResult) -> Table:
    rows = [
        [label, str(row.n_items), *map(_percent, (row.precision, row.recall, row.f1))]
        for label, row in result.product.per_class.items()
    ]
    title = f"By genre, {result.product_level.replace('_', ' ')} ({_where(result)})"
    return console.table(("genre", "n", "precision %", "recall %", "F1 %"), rows, title)


def _confusion(result: EvaluationResult) -> Table:
    rows = [
        [label, *(str(n) if n else "." for n in row)]
        for label, row in zip(result.labels, result.product.confusion, strict=True)
    ]
    title = f"Confusion: truth in rows, predictions in columns ({_where(result)})"
    return console.table(("", *(label[:6] for label in result.labels)), rows, title)


def _confusions(result: EvaluationResult) -> Table | None:
    rows = [
        [its.genre, its.label, str(len(its.track_ids)), _some(its.track_ids)]
        for its in result.confusions[:N_CONFUSIONS]
    ]
    headers = ("truth", "prediction", "tracks", "most confident first")
    return console.table(headers, rows, f"Confusions ({_where(result)})") if rows else None


def _runs(result: EvaluationResult) -> Table | None:
    """Return a table with one row per model, if there are several."""
    if len(result.runs) == 1:
        return None
    has_seeds = any(run.seed is not None for run in result.runs)
    rows = [
        [
            run.split,
            *([str(run.seed)] if has_seeds else []),
            str(run.n_tracks),
            f"{100 * run.n_correct / max(run.n_tracks, 1):.1f}",
        ]
        for run in result.runs
    ]
    headers = ["split", *(["seed"] if has_seeds else []), "tracks", "accuracy %"]
    return console.table(headers, rows, f"By model ({_where(result)})")


def _abstention(result: EvaluationResult) -> Table | None:
    rows = [
        [
            f"{100 * point.promised_precision:.0f}",
            "one a model" if point.threshold is None else f"{point.threshold:.2f}",
            _percent(point.precision),
            point.coverage.percent(),
            str(point.n_tracks),
        ]
        for point in result.abstention
    ]
    headers = ("promised %", "threshold", "precision %", "coverage %", "n")
    title = f"Abstaining below the threshold for a precision ({_where(result)})"
    return console.table(headers, rows, title) if rows else None


def leak_meter(meter: LeakMeter) -> Table:
    """Return a table with one row per split, the honest one last."""
    rows = [
        [
            row.split,
            str(row.n_tracks),
            row.segment_accuracy.percent(),
            row.accuracy.percent(),
            "the honest one" if row.difference is None else row.difference.points(),
        ]
        for row in meter.rows
    ]
    headers = ("split", "tracks", "segment %", "track %", f"difference to {meter.honest}")
    return console.table(headers, rows, f"Leak meter: {meter.recipe} on {meter.data}")


def robustness(measured: Robustness) -> Table:
    """Return a table with one row per change of the audio."""
    rows = [
        [change.name, str(change.n_tracks), change.accuracy.percent(), change.agreement.percent()]
        for change in measured.changes
    ]
    title = f"Changed audio ({measured.data}, {measured.split})"
    return console.table(("change", "n", "accuracy %", "same label %"), rows, title)


def comparisons(found: Sequence[Comparison]) -> Table:
    """Return a table with one row per pair."""
    rows = [
        [
            its.first,
            its.second,
            str(its.n_tracks),
            f"{100 * its.first_accuracy:.1f}",
            f"{100 * its.second_accuracy:.1f}",
            its.difference.points(),
            f"{its.n_only_first} : {its.n_only_second}",
            f"{its.p_value:.2g}",
        ]
        for its in found
    ]
    headers = ("first", "second", "n", "first %", "second %", "difference", "only one correct", "p")
    return console.table(headers, rows)


def _percent(interval: Interval | None) -> str:
    return interval.percent() if interval else "-"


def show_audit(found: Audit) -> None:
    """Print every finding, the comparison with published lists, and the totals."""
    for check, group in groupby(found.findings, key=lambda finding: finding.check):
        for line in _section(check, list(group)):
            typer.echo(console.printable(line))
        typer.echo()
    if found.published:
        typer.echo("\n".join(_compare(found.published)))
    typer.echo(
        f"{found.dataset}: {found.n_tracks} tracks, {found.duration_seconds / 3600:.2f} hours: "
        f"{len(found.findings)} findings, {len(found.excluded)} tracks to leave out"
    )
    for note in found.notes:
        console.say(f"note: {note}")


def _section(check: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the check's name, then one line per finding, so that they can be searched."""
    hint = "" if findings[0].exclude else "; not left out, for you to decide"
    yield f"{check} ({len(findings)}{hint})"
    named = [_some(finding.tracks, N_TRACKS) for finding in findings]
    width = max(map(len, named))
    for names, finding in zip(named, findings, strict=True):
        yield f"  {names:<{width}}  {finding.reason}"


def _compare(published: Published) -> Iterator[str]:
    n_both = published.n_published - len(published.missed)
    yield (
        f"published repetitions: {n_both} of {published.n_published} pairs found (recall "
        f"{100 * published.recall:.1f} %); {n_both} of {published.n_found} pairs found are "
        f"published (precision {100 * published.precision:.1f} %)"
    )
    for title, pairs in (("missed", published.missed), ("not published", published.new)):
        if pairs:
            yield f"  {title}: {', '.join(f'{first} = {second}' for first, second in pairs)}"
