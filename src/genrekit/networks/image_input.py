"""Spectrograms as the colour images that the source projects showed to ImageNet's networks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrekit import plotting
from genrekit.features.image import N_COLOURS, PLAIN_DB, PUBLISHED, Drawing
from genrekit.features.spec import FeatureSpec
from genrekit.networks.backbones import image_network

Form = Literal["plain", "published"]
# Of the colours of ImageNet's images, which its networks were trained on.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageRendering(nn.Module):
    """Decibels below the segment's loudest as colours; low frequencies below.

    The same images as genrekit.features.image draws, but for their last bit.
    """

    def __init__(self, spec: FeatureSpec, pixels: int = 0, form: Form = "plain") -> None:
        """Make it.

        Args:
            spec: its mean and std are undone.
            pixels: height and width to resize to; 0 leaves the form's own.
            form: "plain" has a pixel for every bin and frame and 80 dB; "published" is the 432x288
                image published beside GTZAN, with its margins and 40 dB.
        """
        super().__init__()
        self.spec, self.pixels = spec, pixels
        self.drawing = (
            PUBLISHED
            if form == "published"
            else Drawing(width=spec.n_frames, height=spec.n_bins, framed=False, range_db=PLAIN_DB)
        )
        across, down = self.drawing.columns, self.drawing.rows
        right, below = self.drawing.width - across.stop, self.drawing.height - down.stop
        self.margins = across.start, right, down.start, below
        self.colours = nn.Buffer(torch.from_numpy(plotting.colours() / 255).float())
        self.rows = nn.Buffer(torch.from_numpy(self.drawing.bins_of_rows(spec.n_bins)))
        columns = self.drawing.frames_of_columns(spec.n_frames)
        self.columns = nn.Buffer(torch.from_numpy(columns))
        self.page = nn.Buffer(torch.from_numpy(self.drawing.page()).float())
        self.mean = nn.Buffer(torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.std = nn.Buffer(torch.tensor(IMAGENET_STD)[:, None, None])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        if self.pixels:
            return self.pixels, self.pixels
        return self.drawing.height, self.drawing.width

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, n_bins, n_frames) -> (batch, 3, height, width), normalised as ImageNet."""
        decibels = features * self.spec.std + self.spec.mean
        high = decibels.amax((1, 2), keepdim=True)
        low = high - self.drawing.range_db
        if self.drawing.framed:
            low = torch.maximum(low, decibels.amin((1, 2), keepdim=True))
        shown = decibels[:, self.rows][:, :, self.columns]
        share = (shown - low) / (high - low).clamp(min=1e-6)
        index = (share * N_COLOURS).clamp(0, N_COLOURS - 1).long()
        image = self.colours[index].permute(0, 3, 1, 2)  # (batch, 3, rows, columns)
        if self.drawing.framed:
            image = functional.pad(image, self.margins, value=1.0)  # white
        image = (image * self.page - self.mean) / self.std
        if self.pixels:
            image = functional.interpolate(image, self.size, mode="bilinear", align_corners=False)
        return image


class ImageNetwork(nn.Module):
    """A network that takes the spectrogram as an image."""

    def __init__(self, name: str, weights: str, pooling: str, rendering: ImageRendering) -> None:
        """See ImageRendering and backbones.build.

        Raises:
            RecipeError: unknown name, or one that cannot take this image or pooling.
            ModelError: the weight file is missing, unreadable or does not fit.
        """
        super().__init__()
        self.rendering = rendering
        self.network, self.n_features = image_network(name, (3, *rendering.size), weights, pooling)

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, n_bins, n_frames) -> (batch, n_features)."""
        embedding: Tensor = self.network(self.rendering(features))
        return embedding
