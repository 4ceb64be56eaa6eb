"""A track's genres over time: a grid over its segments, and the points where the genre changes.

The track is cut where the label changes in the best sequence of labels: the one that maximises the
sum of log probabilities minus CHANGE_PENALTY per change, found exactly by dynamic programming.
Source: Viterbi (1967), IEEE Trans. Information Theory 13(2); the functional is the Potts model of
Winkler & Liebscher (2002), J. Nonparametric Statistics 14(1-2).

The label and probability of a span are then computed as for a track, so that a timeline of a
single span agrees with the track's prediction.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.inference.aggregation import track_probabilities
from genrekit.prediction import Prediction
from genrekit.tables import csv_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genrekit.models.card import ModelCard

CHANGE_PENALTY = 2.0  # nats; chosen on joined tracks: docs/explain.md
_LEAST_PROBABILITY = 1e-3  # one segment alone cannot rule a label out
# Colours that remain distinct under the common kinds of colour blindness: Paul Tol's "muted"
# scheme (personal.sron.nl/~pault) with a lighter blue in place of its indigo, and a darker grey.
COLOURS = (
    "#4477aa",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#999933",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#777777",
)


@dataclass(frozen=True)
class Cell:
    """An interval covered by the same segments, with the mean of their probabilities."""

    start_seconds: float
    end_seconds: float
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


@dataclass(frozen=True)
class Span:
    """An interval of one genre, with its probability as if the interval were a track."""

    start_seconds: float
    end_seconds: float
    label: str
    probability: float


@dataclass(frozen=True)
class Timeline:
    """The genres of one track over time.

    ``cells`` are in order and do not overlap; time that no segment covers is in no cell and no
    span. ``change_points_seconds`` are the starts of the spans whose label differs from that of
    the previous span.
    """

    path: str | None
    duration_seconds: float
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    spans: tuple[Span, ...]

    @property
    def change_points_seconds(self) -> list[float]:
        """The times at which one genre ends and another begins."""
        return [b.start_seconds for a, b in pairwise(self.spans) if a.label != b.label]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; a cell's probabilities are in the order of ``labels``."""
        return {
            "labels": list(self.labels),
            "colours": [colour(index) for index in range(len(self.labels))],
            "cells": [
                vars(cell) | {"probabilities": list(cell.probabilities.values())}
                for cell in self.cells
            ],
            "spans": [vars(span) for span in self.spans],
            "change_points_seconds": self.change_points_seconds,
            "change_penalty": CHANGE_PENALTY,
        }

    def to_csv(self, *, header: bool = True) -> str:
        """Return one row per cell: path, start, end, label, its span's label, probabilities."""
        stream = io.StringIO()
        write_row = csv_rows(stream)
        if header:
            write_row(["path", "start_seconds", "end_seconds", "label", "span", *self.labels])
        for cell in self.cells:
            span = next(s for s in self.spans if s.end_seconds >= cell.end_seconds)
            times = (cell.start_seconds, cell.end_seconds)
            write_row([self.path, *times, cell.label, span.label, *cell.probabilities.values()])
        return stream.getvalue()

    def to_audacity(self) -> str:
        """Return a label track for Audacity: start, end and label of every span."""
        return "".join(
            f"{span.start_seconds:.6f}\t{span.end_seconds:.6f}\t{span.label}\n"
            for span in self.spans
        )

    def draw(self) -> Figure:
        """Draw the probabilities stacked over time, with the spans named below.

        Raises:
            GenrekitError: matplotlib is not installed.
        """
        from genrekit import plotting

        figure = plotting.figure(9, 3.6)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
        bottom, shares = np.zeros(len(self.cells)), {}
        starts = [cell.start_seconds for cell in self.cells]
        widths = [cell.end_seconds - cell.start_seconds for cell in self.cells]
        for index, label in enumerate(self.labels):
            heights = np.array([cell.probabilities[label] for cell in self.cells])
            shares[label] = np.average(heights, weights=widths)
            above.bar(starts, heights, widths, bottom, align="edge", color=colour(index))
            bottom += heights
        for span in self.spans:
            width = span.end_seconds - span.start_seconds
            shade = colour(self.labels.index(span.label))
            below.barh(0, width, left=span.start_seconds, height=1, color=shade, edgecolor="white")
            if width > self.duration_seconds / 12:
                middle = span.start_seconds + width / 2
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                below.text(middle, 0, span.label, ha="center", va="center", bbox=box)
        above.set(ylabel="probability", ylim=(0, 1), title=Path(self.path or "").name)
        below.set(xlabel="seconds", yticks=[], xlim=(0, self.duration_seconds))
        shown = [label for label in self.labels if shares[label] >= 0.02]
        handles = [above.containers[self.labels.index(label)] for label in shown]
        figure.legend(handles, shown, loc="outside right upper", frameon=False)
        return figure


def colour(index: int) -> str:
    """Return the colour of the label at this index, as #rrggbb; they repeat after ten."""
    return COLOURS[index % len(COLOURS)]


