"""An evaluation as one HTML page that needs nothing else: no script, no network, no other file.

Misclassified tracks can be played where their files still lie; nothing is loaded before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from genrekit import metrics
from genrekit.evaluation import svg
from genrekit.evaluation.result import EvaluationResult, TrackResult
from genrekit.models.card import Interval, LeakMeter

N_CONFUSIONS = 12
STYLE = (Path(__file__).parent / "html_report.css").read_text(encoding="utf-8")


def write(result: EvaluationResult, curves: Sequence[Mapping[str, float]] = ()) -> str:
    """Return the page.

    Args:
        result: an evaluation.
        curves: one row an epoch, with "epoch", "train_loss", "nll" and "accuracy", if the model was
            trained by epochs.
    """
    cards = [
        _levels(result),
        _card("Confusion", _confusion(result), "Truth in rows, answers in columns."),
        _classes(result),
        _reliability(result),
        _coverage(result),
        _composition(result),
        _curves(curves),
        _leak_meter(result.leak_meter),
        _robustness(result),
        _confusions(result),
    ]
    title = f"{result.model.name} {result.model.version} on {result.data}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>"
        f"<body><main>{_header(result, title)}<div class=cards>{''.join(filter(None, cards))}</div>"
        f"{_mistakes(result)}{_footer(result)}</main></body></html>\n"
    )


def _header(result: EvaluationResult, title: str) -> str:
    scores = result.product
    figures = [
        (_value(scores.accuracy), "accuracy", _ends(scores.accuracy)),
        (_value(scores.macro_f1), "macro F1", _ends(scores.macro_f1)),
        (
            f"{scores.expected_calibration_error.value:.3f}",
            "calibration error",
            f"{result.uncalibrated.expected_calibration_error.value:.3f} uncalibrated",
        ),
    ]
    for point in result.abstention:
        if point.promised_precision == 0.9 and point.precision:
            told = f"{_value(point.precision)} of them right"
            figures.append((_value(point.coverage), "answered at 90 % promised", told))
    tiles = "".join(
        f"<div class=tile><b>{escape(value)}</b><span>{escape(name)}</span>"
        f"<small>{escape(told)}</small></div>"
        for value, name, told in figures
    )
    n_groups = f"{result.n_tracks} tracks of {result.n_artist_groups} artist groups"
    where = f"{result.split_title} &middot; {n_groups} &middot; {_level(result.product_level)}"
    return (
        f"<header><h1>{escape(title)}</h1><p>{where}</p>{_warnings(result)}</header>"
        f"<div class=tiles>{tiles}</div>"
    )


def _warnings(result: EvaluationResult) -> str:
    """Return loud lines for whatever flatters or is missing."""
    found = []
    if result.leaky:
        found.append("LEAKY: parts of the test tracks were trained on. For comparison only.")
    if result.other_split:
        found.append("The card names this split by another hash: other tracks are here.")
    if result.trained_on and not result.includes_trained_on:
        found.append(f"{len(result.trained_on)} training tracks were left out.")
    if result.n_same_artist:
        found.append(f"{result.n_same_artist} tracks are by an artist of the training tracks.")
    if result.unknown_genres:
        found.append(f"Left out, unknown genres: {', '.join(result.unknown_genres)}.")
    if result.failures:
        found.append(f"{len(result.failures)} tracks could not be heard.")
    return "".join(f"<p class=warning>{escape(line)}</p>" for line in found)


def _levels(result: EvaluationResult) -> str:
    rows = [
        [
            _level(scores.level)
            + (" (the model's)" if scores.level == result.product_level else ""),
            str(scores.n_items),
            scores.accuracy.percent(),
            scores.macro_f1.percent(),
            f"{scores.negative_log_likelihood.value:.2f}",
            f"{scores.expected_calibration_error.value:.3f}",
        ]
        for scores in result.levels.values()
    ]
    table = _table(("level", "n", "accuracy %", "macro F1 %", "NLL", "ECE"), rows)
    return _card("Levels", table, "Brackets: 95 % intervals, resampling artist groups.", wide=True)


def _confusion(result: EvaluationResult) -> str:
    return svg.confusion(result.labels, result.product.confusion)


def _classes(result: EvaluationResult) -> str:
    rows = [
        (f"{label} ({scores.n_items})", (scores.recall, scores.precision))
        for label, scores in result.product.per_class.items()
    ]
    chart = svg.dots(rows, ("recall", "precision"))
    return _card("By genre", chart, "In percent; the number of test tracks in brackets.")


def _reliability(result: EvaluationResult) -> str:
    bins = [
        (b.low, b.high, b.n_items, b.mean_probability, b.accuracy)
        for b in result.product.reliability
    ]
    error, before = result.product.expected_calibration_error, result.uncalibrated
    told = (
        f"Calibration error {error.number()}; without the card's temperature and bias "
        f"{before.expected_calibration_error.number()}. On few tracks it is biased upwards."
    )
    return _card("Reliability", svg.reliability(bins), told)


def _coverage(result: EvaluationResult) -> str:
    """Precision over coverage on these tracks, and what the card's thresholds reach."""
    ordered = sorted(result.tracks, key=lambda track: -track.probability)
    points, n_right = [], 0
    for number, track in enumerate(ordered, start=1):
        n_right += track.correct
        points.append((number / len(ordered), n_right / number))
    reached = [(its, its.precision) for its in result.abstention if its.precision]
    marks = [
        (its.coverage.value, precision.value, f"{100 * its.promised_precision:.0f}")
        for its, precision in reached
    ]
    rows = [
        [f"{100 * its.promised_precision:.0f}", precision.percent(), its.coverage.percent()]
        for its, precision in reached
    ]
    chart = svg.coverage(svg.Line("", points), marks)
    table = _table(("promised %", "right %", "answered %"), rows) if rows else ""
    told = "Answering the surest tracks only. Dots: the thresholds that promise these precisions."
    return _card("Abstention", chart + table, told)


