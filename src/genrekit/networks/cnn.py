"""A small convolutional network over spectrograms, for training from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from genrekit.errors import RecipeError

if TYPE_CHECKING:
    from genrekit.features.spec import FeatureSpec

CHANNELS = (16, 32, 64, 128)
SMALLEST = 2 ** len(CHANNELS)  # bins and frames


def _block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class Cnn(nn.Module):
    """Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 pooling; then the mean, or both.

    Source: the shape of the baseline CNNs of Choi et al. (2016), arXiv:1606.00298.
    """

    def __init__(self, pooling: str = "avg", n_channels: int = 1) -> None:
        """Make it with random weights.

        Args:
            pooling: "avg" for the mean over frequency and time, "concat" for mean and maximum.
            n_channels: 1 for a spectrogram, 3 for a colour image of one.
        """
        super().__init__()
        sizes = (n_channels, *CHANNELS)
        self.blocks = nn.Sequential(*(_block(i, o) for i, o in zip(sizes, CHANNELS, strict=False)))
        self.pooling = pooling
        self.n_features = CHANNELS[-1] * (2 if pooling == "concat" else 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return one vector a segment. Shape (batch, n_features).

        Args:
            features: shape (batch, n_bins, n_frames), of an image (batch, 3, height, width); at
                least 16 either way.
        """
        maps = self.blocks(features if features.ndim == 4 else features[:, None])
        mean = maps.mean(dim=(2, 3))
        return torch.cat([mean, maps.amax(dim=(2, 3))], 1) if self.pooling == "concat" else mean


def backbone(
    size: tuple[int, int, int], spec: FeatureSpec | None, pooling: str, taps: Sequence[str]
) -> Cnn:
    """Make the backbone "cnn"; see genrekit.networks.backbones.

    Raises:
        RecipeError: the input is smaller than what four poolings by two leave something of.
    """
    del spec, taps
    if min(size[1:]) < SMALLEST:
        raise RecipeError(
            f"backbone 'cnn' got an input of {size[1]} x {size[2]}; expected at least {SMALLEST} "
            "bins and frames; take more bins, longer segments or another backbone"
        )
    return Cnn(pooling, size[0])
