"""An evaluation as one self-contained HTML page: no script, no network, no other file.

Misclassified tracks can be played while their files exist; none is loaded in advance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit import metrics
from genrekit.evaluation import charts
from genrekit.evaluation.result import EvaluationResult, TrackResult

if TYPE_CHECKING:
    from markupsafe import Markup

_HERE = Path(__file__).parent
N_CONFUSIONS = 12
CURVES = {"train_loss": "training loss", "nll": "validation NLL", "accuracy": "accuracy"}
PARTS = ("train", "validation", "test")


def write(result: EvaluationResult, epochs: Sequence[Mapping[str, float]] = ()) -> str:
    """Return the page.

    Args:
        result: an evaluation.
        epochs: one row per epoch, with "epoch", "train_loss", "nll" and "accuracy", if the model
            was trained in epochs.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    mistakes = [track for track in result.tracks if not track.correct]
    return environment.get_template("report.html").render(
        result=result,
        n_confusions=N_CONFUSIONS,
        n_resamples=metrics.N_RESAMPLES,
        warnings=_warnings(result),
        charts=_charts(result, epochs),
        mistakes=sorted(mistakes, key=lambda track: -track.probability),
        audio_url=_audio_url,
    )


def _warnings(result: EvaluationResult) -> list[str]:
    """Return a line for everything that flatters the result or is missing."""
    n_left_out = 0 if result.includes_trained_on else len(result.trained_on)
    n_same, unknown, failures = result.n_same_artist, result.unknown_genres, result.failures
    caution = f"Few tracks: {result.caution}."
    lines = {
        caution: result.caution,
        "LEAKY: parts of the test tracks were trained on. For comparison only.": result.leaky,
        "The card has another hash for this split, so the tracks differ.": result.other_split,
        f"{n_left_out} training tracks were left out.": n_left_out,
        f"{n_same} tracks are by an artist of the training tracks.": n_same,
        f"Left out, unknown genres: {', '.join(unknown)}.": unknown,
        f"{len(failures)} tracks could not be decoded.": failures,
    }
    return [line for line, holds in lines.items() if holds]


def _charts(
    result: EvaluationResult, epochs: Sequence[Mapping[str, float]]
) -> dict[str, Markup | None]:
    """Draw every chart; None for charts of what was not measured."""
    scores, classes = result.product, result.product.per_class
    meter, robustness = result.leak_meter, result.robustness
    drawn: dict[str, Markup | None] = {
        "confusion": charts.confusion(result.labels, scores.confusion),
        "genres": charts.dots(
            [(f"{k} ({its.n_items})", (its.recall, its.precision)) for k, its in classes.items()],
            ("recall", "precision"),
        ),
        "reliability": charts.reliability(scores.reliability),
        "coverage": _coverage(result),
        "composition": charts.stacks(
            [(genre, [n[part] for part in PARTS]) for genre, n in result.composition.items()], PARTS
        ),
        "curves": _curves(epochs) if epochs else None,
        "leak_meter": None,
        "robustness": None,
    }
    if meter:
        rows = [(row.split, (row.accuracy, row.segment_accuracy)) for row in meter.rows]
        drawn["leak_meter"] = charts.dots(rows, ("by track", "by segment"))
    if robustness:
        rows = [(its.name, (its.accuracy, its.agreement)) for its in robustness.changes]
        drawn["robustness"] = charts.dots(rows, ("accuracy", "same label as unchanged"))
    return drawn


def _coverage(result: EvaluationResult) -> Markup:
    """Draw precision over coverage on these tracks, with the points of the card's thresholds."""
    ordered = sorted(result.tracks, key=lambda track: -track.probability)
    points, n_correct = [], 0
    for number, track in enumerate(ordered, start=1):
        n_correct += track.correct
        points.append((number / len(ordered), n_correct / number))
    marks = [
        (its.coverage.value, its.precision.value, f"{100 * its.promised_precision:.0f}")
        for its in result.abstention
        if its.precision
    ]
    return charts.coverage(charts.Line("", points), marks)


def _curves(epochs: Sequence[Mapping[str, float]]) -> Markup:
    lines = [
        charts.Line(name, [(row["epoch"], row[key]) for row in epochs])
        for key, name in CURVES.items()
        if all(key in row for row in epochs)
    ]
    return charts.curves(lines)


def _audio_url(track: TrackResult) -> str | None:
    """Return the URL of a track's audio; None if its file does not exist."""
    path = Path(track.path)
    return path.absolute().as_uri() if path.is_file() else None
