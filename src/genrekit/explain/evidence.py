"""Evidence for every genre in every part of a track, by occlusion or by Grad-CAM.

Occlusion: how far a genre's log-odds fall when a part of the input is taken away. What is taken
away is replaced by the mean of the training tracks, bin by bin, so that the network still gets
something it knows. Nothing but the network's predictions is needed, so every model that genrekit
runs can be explained. Source: Zeiler & Fergus (2014), Visualizing and Understanding Convolutional
Networks, ECCV.

Grad-CAM: what the network's last feature map adds to a genre's logit; genrekit.networks.gradcam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genrekit.models.card import View
    from genrekit.models.runtime import Features
    from genrekit.networks.gradcam import GradCam

Floats = NDArray[np.float32]
# From features of every view, (n, n_bins, n_frames), to calibrated probabilities (n, n_labels).
Predict = Callable[["Features"], NDArray[np.float64]]

WINDOW_SECONDS = 0.5
N_BANDS = 12
_FEWEST_WINDOWS, _MOST_WINDOWS = 4, 16
_LEAST_PROBABILITY = 1e-9
_BATCH = 16


@dataclass(frozen=True)
class Grid:
    """How a segment is cut into blocks: windows of frames and bands of bins, in every view.

    The first view decides the windows and the bands; the other views are cut at the same seconds
    and at the same frequencies.
    """

    frame_edges: Mapping[str, tuple[int, ...]]
    bin_edges: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, views: Sequence[View]) -> Grid:
        """Cut spectrograms into windows of about half a second and 12 bands.

        A table of features is one window, and every column is a band.
        """
        name, first = views[0].name, views[0].features
        if first.n_frames == 1:
            return cls({name: (0, 1)}, {name: tuple(range(first.n_bins + 1))})
        target = round(first.segment_seconds / WINDOW_SECONDS)
        fewest_frames = min(view.features.n_frames for view in views)
        n_windows = min(max(target, _FEWEST_WINDOWS), _MOST_WINDOWS, fewest_frames)
        bin_edges = {name: _edges(first.n_bins, min(N_BANDS, first.n_bins))}
        limits_hz = first.bin_hz[list(bin_edges[name][1:-1])]
        for view in views[1:]:
            inner = np.searchsorted(view.features.bin_hz, limits_hz).tolist()
            bin_edges[view.name] = (0, *inner, view.features.n_bins)
        frame_edges = {view.name: _edges(view.features.n_frames, n_windows) for view in views}
        return cls(frame_edges, bin_edges)

    @property
    def n_windows(self) -> int:
        """Windows in a segment."""
        return len(next(iter(self.frame_edges.values()))) - 1

    @property
    def n_bands(self) -> int:
        """Bands of a segment."""
        return len(next(iter(self.bin_edges.values()))) - 1

    def block(self, view: str, band: int, window: int) -> tuple[slice, slice]:
        """Return the bins and frames of one block in a view; no bin where a band holds none."""
        bins, frames = self.bin_edges[view], self.frame_edges[view]
        return slice(*bins[band : band + 2]), slice(*frames[window : window + 2])


def _edges(n_items: int, n_parts: int) -> tuple[int, ...]:
    return tuple(np.linspace(0, n_items, n_parts + 1).round().astype(int).tolist())


@dataclass(frozen=True)
class Evidence:
    """Every label's evidence in nats, by occlusion how far its log-odds fall without a part.

    Shapes: ``blocks`` (n_labels, n_segments, n_bands, n_windows), ``windows`` (n_labels,
    n_segments, n_windows), ``segments`` (n_labels, n_segments).
    """

    blocks: Floats
    windows: Floats
    segments: Floats


def by_occlusion(
    predict: Predict, features: Features, fill: Features, grid: Grid, advance: Callable[[], None]
) -> Evidence:
    """Take away every block, every window and every segment, one at a time.

    Args:
        predict: the network and its calibration.
        features: the network's inputs. Shapes (n_segments, n_bins, n_frames).
        fill: what replaces a removed part in each. Shapes (n_bins,).
        grid: how to cut.
        advance: called after every segment.
    """
    whole = log_odds(predict(features))  # (n_segments, n_labels)
    nothing = log_odds(predict(filled({k: rows[:1] for k, rows in features.items()}, fill)))
    n_blocks = grid.n_bands * grid.n_windows
    blocks, windows = [], []
    for index, before in enumerate(whole):
        segment = {name: rows[index] for name, rows in features.items()}
        drops = before - log_odds(_batched(predict, _without_each(segment, fill, grid)))
        blocks.append(drops[:n_blocks].T.reshape(-1, grid.n_bands, grid.n_windows))
        windows.append(drops[n_blocks:].T)
        advance()
    return Evidence(
        np.stack(blocks, axis=1).astype(np.float32),
        np.stack(windows, axis=1).astype(np.float32),
        (whole - nothing).T.astype(np.float32),
    )


def by_gradcam(
    gradcam: GradCam, features: Floats, grid: Grid, advance: Callable[[], None]
) -> Evidence:
    """Cut every label's Grad-CAM, in nats of its logit and none below 0, into the same blocks.

    Args:
        gradcam: of the network in torch.
        features: the one input of the network. Shape (n_segments, n_bins, n_frames).
        grid: how to cut.
        advance: called after every segment.

    Raises:
        ModelError: the network does not end in a feature map over frequency and time.
    """
    (bin_edges,), (frame_edges,) = grid.bin_edges.values(), grid.frame_edges.values()
    found = []
    for segment in features:
        maps = gradcam.maps(segment[None])[0]  # (n_labels, n_bins, n_frames)
        bands = np.add.reduceat(maps, bin_edges[:-1], axis=1)
        found.append(np.add.reduceat(bands, frame_edges[:-1], axis=2))
        advance()
    blocks = np.stack(found, axis=1)  # (n_labels, n_segments, n_bands, n_windows)
    return Evidence(blocks, blocks.sum(axis=2), blocks.sum(axis=(2, 3)))


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) in nats, with p kept off 0 and 1 by 1e-9."""
    kept = probabilities.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(np.log(kept / (1 - kept)))


def filled(features: Features, fill: Features) -> dict[str, Floats]:
    """Return features of the same shapes from which every part is removed.

    Args:
        features: of every view. Shapes (n_segments, n_bins, n_frames).
        fill: what replaces a removed part in each. Shapes (n_bins,).
    """
    return {
        name: np.broadcast_to(fill[name][:, None], rows.shape).astype(np.float32)
        for name, rows in features.items()
    }


def _without_each(segment: Features, fill: Features, grid: Grid) -> Iterator[dict[str, Floats]]:
    """Yield the segment without each block (band by band), then without each window."""
    for band, window in product((*range(grid.n_bands), None), range(grid.n_windows)):
        occluded = {name: rows.copy() for name, rows in segment.items()}
        for name, rows in occluded.items():
            bins, frames = grid.block(name, band or 0, window)
            bins = slice(None) if band is None else bins
            rows[bins, frames] = fill[name][bins, None]
        yield occluded


def _batched(predict: Predict, inputs: Iterator[dict[str, Floats]]) -> NDArray[np.float64]:
    """Predict any number of inputs, a bounded number at a time."""
    batches = iter(lambda: list(islice(inputs, _BATCH)), [])
    return np.concatenate(
        [predict({k: np.stack([item[k] for item in batch]) for k in batch[0]}) for batch in batches]
    )
