"""Draw the confusion matrix and the reliability diagram of an evaluation, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genrekit import extras, plotting
from genrekit.evaluation.result import EvaluationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def available() -> bool:
    """Return whether matplotlib is installed."""
    return extras.is_installed("matplotlib")


def confusion(result: EvaluationResult, path: Path) -> None:
    """Draw the confusion matrix of the model's own level; colours are shares of a row.

    Raises:
        GenrekitError: matplotlib is not installed.
        OSError: path cannot be written.
    """
    counts = result.product.confusion
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]
    n_labels = len(counts)
    figure = plotting.figure(2 + 0.6 * n_labels, 2 + 0.5 * n_labels)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in ((r, c) for r in range(n_labels) for c in range(n_labels)):
        if counts[row][column]:
            colour = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, str(counts[row][column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(n_labels), result.labels, rotation=45, ha="right")
    axes.set_yticks(range(n_labels), result.labels)
    axes.set(xlabel="prediction", ylabel="truth")
    _save(result, figure, path)


def reliability(result: EvaluationResult, path: Path) -> None:
    """Draw accuracy over probability for the model's own level, with the tracks in each bin.

    Raises:
        GenrekitError: matplotlib is not installed.
        OSError: path cannot be written.
    """
    bins = result.product.reliability
    figure = plotting.figure(5.5, 5)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    middles = [(b.low + b.high) / 2 for b in bins]
    width = bins[0].high - bins[0].low
    axes.bar(middles, [b.accuracy for b in bins], width=0.95 * width, color="#9ecae1")
    axes.plot([b.mean_probability for b in bins], [b.accuracy for b in bins], "o", color="#08519c")
    for middle, b in zip(middles, bins, strict=True):
        axes.text(middle, 0.01, str(b.n_items), ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="accuracy")
    error = result.product.expected_calibration_error
    _save(result, figure, path, f"\ncalibration error {error.number()}")


def robustness(result: EvaluationResult, path: Path) -> None:
    """Draw accuracy and agreement under every change, with their intervals.

    Raises:
        GenrekitError: matplotlib is not installed.
        OSError: path cannot be written.
    """
    if result.robustness is None:
        return
    changes = result.robustness.changes
    figure = plotting.figure(8, 1.5 + 0.3 * len(changes))
    axes = figure.add_subplot()
    for name, colour, offset in (("accuracy", "#08519c", 0.15), ("agreement", "#d95f0e", -0.15)):
        found = [getattr(change, name) for change in changes]
        heights = [-index + offset for index in range(len(changes))]
        below = [its.value - its.low for its in found]
        above = [its.high - its.value for its in found]
        values = [its.value for its in found]
        label = name if name == "accuracy" else "same label as unchanged"
        axes.errorbar(values, heights, xerr=[below, above], fmt="o", color=colour, label=label)
    axes.set_yticks([-index for index in range(len(changes))], [its.name for its in changes])
    axes.set(xlim=(0, 1.01), xlabel="share of tracks, with 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left")
    _save(result, figure, path)


def _save(result: EvaluationResult, figure: Figure, path: Path, more: str = "") -> None:
    about = f"{result.model.name} on {result.data}, {result.split_title}, {result.n_tracks} tracks"
    accuracy = f"accuracy {result.product.accuracy.percent(' %')} by {result.product_level}"
    figure.axes[0].set_title(f"{about}\n{accuracy}{more}", fontsize=9)
    plotting.save(figure, path)
