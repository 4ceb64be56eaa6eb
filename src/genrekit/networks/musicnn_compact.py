"""musicnn without its dead filters: the same numbers with a tenth of the arithmetic.

Weight decay left most of the published filters at zero: 64 of the 561 in the front carry weights. A
dead filter gives a constant, which is folded into what follows it, so the outputs stay equal to
rounding. The live ones are then laid out for dense matrix products: a filter that slides over
frequency becomes several shifted copies of itself over a block of bins, and one that slides over
time several shifted copies over a block of frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genrekit.networks.heads import affine
from genrekit.networks.musicnn import N_EMBEDDING, N_MIDDLE, N_TAGS, Musicnn

SHIFTS_IN_FREQUENCY = 6  # the 59 and 30 places of musicnn's filters fill 10 and 5 blocks of 6
SHIFTS_IN_TIME = 16
LIVE_NORM = 1e-5
QUANTISED = ("front.", "middle.")  # how the exported weights of its convolutions are called


class TimbreFilters(nn.Module):
    """Filters over (bins, frames) that slide over frequency; the loudest shift is kept."""

    def __init__(self, kernel: Tensor, bias: Tensor, n_mels: int) -> None:
        """Lay out the kernel, shape (filters, bins, frames), as shifted copies over blocks."""
        super().__init__()
        n_filters, n_bins, n_frames = kernel.shape
        self.n_block_bins = n_bins + SHIFTS_IN_FREQUENCY - 1
        copies = torch.zeros(n_filters, SHIFTS_IN_FREQUENCY, self.n_block_bins, 1, n_frames)
        for shift in range(SHIFTS_IN_FREQUENCY):
            copies[:, shift, shift : shift + n_bins, 0] = kernel
        last = n_mels - self.n_block_bins
        self.starts = [*range(0, last, SHIFTS_IN_FREQUENCY), last]
        self.padding = ((n_frames - 1) // 2, n_frames // 2)  # TensorFlow's "same"
        self.kernel = nn.Buffer(copies.flatten(0, 1))
        self.bias = nn.Buffer(bias.repeat_interleave(SHIFTS_IN_FREQUENCY))

    def forward(self, log_power: Tensor) -> Tensor:
        """Shape (batch, n_mels, n_frames) -> (batch, filters, n_frames)."""
        padded = functional.pad(log_power, self.padding)
        blocks = [padded[:, start : start + self.n_block_bins] for start in self.starts]
        stacked = torch.stack(blocks, 2)  # (batch, block bins, blocks, frames)
        maps = functional.conv2d(stacked, self.kernel, self.bias)
        # As pooling, so that ONNX Runtime takes the maximum of the int8 maps, in their layout.
        loudest = functional.max_pool2d(maps, (len(self.starts), 1))[:, :, 0]
        n_filters = loudest.shape[1] // SHIFTS_IN_FREQUENCY
        return loudest.view(-1, n_filters, SHIFTS_IN_FREQUENCY, loudest.shape[2]).amax(2)


class TimeFilters(nn.Module):
    """Filters over frames alone, run on every bin; the loudest bin is kept."""

    def __init__(self, kernel: Tensor, bias: Tensor) -> None:
        """Lay out the kernel, shape (filters, frames), as shifted copies over blocks of frames."""
        super().__init__()
        n_filters, self.n_kernel_frames = kernel.shape
        copies = torch.zeros(n_filters, SHIFTS_IN_TIME, self.n_kernel_frames + SHIFTS_IN_TIME - 1)
        for shift in range(SHIFTS_IN_TIME):
            copies[:, shift, shift : shift + self.n_kernel_frames] = kernel
        self.kernel = nn.Buffer(copies.flatten(0, 1)[:, None, None])
        self.bias = nn.Buffer(bias.repeat_interleave(SHIFTS_IN_TIME))

    def forward(self, log_power: Tensor) -> Tensor:
        """Shape (batch, n_mels, n_frames) -> (batch, filters, n_frames)."""
        n_frames = log_power.shape[2]
        n_blocks = -(-n_frames // SHIFTS_IN_TIME)
        left = (self.n_kernel_frames - 1) // 2
        right = n_blocks * SHIFTS_IN_TIME + self.n_kernel_frames - 1 - left - n_frames
        padded = functional.pad(log_power, (left, right))[:, None]
        maps = functional.conv2d(padded, self.kernel, self.bias, stride=(1, SHIFTS_IN_TIME))
        loudest = functional.max_pool2d(maps, (maps.shape[2], 1))[:, :, 0]  # see TimbreFilters
        n_filters = loudest.shape[1] // SHIFTS_IN_TIME
        loudest = loudest.view(-1, n_filters, SHIFTS_IN_TIME, n_blocks)
        return loudest.transpose(2, 3).flatten(2)[:, :, :n_frames]


class CompactMusicnn(nn.Module):
    """A frozen copy of a Musicnn, equal to it but for rounding.

    Taps, side by side in the output: "pooled" (maximum and mean over time of every live map),
    "embedding" (200 units) and "tags" (50 tag logits).
    """

    def __init__(self, network: Musicnn, taps: Sequence[str] = ("embedding",)) -> None:
        """Copy network's weights; later changes to network do not reach the copy."""
        super().__init__()
        self.taps = tuple(taps)
        self.mean, self.std = network.mean, network.std
        self.n_bins = 96
        with torch.no_grad():
            self._copy_front(network)
            self._copy_middle(network)
            self._copy_dense(network)
        n_pooled = self.dense_weight.shape[1]
        self.n_taps = {"pooled": n_pooled, "embedding": N_EMBEDDING, "tags": N_TAGS}
        self.n_features = sum(self.n_taps[tap] for tap in self.taps)

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, 96, n_frames) -> (batch, n_features)."""
        maps = self._maps(features)
        pooled = torch.stack([maps.amax(2), maps.mean(2)], 2).flatten(1)
        hidden = functional.relu(functional.linear(pooled, self.dense_weight, self.dense_bias))
        embedding = hidden * self.embedding_scale + self.embedding_offset
        tags = functional.linear(embedding, self.tags_weight, self.tags_bias)
        outputs = {"pooled": pooled, "embedding": embedding, "tags": tags}
        return torch.cat([outputs[tap] for tap in self.taps], 1)

    def _maps(self, features: Tensor) -> Tensor:
        # log10(10^(dB / 10 + 4) + 1); ONNX Runtime's Softplus is four times as slow as Exp and Log.
        per_db = math.log(10) / 10
        exponent = features * (self.std * per_db) + (self.mean + 40) * per_db
        log_power = torch.log(torch.exp(exponent) + 1)
        log_power = log_power * (self.input_scale / math.log(10)) + self.input_offset
        loudest = torch.cat([filters(log_power) for filters in self.front], 1)
        # The filters carry the sign of the norm's scale, see Musicnn._front.
        first = functional.relu(loudest * self.front_sign) * self.front_scale + self.front_offset
        ones = torch.ones_like(first[:, :1])  # where the dead filters' constants come in
        second = self._middle(0, torch.cat([first, ones], 1))
        third = self._middle(1, second) + second
        return torch.cat([first, second, third, self._middle(2, third) + third], 1)

    def _middle(self, index: int, maps: Tensor) -> Tensor:
        found = functional.relu(self.middle[index](maps))
        return found * self.middle_scale[index] + self.middle_offset[index]

    def _copy_front(self, network: Any) -> None:
        scale, offset = affine(network.input_norm)
        self.input_scale = nn.Buffer(scale)
        self.input_offset = nn.Buffer(offset)
        front: list[nn.Module] = []
        live, constants, columns = [], [], []
        for convolution, norm in zip(network.front, network.front_norms, strict=True):
            kernel = convolution.weight[:, 0]  # (filters, bins, frames)
            scale, offset = affine(norm)
            alive = kernel.flatten(1).norm(dim=1) > LIVE_NORM
            constants.append((functional.relu(convolution.bias) * scale + offset) * ~alive)
            sign = torch.sign(scale[alive])
            signed = kernel[alive] * sign[:, None, None]
            bias = convolution.bias[alive] * sign
            if kernel.shape[1] > 1:
                front.append(TimbreFilters(signed, bias, self.n_bins))
            else:
                front.append(TimeFilters(signed[:, 0], bias))
            live.append(alive)
            columns.append(torch.stack([sign, scale[alive], offset[alive]]))
        self.front = nn.ModuleList(front)
        self._live, self._constants = torch.cat(live), torch.cat(constants)
        rows = torch.cat(columns, 1)[:, :, None]  # (3, live filters, 1)
        self.front_sign, self.front_scale, self.front_offset = (nn.Buffer(v.clone()) for v in rows)

    def _copy_middle(self, network: Any) -> None:
        first = network.middle[0]
        folded = (first.weight * self._constants[None, :, None]).sum(1, keepdim=True)
        kernels = [torch.cat([first.weight[:, self._live], folded], 1)]
        kernels += [convolution.weight.clone() for convolution in network.middle[1:]]
        self.middle = nn.ModuleList()
        for kernel, original in zip(kernels, network.middle, strict=True):
            convolution = nn.Conv1d(kernel.shape[1], N_MIDDLE, kernel.shape[2], padding=3)
            convolution.weight = nn.Parameter(kernel)
            convolution.bias = nn.Parameter(original.bias.clone())
            self.middle.append(convolution)
        pairs = zip(*(affine(norm) for norm in network.middle_norms), strict=True)
        rows = (torch.stack(values)[:, :, None] for values in pairs)
        self.middle_scale, self.middle_offset = map(nn.Buffer, rows)

    def _copy_dense(self, network: Any) -> None:
        scale, offset = affine(network.pooled_norm)
        weight = (network.dense.weight * scale).view(N_EMBEDDING, -1, 2)  # maximum and mean
        n_middle = 3 * N_MIDDLE
        live = torch.cat([self._live, torch.ones(n_middle, dtype=torch.bool)])
        constants = torch.cat([self._constants, torch.zeros(n_middle)])
        bias = network.dense.bias + network.dense.weight @ offset
        self.dense_bias = nn.Buffer(bias + (weight.sum(2) * constants).sum(1))
        self.dense_weight = nn.Buffer(weight[:, live].flatten(1))
        scale, offset = affine(network.dense_norm)
        self.embedding_scale = nn.Buffer(scale)
        self.embedding_offset = nn.Buffer(offset)
        self.tags_weight = nn.Buffer(network.tags.weight.clone())
        self.tags_bias = nn.Buffer(network.tags.bias.clone())
