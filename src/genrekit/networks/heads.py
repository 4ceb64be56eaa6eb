"""Heads: from an embedding to logits."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

# A unit is still where its standard deviation is below this share of its mean, or this small.
STILL = 1e-3
SMALLEST_STD = 1e-6


class Standardise(nn.Module):
    """(x - mean) / std with numbers from the training tracks; the identity until they are set."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(n_features))
        self.std = nn.Buffer(torch.ones(n_features))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take the statistics of the training embeddings. Shapes (n_features,).

        A unit that hardly changes over the training tracks holds no information, so it is not
        scaled up: that would only enlarge the rounding of float32.
        """
        is_still = std <= STILL * mean.abs() + SMALLEST_STD
        self.mean.copy_(mean)
        self.std.copy_(torch.where(is_still, torch.ones_like(std), std))

    def forward(self, embedding: Tensor) -> Tensor:
        """Shape (batch, n_features) -> the same."""
        return (embedding - self.mean) / self.std


class Head(nn.Module):
    """Standardise, then a linear layer, or one hidden layer with ReLU before it."""

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        hidden: int = 0,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        """Make it with random weights.

        Args:
            n_features: length of the embedding.
            n_labels: length of the logits.
            hidden: units of the hidden layer; 0 for a linear head.
            dropout: share of units left out while training.
            batch_norm: normalise before each linear layer, and drop out half as much before the
                first, as fastai's ``create_head`` does.
        """
        super().__init__()
        self.standardise = Standardise(n_features)
        layers: list[nn.Module] = [nn.BatchNorm1d(n_features)] if batch_norm else []
        layers.append(nn.Dropout(dropout / 2 if batch_norm else dropout))
        if hidden:
            layers += [nn.Linear(n_features, hidden, bias=not batch_norm), nn.ReLU()]
            layers += [nn.BatchNorm1d(hidden)] if batch_norm else []
            layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or n_features, n_labels))

    def forward(self, embedding: Tensor) -> Tensor:
        """Shape (batch, n_features) -> logits (batch, n_labels)."""
        logits: Tensor = self.layers(self.standardise(embedding))
        return logits

    def become_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Take one dense layer on the raw embedding, fitted elsewhere.

        Args:
            weight: shape (n_features, n_labels).
            bias: shape (n_labels,).

        Raises:
            ValueError: this head has a hidden layer.
        """
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        if len(linear) != 1:
            raise ValueError(
                "a head with a hidden layer cannot become linear; make it with hidden=0"
            )
        self.standardise.fit(torch.zeros(len(weight)), torch.ones(len(weight)))
        with torch.no_grad():
            linear[0].weight.copy_(weight.T)
            linear[0].bias.copy_(bias)

    def dense_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Return (weight, bias) of every linear layer, every normalisation folded into the next.

        ReLU stands between them. Weights have shape (n_in, n_out).
        """
        scale = 1 / self.standardise.std.double()
        offset = -self.standardise.mean.double() * scale
        pairs = []
        for layer in self.layers:
            if isinstance(layer, nn.BatchNorm1d):
                layer_scale, layer_offset = affine(copy.deepcopy(layer).double())
                scale, offset = scale * layer_scale, offset * layer_scale + layer_offset
            elif isinstance(layer, nn.Linear):
                weight = layer.weight.detach().T.double()  # (n_in, n_out)
                bias = offset @ weight
                if layer.bias is not None:
                    bias = bias + layer.bias.detach().double()
                pairs.append(((weight * scale[:, None]).float(), bias.float()))
                scale, offset = torch.ones_like(bias), torch.zeros_like(bias)
        return pairs


def affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Return a batch norm with fixed statistics as scale and offset. Shapes (n_features,)."""
    scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


class GenreNetwork(nn.Module):
    """A backbone and a head: features in, logits and the embedding out."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Shape (batch, n_bins, n_frames) -> (batch, n_labels) and (batch, n_features)."""
        embedding = self.backbone(features)
        return self.head(embedding), embedding