def _composition(result: EvaluationResult) -> str:
    names = ("train", "validation", "test")
    rows = [(g, [n[name] for name in names]) for g, n in result.composition.items()]
    what = "Segments" if result.split_is_leaky else "Tracks"
    first = " of the first model's split" if len(result.runs) > 1 else ""
    told = f"{what}{first} by part. Split sha256 {result.split_sha256[:12]}."
    return _card("The split", svg.stacks(rows, names), told)


def _curves(rows: Sequence[Mapping[str, float]]) -> str:
    if not rows:
        return ""
    names = {"train_loss": "training loss", "nll": "validation NLL", "accuracy": "accuracy"}
    lines = [
        svg.Line(name, [(row["epoch"], row[key]) for row in rows])
        for key, name in names.items()
        if all(key in row for row in rows)
    ]
    return _card("Learning curves", svg.curves(lines), "Validation is of whole tracks.")


def _leak_meter(meter: LeakMeter | None) -> str:
    if meter is None:
        return ""
    rows = [(row.split, (row.accuracy, row.segment_accuracy)) for row in meter.rows]
    cells = [
        [
            row.split,
            str(row.n_tracks),
            row.accuracy.percent(),
            "" if row.difference is None else row.difference.points(),
        ]
        for row in meter.rows
    ]
    table = _table(("split", "tracks", "accuracy %", f"against {meter.honest}"), cells)
    chart = svg.dots(rows, ("by track", "by segment"))
    told = f"The recipe {meter.recipe}, trained anew under each split: only the split differs."
    return _card("Leak meter", chart + table, told)


def _robustness(result: EvaluationResult) -> str:
    if result.robustness is None:
        return ""
    rows = [
        (change.name, (change.accuracy, change.agreement)) for change in result.robustness.changes
    ]
    chart = svg.dots(rows, ("accuracy", "same answer as unchanged"))
    return _card("Changed audio", chart, "The same test tracks, changed before they are heard.")


def _confusions(result: EvaluationResult) -> str:
    rows = [
        [f"{its.genre} as {its.label}", str(len(its.track_ids)), ", ".join(its.track_ids)]
        for its in result.confusions[:N_CONFUSIONS]
    ]
    if not rows:
        return ""
    table = _table(("truth as answer", "n", "tracks"), rows)
    return _card("Most frequent confusions", table, "", wide=True)


def _mistakes(result: EvaluationResult) -> str:
    wrong = sorted((t for t in result.tracks if not t.correct), key=lambda t: -t.probability)
    if not wrong:
        return "<section class=card><h2>Every track is right</h2></section>"
    rows = "".join(map(_mistake, wrong))
    return (
        f"<section class=card><h2>All {len(wrong)} misclassified tracks</h2>"
        "<p>The surest mistakes first. Players need the files where they were measured.</p>"
        "<div class=scroll><table class=mistakes><thead><tr><th>track<th>artist<th>truth<th>answer"
        f"<th class=number>probability<th>listen</tr></thead><tbody>{rows}</tbody></table></div>"
        "</section>"
    )


def _mistake(track: TrackResult) -> str:
    path = Path(track.path)
    player = "file is not here"
    if path.is_file():
        source = escape(path.absolute().as_uri())
        player = f'<audio controls preload="none" src="{source}"></audio>'
    return (
        f"<tr><td>{escape(track.track_id)}<td>{escape(track.artist_group or '')}"
        f'<td data-name="truth ">{escape(track.genre)}'
        f'<td data-name="answer ">{escape(track.label)}'
        f"<td class=number>{100 * track.probability:.0f} %<td>{player}</tr>"
    )


def _footer(result: EvaluationResult) -> str:
    return (
        f"<footer>Model sha256 {escape(result.model.sha256)}. Intervals: {metrics.N_RESAMPLES} "
        "bootstrap resamples of artist groups, 95 %.</footer>"
    )


def _card(title: str, content: str, told: str, wide: bool = False) -> str:
    kind = "card wide" if wide else "card"
    words = f"<p>{escape(told)}</p>" if told else ""
    return f'<section class="{kind}"><h2>{escape(title)}</h2>{content}{words}</section>'


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}" for header in headers)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}" for c in row) + "</tr>" for row in rows)
    return (
        f"<div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _level(level: str) -> str:
    return level.replace("_", " ")


def _value(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} %"


def _ends(interval: Interval) -> str:
    return f"95 %: {100 * interval.low:.1f} to {100 * interval.high:.1f}"
