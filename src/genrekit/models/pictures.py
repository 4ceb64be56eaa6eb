"""Spectrograms as the colour pictures that the source projects showed to ImageNet's networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genrekit.features.spec import FeatureSpec
from genrekit.models.backbones import timm_network

RANGE_DB = 80.0  # librosa's top_db
N_COLOURS = 256
COLOUR_MAP = "magma"  # what librosa draws decibels in
# Of the colours of ImageNet's pictures, which its networks were trained on.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Paint(nn.Module):
    """Decibels below the segment's loudest, 80 of them, as colours; low frequencies below."""

    colours: Tensor

    def __init__(self, spec: FeatureSpec, pixels: int = 0) -> None:
        """Make it.

        Args:
            spec: its mean and std are undone.
            pixels: height and width to resize to; 0 leaves a pixel for every bin and frame.
        """
        super().__init__()
        self.mean, self.std, self.pixels = spec.mean, spec.std, pixels
        self.register_buffer("colours", torch.from_numpy(_normalised_colours()))

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, n_bins, n_frames) -> (batch, 3, height, width), normalised as ImageNet."""
        decibels = features * self.std + self.mean
        below = decibels - decibels.amax((1, 2), keepdim=True)
        share = (below / RANGE_DB + 1).clamp(0, 1).flip(1)
        index = (share * (N_COLOURS - 1)).round().long()
        picture = self.colours[index].permute(0, 3, 1, 2)
        if self.pixels:
            size = (self.pixels, self.pixels)
            picture = functional.interpolate(picture, size, mode="bilinear", align_corners=False)
        return picture


class Painted(nn.Module):
    """A timm network that sees the spectrogram as a picture."""

    def __init__(
        self, name: str, spec: FeatureSpec, weights: str, pooling: str, pixels: int = 0
    ) -> None:
        """See Paint and backbones.build.

        Raises:
            RecipeError: unknown name, or one that cannot take this picture or pooling.
            ModelError: the weight file is missing, unreadable or does not fit.
        """
        super().__init__()
        height, width = (pixels, pixels) if pixels else (spec.n_bins, spec.n_frames)
        self.paint = Paint(spec, pixels)
        self.network, self.n_features = timm_network(name, (3, height, width), weights, pooling)

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, n_bins, n_frames) -> (batch, n_features)."""
        embedding: Tensor = self.network(self.paint(features))
        return embedding


def _normalised_colours() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the colour map less ImageNet's mean over its standard deviation. Shape (256, 3)."""
    from matplotlib import colormaps

    colours = colormaps[COLOUR_MAP](np.arange(N_COLOURS))[:, :3]
    return ((colours - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32)
