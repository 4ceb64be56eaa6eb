"""Evidence by Grad-CAM: what the last feature map of a convolutional network adds to a logit.

The map's channels are weighed by the gradient of the genre's logit and summed; what is negative is
cut off. Each cell is spread over the bins and frames that it covers, so that those of a block add
up to its part of the logit: exactly where a linear layer follows the map's mean, to first order
elsewhere.

Source: Selvaraju et al. (2017), Grad-CAM, ICCV, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genrekit.errors import ModelError

Floats = NDArray[np.float32]


class GradCam:
    """Looks into a torch network."""

    def __init__(self, network: nn.Module, *, low_bins_first: bool = True) -> None:
        """Take a network in evaluation mode, on the CPU.

        Args:
            network: maps (batch, n_bins, n_frames) to logits (batch, n_labels), or to a tuple that
                begins with them.
            low_bins_first: whether its maps have low frequencies in their first rows.
        """
        self._network = network.eval()
        self._low_bins_first = low_bins_first

    def maps(self, features: Floats) -> Floats:
        """Return every label's evidence for each bin and frame, in nats of its logit, none below 0.

        Args:
            features: its inputs. Shape (n_segments, n_bins, n_frames).

        Returns:
            Shape (n_segments, n_labels, n_bins, n_frames).

        Raises:
            ModelError: the network does not end in a feature map over frequency and time.
        """
        with _last_map(self._network) as kept, torch.enable_grad():
            output = self._network(torch.from_numpy(features).requires_grad_())
        logits = output[0] if isinstance(output, tuple) else output
        if not kept:
            raise ModelError(
                "Grad-CAM needs a network that ends in a feature map over frequency and time; this "
                "one is no such CNN; use --method occlusion"
            )
        sums = logits.sum(0)  # the segments do not meet each other
        weighed = []
        for label in range(len(sums)):
            (slopes,) = torch.autograd.grad(sums[label], kept[0], retain_graph=True)
            weights = slopes.mean(dim=(2, 3), keepdim=True)  # equation 1
            weighed.append((weights * kept[0]).sum(dim=1).relu())  # equation 2
        maps = torch.stack(weighed, dim=1).detach()  # (n, n_labels, height, width)
        maps = maps if self._low_bins_first else maps.flip(2)
        found: Floats = _spread(maps, (features.shape[1], features.shape[2])).numpy()
        return found


@contextmanager
def _last_map(network: nn.Module) -> Iterator[list[Tensor]]:
    """Keep the last feature map, alone in a list; nothing where sequences come after it."""
    kept: list[Tensor] = []

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        del inputs
        if isinstance(output, Tensor) and output.ndim == 3:
            kept.clear()
        elif isinstance(output, Tensor) and output.ndim == 4 and output[0, 0].numel() > 1:
            kept[:] = [output]  # (batch, channels, height, width), more than one cell

    modules = list(network.modules())
    if any(type(module).__name__.endswith("Attention") for module in modules):
        modules = []  # the maps of a transformer may have their channels last
    hooks = [module.register_forward_hook(look) for module in modules]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def _spread(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate maps to a size; their sums stay."""
    large = functional.interpolate(maps, size, mode="bilinear", align_corners=False)
    cells = maps.sum(dim=(2, 3), keepdim=True)
    return large * (cells / large.sum(dim=(2, 3), keepdim=True).clamp_min(1e-12))
