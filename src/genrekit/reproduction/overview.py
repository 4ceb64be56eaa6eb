"""The pictures of the page of results: all rows at once, and the learning curves of networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrekit import plotting
from genrekit.reproduction import results
from genrekit.reproduction.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "results.png"
# Protocol, its name in the legend, colour and marker.
SHOWN = (
    (results.SOURCE, "same protocol", "tab:blue", "o"),
    (results.ARTIST, "by artist", "tab:green", "s"),
    (results.FAULT_FILTERED, "fault-filtered", "tab:purple", "D"),
)
ROW_INCHES, SPREAD = 0.34, 0.2
DOTS_PER_INCH = 100


def draw(path: Path, rows: list[Row]) -> None:
    """Draw every row: claimed, same protocol, by artist and fault-filtered, with intervals.

    Raises:
        OSError: path cannot be written.
        GenrekitError: matplotlib is not installed.
    """
    drawn = plotting.figure(9, 1.5 + ROW_INCHES * len(rows))
    axes = drawn.subplots()
    for place, row in enumerate(rows):
        if row.claim.accuracy is not None:
            label = "claimed" if "claimed" not in axes.get_legend_handles_labels()[1] else None
            axes.plot(row.claim.accuracy, place, "kx", markersize=8, label=label)
        _draw_measured(axes, place, row)
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="0.95", zorder=0)
    axes.set_yticks(range(len(rows)), [_title(row) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy, %, with 95 % intervals that resample artists")
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        axes.legend(handles, labels, loc="lower left", fontsize=8)
    plotting.save(drawn, path, DOTS_PER_INCH)


def _draw_measured(axes: Axes, place: int, row: Row) -> None:
    offsets = np.linspace(-SPREAD, SPREAD, len(SHOWN))
    for (protocol, title, colour, marker), offset in zip(SHOWN, offsets, strict=True):
        measured = row.measured(protocol)
        if measured is None:
            continue
        found = measured.levels[row.claim.level].accuracy
        value, low, high = (100 * each for each in (found.value, found.low, found.high))
        beside = [[max(0.0, value - low)], [max(0.0, high - value)]]
        known = axes.get_legend_handles_labels()[1]
        axes.errorbar(
            value,
            place + offset,
            xerr=beside,
            fmt=marker,
            markersize=4,
            color=colour,
            fillstyle="none" if measured.is_leaky else "full",
            elinewidth=1,
            label=title if title not in known else None,
        )


def _title(row: Row) -> str:
    mark = f"    {row.mark}" if row.mark else ""
    return f"{mark}{row.name}" + ("" if row.result else " (not measured)")


def curves(path: Path, row: Row) -> None:
    """Draw training loss, validation loss and validation accuracy of a row's networks.

    Raises:
        OSError: path cannot be written.
        GenrekitError: matplotlib is not installed.
    """
    drawn = plotting.figure(9, 3.2)
    left, right = drawn.subplots(1, 2)
    for colour, (key, training) in enumerate(row.trainings.items()):
        for number, curve in enumerate(training.curves):
            epochs = np.arange(1, len(curve.nll) + 1)
            style = {"color": f"C{colour}", "alpha": 1.0 if not number else 0.5}
            left.plot(epochs, curve.train_loss, ":", **style)
            left.plot(epochs, curve.nll, label=key if not number else None, **style)
            right.plot(epochs, 100 * np.array(curve.accuracy), **style)
    frozen = row.recipe.schedule.frozen_epochs
    for axes, title in ((left, "loss: training dotted, validation drawn"), (right, "accuracy, %")):
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=9)
        if frozen:
            axes.axvline(frozen + 0.5, color="0.6", linestyle="--", linewidth=1)
    left.legend(fontsize=8)
    plotting.save(drawn, path, DOTS_PER_INCH)
