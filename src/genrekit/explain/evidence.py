"""Evidence for every genre in every part of a track, by occlusion or by Grad-CAM.

Occlusion: how far a genre's log-odds fall when a part of the input is taken away. What is taken
away is replaced by the mean of the training tracks, bin by bin, so that the network still gets
something it knows. Nothing but the network's predictions is needed, so every model that genrekit
runs can be explained. Source: Zeiler & Fergus (2014), Visualizing and Understanding Convolutional
Networks, ECCV.

Grad-CAM: what the network's last feature map adds to a genre's logit; genrekit.networks.gradcam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit.features.spec import FeatureSpec

if TYPE_CHECKING:
    from genrekit.networks.gradcam import GradCam

Floats = NDArray[np.float32]
# From features (n, n_bins, n_frames) to calibrated probabilities (n, n_labels).
Predict = Callable[[Floats], NDArray[np.float64]]

WINDOW_SECONDS = 0.5
N_BANDS = 12
_FEWEST_WINDOWS, _MOST_WINDOWS = 4, 16
_LEAST_PROBABILITY = 1e-9
_BATCH = 16


@dataclass(frozen=True)
class Grid:
    """How a segment is cut into blocks: windows of frames, bands of bins."""

    frame_edges: tuple[int, ...]
    bin_edges: tuple[int, ...]

    @classmethod
    def of(cls, spec: FeatureSpec) -> Grid:
        """Cut a spectrogram into windows of about half a second and 12 bands.

        A table of features is one window, and every column is a band.
        """
        if spec.n_frames == 1:
            return cls((0, 1), tuple(range(spec.n_bins + 1)))
        target = round(spec.segment_seconds / WINDOW_SECONDS)
        n_windows = min(max(target, _FEWEST_WINDOWS), _MOST_WINDOWS, spec.n_frames)
        return cls(_edges(spec.n_frames, n_windows), _edges(spec.n_bins, min(N_BANDS, spec.n_bins)))

    @property
    def n_windows(self) -> int:
        """Windows in a segment."""
        return len(self.frame_edges) - 1

    @property
    def n_bands(self) -> int:
        """Bands of a segment."""
        return len(self.bin_edges) - 1

    def block(self, band: int, window: int) -> tuple[slice, slice]:
        """Return the bins and frames of one block."""
        return slice(*self.bin_edges[band : band + 2]), slice(
            *self.frame_edges[window : window + 2]
        )


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
    predict: Predict, features: Floats, fill: Floats, grid: Grid, advance: Callable[[], None]
) -> Evidence:
    """Take away every block, every window and every segment, one at a time.

    Args:
        predict: the network and its calibration.
        features: the network's input. Shape (n_segments, n_bins, n_frames).
        fill: what stands for "nothing special". Shape (n_bins,).
        grid: how to cut.
        advance: called after every segment.
    """
    whole = log_odds(predict(features))  # (n_segments, n_labels)
    nothing = log_odds(predict(filled(features[:1], fill)))
    n_blocks = grid.n_bands * grid.n_windows
    blocks, windows = [], []
    for segment, before in zip(features, whole, strict=True):
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
        features: the network's input. Shape (n_segments, n_bins, n_frames).
        grid: how to cut.
        advance: called after every segment.

    Raises:
        ModelError: the network does not end in a feature map over frequency and time.
    """
    found = []
    for segment in features:
        maps = gradcam.maps(segment[None])[0]  # (n_labels, n_bins, n_frames)
        bands = np.add.reduceat(maps, grid.bin_edges[:-1], axis=1)
        found.append(np.add.reduceat(bands, grid.frame_edges[:-1], axis=2))
        advance()
    blocks = np.stack(found, axis=1)  # (n_labels, n_segments, n_bands, n_windows)
    return Evidence(blocks, blocks.sum(axis=2), blocks.sum(axis=(2, 3)))


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) in nats, with p kept off 0 and 1 by 1e-9."""
    kept = probabilities.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    odds: NDArray[np.float64] = np.log(kept / (1 - kept))
    return odds


def filled(features: Floats, fill: Floats) -> Floats:
    """Return features of the same shape that hold nothing special.

    Args:
        features: shape (n_segments, n_bins, n_frames).
        fill: what stands for "nothing special". Shape (n_bins,).
    """
    return np.broadcast_to(fill[:, None], features.shape).astype(np.float32)


def _without_each(segment: Floats, fill: Floats, grid: Grid) -> Iterator[Floats]:
    """Yield the segment without each block (band by band), then without each window."""
    for band in range(grid.n_bands):
        for window in range(grid.n_windows):
            yield _replaced(segment, fill, *grid.block(band, window))
    for window in range(grid.n_windows):
        yield _replaced(segment, fill, slice(None), grid.block(0, window)[1])


def _replaced(segment: Floats, fill: Floats, bins: slice, frames: slice) -> Floats:
    occluded = segment.copy()
    occluded[bins, frames] = fill[bins, None]
    return occluded


def _batched(predict: Predict, inputs: Iterator[Floats]) -> NDArray[np.float64]:
    """Predict any number of inputs, a bounded number at a time."""
    batches = iter(lambda: list(islice(inputs, _BATCH)), [])
    return np.concatenate([predict(np.stack(batch)) for batch in batches])
