"""Batch norm over the full batch when its rows are in several processes.

torch's SyncBatchNorm does the same, but only on GPUs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, as every process's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        del ctx
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total


class GlobalBatchNorm(_BatchNorm):
    """A batch norm with the mean and variance of all processes' rows.

    Its running statistics are therefore equal in all of them.

    Source: Ioffe & Szegedy (2015), Batch Normalization, arXiv:1502.03167, algorithm 1.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions, as the layer that this one replaces checks them."""

    def forward(self, input: Tensor) -> Tensor:
        """Shape (batch, n_channels, ...) -> the same."""
        normalised = self._normalise(input) if self.training else super().forward(input)
        # timm's layers include what follows the normalisation.
        for name in ("drop", "act"):
            normalised = getattr(self, name, nn.Identity())(normalised)
        return normalised

    def _normalise(self, features: Tensor) -> Tensor:
        exact = features.float()
        dims = [dim for dim in range(exact.ndim) if dim != 1]
        n_rows = exact.new_tensor([exact.numel() / exact.shape[1]])
        total = _sum(torch.cat([exact.sum(dims), n_rows]))
        count = total[-1].detach()
        shape = [1, -1, *[1] * (exact.ndim - 2)]
        centred = exact - (total[:-1] / count).view(shape)
        variance = _sum(centred.square().sum(dims)) / count
        self._follow((total[:-1] / count).detach(), variance.detach() * count / (count - 1))
        normalised = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(features.dtype)

    def _follow(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Move the running statistics, as torch's batch norm does."""
        if self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, now in ((self.running_mean, mean), (self.running_var, unbiased_variance)):
            if running is not None:
                running.lerp_(now.to(running.dtype), share)


def _sum(part: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(part)  # type: ignore[no-untyped-call]
    return total


def spread(network: nn.Module) -> nn.Module:
    """Replace every batch norm of a network by a global one, in place, under the same names.

    Parameters, buffers and the modules inside are kept.
    """
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            layer = GlobalBatchNorm.__new__(GlobalBatchNorm)
            layer.__dict__.update(child.__dict__)
            network.add_module(name, layer)
        else:
            spread(child)
    return network
