"""The learning curve of a run: a table of its epochs, and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genrekit import plotting
from genrekit.tables import csv_file

METRICS, PLOT = "metrics.csv", "curves.png"


def write(path: Path, rows: list[dict[str, float]], columns: Sequence[str]) -> None:
    """Write one line per epoch as CSV.

    Args:
        path: the file.
        rows: one per epoch.
        columns: their keys, in the order of the file.

    Raises:
        OSError: the file cannot be written.
    """
    with csv_file(path) as write_row:
        write_row(columns)
        for row in rows:
            write_row(row[name] for name in columns)


def draw(path: Path, rows: list[dict[str, float]], of: str = "validation tracks") -> None:
    """Draw loss and validation accuracy over the epochs as PNG.

    Args:
        path: the file.
        rows: one per epoch.
        of: the tracks that nll and accuracy were measured on.

    Raises:
        OSError: the file cannot be written.
        GenrekitError: matplotlib is not installed.
    """
    drawn = plotting.figure(9, 3.5)
    left, right = drawn.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    left.plot(epochs, [row["train_loss"] for row in rows], label="training loss")
    left.plot(epochs, [row["nll"] for row in rows], label=f"nll of {of}")
    right.plot(epochs, [100 * row["accuracy"] for row in rows], label=f"accuracy of {of}, %")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.legend()
    plotting.save(drawn, path, 110)