def of(prediction: Prediction, card: ModelCard, change_penalty: float = CHANGE_PENALTY) -> Timeline:
    """Return the timeline of a prediction.

    Cells hold the segments' probabilities, averaged where segments overlap. A span's label and
    probability are computed, with the model's aggregation and track temperature, from the
    segments whose middle lies in it; neighbouring spans of the same label are merged. Predict the
    entire track (``Classifier(segments="all")``) for a timeline without gaps.

    Args:
        prediction: of one track.
        card: the card of the model that predicted it, ``Classifier.card``.
        change_penalty: how much better a span must explain its segments than its neighbours'
            labels would, in nats per change; with 0 every segment counts.

    Raises:
        ValueError: change_penalty is below 0, or the model's labels differ.

    >>> from genrekit import Classifier, demo
    >>> classifier = Classifier("tests/golden/tiny")
    >>> found = of(classifier.predict(demo.synthesise("drums"), demo.SAMPLE_RATE), classifier.card)
    >>> found.spans[0].start_seconds, found.spans[-1].end_seconds
    (0.0, 12.0)
    """
    if change_penalty < 0:
        raise ValueError(f"got change_penalty {change_penalty}; expected at least 0")
    if set(prediction.probabilities) != set(card.labels):
        raise ValueError(f"the labels of model {card.name!r} are not those of the prediction")
    segments = [s for s in prediction.segments if s.end_seconds > s.start_seconds]
    empty = Timeline(prediction.path, prediction.duration_seconds, card.labels, (), ())
    if not segments:  # silent, or shorter than a millisecond
        return empty
    times = np.array([(s.start_seconds, s.end_seconds) for s in segments])
    rows = np.array([[s.probabilities[label] for label in card.labels] for s in segments])
    edges, probabilities = _grid(times, rows)
    weights = (edges[:, 1] - edges[:, 0]) / (times[0, 1] - times[0, 0])
    path = _best_path(np.log(probabilities.clip(_LEAST_PROBABILITY)), weights, change_penalty)
    cells = tuple(
        Cell(start, end, dict(zip(card.labels, row, strict=True)))
        for (start, end), row in zip(edges.tolist(), probabilities.round(6).tolist(), strict=True)
    )
    runs = _joined(_runs(edges, path, times.mean(axis=1)), rows, card)
    spans = tuple(_span(run, prediction, rows, card) for run in runs)
    return replace(empty, cells=cells, spans=spans)


@dataclass(frozen=True)
class _Run:
    """An interval without a gap, and the segments whose middle lies in it."""

    start_seconds: float
    end_seconds: float
    members: tuple[int, ...]

    def with_next(self, run: _Run) -> _Run:
        return _Run(self.start_seconds, run.end_seconds, self.members + run.members)


def _grid(
    times: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cells' (start, end), shape (n_cells, 2), and means, (n_cells, n_labels)."""
    points = np.unique(times)
    sums = np.zeros((len(points) - 1, rows.shape[1]))
    counts = np.zeros(len(points) - 1)
    for (first, last), row in zip(np.searchsorted(points, times), rows, strict=True):
        sums[first:last] += row
        counts[first:last] += 1
    covered = counts > 0
    edges = np.stack([points[:-1], points[1:]], axis=1)
    return edges[covered], sums[covered] / counts[covered, None]


def _best_path(
    log_probabilities: NDArray[np.float64], weights: NDArray[np.float64], penalty: float
) -> NDArray[np.int64]:
    """Return the labels of the cells that maximise weighted log probability minus penalties."""
    gains = log_probabilities * weights[:, None]  # (n_cells, n_labels)
    best = gains[0]
    came_from = np.empty(gains.shape, np.int64)
    stay = np.arange(gains.shape[1])
    for index, gain in enumerate(gains[1:], start=1):
        changed = best.max() - penalty
        came_from[index] = np.where(changed > best, best.argmax(), stay)
        best = np.maximum(best, changed) + gain
    path = np.empty(len(gains), np.int64)
    path[-1] = best.argmax()
    for index in range(len(gains) - 1, 0, -1):
        path[index - 1] = came_from[index, path[index]]
    return path


def _runs(
    edges: NDArray[np.float64], path: NDArray[np.int64], middles: NDArray[np.float64]
) -> list[_Run]:
    """Merge neighbouring cells of one label; a gap between segments ends a run."""
    breaks = (np.diff(path) != 0) | (edges[1:, 0] > edges[:-1, 1])
    firsts = [0, *(np.flatnonzero(breaks) + 1).tolist()]
    lasts = [*(first - 1 for first in firsts[1:]), len(path) - 1]
    starts, ends = edges[firsts, 0], edges[lasts, 1]
    members: list[list[int]] = [[] for _ in firsts]
    for index, run in enumerate(np.searchsorted(ends, middles, side="right").tolist()):
        members[run].append(index)
    found = zip(starts.tolist(), ends.tolist(), members, strict=True)
    return [_Run(start, end, tuple(its)) for start, end, its in found]


def _joined(runs: list[_Run], rows: NDArray[np.float64], card: ModelCard) -> list[_Run]:
    """Merge touching runs of the same label; a run without a segment's middle merges with any."""
    found: list[tuple[_Run, int | None]] = []
    for run in runs:
        label = int(_aggregated(rows[list(run.members)], card).argmax()) if run.members else None
        before, its_label = found[-1] if found else (None, None)
        touches = before is not None and before.end_seconds == run.start_seconds
        if before and touches and (its_label is None or label in (None, its_label)):
            found[-1] = before.with_next(run), label if its_label is None else its_label
        else:
            found.append((run, label))
    return [run for run, _ in found]


def _span(run: _Run, prediction: Prediction, rows: NDArray[np.float64], card: ModelCard) -> Span:
    if len(run.members) == len(prediction.segments):
        # The track's own probabilities, computed before those of its segments were rounded.
        values = np.array([prediction.probabilities[label] for label in card.labels])
    else:
        values = _aggregated(rows[list(run.members)], card)
    index = int(values.argmax())
    probability = round(float(values[index]), 6)
    return Span(run.start_seconds, run.end_seconds, card.labels[index], probability)


def _aggregated(rows: NDArray[np.float64], card: ModelCard) -> NDArray[np.float64]:
    return track_probabilities(rows, card.aggregation, card.calibration.track_temperature)
