"""An explanation as an image: spectrogram, evidence over it, evidence over time, curves."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from genrekit.explain import wording
from genrekit.prediction import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genrekit.explain.explanation import Explanation

_IMAGE: dict[str, Any] = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}


def draw(explanation: Explanation) -> Figure:
    """Draw the explained genre.

    Raises:
        GenrekitError: matplotlib is not installed.
    """
    from genrekit import plotting

    figure = plotting.figure(11, 7)
    axes: Any = figure.subplot_mosaic(
        [["map", "map"], ["time", "time"], ["bands", "curves"]], height_ratios=[3, 1, 2]
    )
    label = explanation.labels.index(explanation.genre)
    _map(axes["map"], explanation, label)
    _time(axes["time"], explanation, label)
    _bands(axes["bands"], explanation, label)
    _curves(axes["curves"], explanation)
    probability = explanation.prediction.probabilities[explanation.genre]
    figure.suptitle(f"{explanation.genre}: {percent(probability)}")
    return figure


def _map(axes: Axes, explanation: Explanation, label: int) -> None:
    """Draw the spectrogram in grey and the evidence over it: red supports the genre."""
    image = explanation.spectrogram
    shape = (image["n_segments"], image["n_bins"], image["n_frames"])
    levels = np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(shape)
    length = image["segment_seconds"]
    for start, segment in zip(image["starts_seconds"], levels, strict=True):
        axes.imshow(segment, cmap="gray", extent=(start, start + length, 0, 1), vmax=255, **_IMAGE)
    limit = max(float(np.abs(explanation.blocks[label]).max()), 1e-6)
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, **_IMAGE}
    for start, block in zip(explanation.starts_seconds, explanation.blocks[label], strict=True):
        extent = (start, start + explanation.segment_seconds, 0, 1)
        axes.imshow(block, alpha=0.75 * np.sqrt(np.abs(block) / limit), extent=extent, **scale)
    edges = np.linspace(0, image["n_bins"] - 1, 6).round().astype(int)
    hz = [f"{image['bin_hz'][index]:.0f}" for index in edges]
    axes.set_yticks(edges / (image["n_bins"] - 1), hz)
    axes.set(ylabel="Hz", xlim=(0, explanation.prediction.duration_seconds), ylim=(0, 1))


def _time(axes: Axes, explanation: Explanation, label: int) -> None:
    """Draw every window's evidence, with the deciding passages shaded."""
    windows = explanation.windows[label]
    step = explanation.segment_seconds / windows.shape[1]
    for start, row in zip(explanation.starts_seconds, windows, strict=True):
        axes.bar(start + step * np.arange(len(row)), row, step, align="edge", color="#4477aa")
    for passage in explanation.deciding():
        axes.axvspan(passage.start_seconds, passage.end_seconds, color="#ddcc77", alpha=0.6)
    axes.axhline(0, color="black", linewidth=0.5)
    duration = explanation.prediction.duration_seconds
    axes.set(
        xlabel="seconds (shaded: deciding)", ylabel=f"nats\n({wording.SCALE})", xlim=(0, duration)
    )


def _bands(axes: Axes, explanation: Explanation, label: int) -> None:
    """Draw the twelve bands, or columns, with the strongest mean evidence."""
    means = explanation.blocks[label].mean(axis=(0, 2))
    strongest = np.sort(np.argsort(-np.abs(means))[:12])
    axes.barh([explanation.bands[index] for index in strongest], means[strongest], color="#4477aa")
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set(xlabel=f"mean evidence of a block, nats ({wording.SCALE})")
    axes.tick_params(axis="y", labelsize=7)


def _curves(axes: Axes, explanation: Explanation) -> None:
    found = explanation.curves
    share = [100 * fraction for fraction in found.fractions]
    axes.plot(share, found.deletion, color="#cc6677", label="taken away, strongest first")
    axes.plot(share, found.random_deletion, "--", color="#cc6677", label="taken away at random")
    axes.plot(share, found.insertion, color="#117733", label="put back, strongest first")
    axes.plot(share, found.random_insertion, "--", color="#117733", label="put back at random")
    axes.set(xlabel="% of the blocks", ylabel=f"probability of {explanation.genre}", ylim=(0, 1))
    axes.legend(fontsize=7, frameon=False)
