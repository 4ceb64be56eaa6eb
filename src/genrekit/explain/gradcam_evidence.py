"""Evidence by Grad-CAM, cut into the same blocks as evidence by occlusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from genrekit.explain.occlusion import Evidence, Floats, Grid

if TYPE_CHECKING:
    from genrekit.networks.gradcam import GradCam


def measure(cam: GradCam, features: Floats, grid: Grid, advance: Callable[[], None]) -> Evidence:
    """Return every label's evidence, in nats of its logit, none below 0.

    Args:
        cam: looks into the network.
        features: what the network saw. Shape (n_segments, n_bins, n_frames).
        grid: how a segment is cut into blocks.
        advance: called after every segment.

    Raises:
        ModelError: the network does not end in a feature map over frequency and time.
    """
    blocks = []
    for segment in features:
        blocks.append(_cut(cam.maps(segment[None])[0], grid))
        advance()
    stacked = np.stack(blocks, axis=1)  # (n_labels, n_segments, n_bands, n_windows)
    return Evidence(stacked, stacked.sum(axis=2), stacked.sum(axis=(2, 3)))


def _cut(maps: Floats, grid: Grid) -> Floats:
    """Add up (n_labels, n_bins, n_frames) over every block: (n_labels, n_bands, n_windows)."""
    bands = np.add.reduceat(maps, grid.bin_edges[:-1], axis=1)
    found: Floats = np.add.reduceat(bands, grid.frame_edges[:-1], axis=2)
    return found
