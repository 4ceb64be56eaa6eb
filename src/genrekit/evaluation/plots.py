"""Draw an evaluation: the confusion matrix and the reliability diagram, as PNG."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrekit.errors import GenrekitError
from genrekit.evaluation.result import EvaluationResult
from genrekit.files import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = (
    "matplotlib is not installed, so no PNG can be drawn; install it with: pip install "
    "'genrekit[train]'"
)


def available() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def confusion(result: EvaluationResult, path: Path) -> None:
    """Draw the confusion matrix of the model's own level; colours are shares of a row.

    Raises:
        GenrekitError: matplotlib is not installed.
        OSError: path cannot be written.
    """
    counts = result.product.confusion
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]
    n_labels = len(counts)
    figure = _figure(2 + 0.6 * n_labels, 2 + 0.5 * n_labels)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in ((r, c) for r in range(n_labels) for c in range(n_labels)):
        if counts[row][column]:
            colour = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, str(counts[row][column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(n_labels), result.labels, rotation=45, ha="right")
    axes.set_yticks(range(n_labels), result.labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(_title(result), fontsize=9)
    _save(figure, path)


def reliability(result: EvaluationResult, path: Path) -> None:
    """Draw accuracy over probability for the model's own level, with the tracks in each bin.

    Raises:
        GenrekitError: matplotlib is not installed.
        OSError: path cannot be written.
    """
    bins = result.product.reliability
    figure = _figure(5.5, 5)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    places = [(b.low + b.high) / 2 for b in bins]
    width = bins[0].high - bins[0].low
    axes.bar(places, [b.accuracy for b in bins], width=0.95 * width, color="#9ecae1")
    axes.plot([b.mean_probability for b in bins], [b.accuracy for b in bins], "o", color="#08519c")
    for place, b in zip(places, bins, strict=True):
        axes.text(place, 0.01, str(b.n_items), ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="accuracy")
    error = result.product.expected_calibration_error
    measured = f"{error.value:.3f} [{error.low:.2f}, {error.high:.2f}]"
    axes.set_title(f"{_title(result)}\ncalibration error {measured}", fontsize=9)
    _save(figure, path)


def _title(result: EvaluationResult) -> str:
    accuracy = result.product.accuracy
    return (
        f"{result.model.name} on {result.data}, {result.split_title}, {result.n_tracks} tracks\n"
        f"accuracy {100 * accuracy.value:.1f} % "
        f"[{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}] by {result.product_level}"
    )


def _figure(width_inches: float, height_inches: float) -> Figure:
    """Return a figure that needs no display."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GenrekitError(MISSING) from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with write_beside(path) as stream:
        figure.savefig(stream, format="png", dpi=150)
