"""musicnn in torch: music tagging with musically motivated filter shapes.

Source: Pons & Serra (2019), musicnn: pre-trained convolutional neural networks for music audio
tagging, arXiv:1909.06654. Weights: the MSD_musicnn checkpoint, ISC licence (THIRD_PARTY_NOTICES).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genrekit.errors import ModelError, RecipeError
from genrekit.features.spec import FeatureSpec

N_EMBEDDING = 200
N_TAGS = 50
# (filters, frames, bins) of the five front convolutions: two of timbre, three of time.
FRONT = ((204, 7, 38), (204, 7, 67), (51, 128, 1), (51, 64, 1), (51, 32, 1))
N_FRONT = sum(filters for filters, _, _ in FRONT)
N_MIDDLE = 64
FRONT_END = {
    "kind": "log_mel",
    "sample_rate": 16000,
    "n_fft": 512,
    "hop_length": 256,
    "n_mels": 96,
    "f_min": 0.0,
    "mel_scale": "slaney",
}


def check_front_end(spec: FeatureSpec) -> None:
    """Refuse a front end that musicnn was not trained with; segment lengths are free.

    Raises:
        RecipeError: a number differs.
    """
    wrong = [k for k, value in FRONT_END.items() if getattr(spec, k) != value]
    if wrong:
        expected = ", ".join(f"features.{k} = {FRONT_END[k]!r}" for k in wrong)
        raise RecipeError(f"backbone 'musicnn' takes its own front end only; write {expected}")


class Musicnn(nn.Module):
    """The network from normalised decibels to its embedding, its tags, or both side by side."""

    def __init__(self, spec: FeatureSpec, taps: Sequence[str] = ("embedding",)) -> None:
        """Make it with random weights.

        Args:
            spec: the front end; its mean and std are undone inside.
            taps: "pooled" (maximum and mean of every map over time), "embedding" (200 units),
                "tags" (50 logits), in the order of the output.

        Raises:
            RecipeError: spec is not musicnn's front end.
        """
        super().__init__()
        check_front_end(spec)
        self.mean, self.std = spec.mean, spec.std
        self.taps = tuple(taps)
        n_pooled = 2 * (N_FRONT + 3 * N_MIDDLE)
        widths = {"pooled": n_pooled, "embedding": N_EMBEDDING, "tags": N_TAGS}
        self.n_features = sum(widths[tap] for tap in taps)
        self.input_norm = nn.BatchNorm2d(1, eps=1e-3)
        self.front = nn.ModuleList(nn.Conv2d(1, n, (b, t)) for n, t, b in FRONT)
        self.front_norms = nn.ModuleList(nn.BatchNorm1d(n, eps=1e-3) for n, _, _ in FRONT)
        middle = (N_FRONT, N_MIDDLE, N_MIDDLE)
        self.middle = nn.ModuleList(nn.Conv1d(n, N_MIDDLE, 7, padding=3) for n in middle)
        self.middle_norms = nn.ModuleList(nn.BatchNorm1d(N_MIDDLE, eps=1e-3) for _ in middle)
        self.pooled_norm = nn.BatchNorm1d(n_pooled, eps=1e-3)
        self.dense = nn.Linear(n_pooled, N_EMBEDDING)
        self.dense_norm = nn.BatchNorm1d(N_EMBEDDING, eps=1e-3)
        self.tags = nn.Linear(N_EMBEDDING, N_TAGS)

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, 96, n_frames) -> (batch, n_features)."""
        maps = self._maps(features)
        pooled = torch.stack([maps.amax(2), maps.mean(2)], 2).flatten(1)
        hidden = functional.relu(self.dense(self.pooled_norm(pooled)))
        embedding = self.dense_norm(hidden)
        outputs = {"pooled": pooled, "embedding": embedding, "tags": self.tags(embedding)}
        return torch.cat([outputs[tap] for tap in self.taps], 1)

    def train(self, mode: bool = True) -> Musicnn:
        """Switch to training, but keep the batch norms' published statistics.

        They were measured before the maximum over frequency, which comes first here.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def _maps(self, features: Tensor) -> Tensor:
        """All layers before pooling over time. Shape (batch, 753, n_frames)."""
        log_power = self._log_power(features)
        front = [self._front(i, log_power) for i in range(len(FRONT))]
        first = torch.cat(front, 1)
        second = self._middle(0, first)
        third = self._middle(1, second) + second
        fourth = self._middle(2, third) + third
        return torch.cat([first, second, third, fourth], 1)

    def _log_power(self, features: Tensor) -> Tensor:
        """Undo the normalisation: log10(10000 * power + 1). Shape (batch, 1, 96, n_frames)."""
        decibels = features * self.std + self.mean
        log_power: Tensor = self.input_norm(torch.log10(10 ** (decibels / 10 + 4) + 1)[:, None])
        return log_power

    def _front(self, index: int, log_power: Tensor) -> Tensor:
        """Convolve, then keep the loudest frequency. Shape (batch, filters, n_frames)."""
        _, n_frames, _ = FRONT[index]
        padding = ((n_frames - 1) // 2, n_frames // 2)  # TensorFlow's "same"
        convolution = cast(nn.Conv2d, self.front[index])
        norm = cast(nn.BatchNorm1d, self.front_norms[index])
        # The paper takes the maximum after ReLU and batch norm. Where the norm's scale is negative
        # that is the minimum before it: turning the filter's sign makes it a maximum again, which
        # may then come first, so that ReLU and norm run over 1 value instead of up to 96.
        sign = torch.sign(norm.weight)
        kernel = convolution.weight * sign[:, None, None, None]
        padded = functional.pad(log_power, padding)
        maps = functional.conv2d(padded, kernel, cast(Tensor, convolution.bias) * sign)
        loudest = functional.relu(maps.amax(2) * sign[:, None])
        normalised: Tensor = norm(loudest)
        return normalised

    def _middle(self, index: int, maps: Tensor) -> Tensor:
        normalised: Tensor = self.middle_norms[index](functional.relu(self.middle[index](maps)))
        return normalised

    def load_npz(self, path: Path) -> None:
        """Load the 64 tensors of the published checkpoint.

        Raises:
            ModelError: the file is unreadable, lacks a tensor, or one has another shape.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                tensors = {name: torch.from_numpy(archive[name]) for name in archive.files}
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: musicnn's weights cannot be read there: {error}") from error
        try:
            self.load_state_dict(_rename(tensors), strict=False)
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"{path} does not hold musicnn's 64 tensors: {error}") from error


def _rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """TensorFlow's names and layouts to ours."""
    state: dict[str, Tensor] = {}
    norms = ["input_norm", *(f"front_norms.{i}" for i in range(5))]
    norms += [*(f"middle_norms.{i}" for i in range(3)), "pooled_norm", "dense_norm"]
    for index, ours in enumerate(norms):
        theirs = _numbered("batch_normalization", index)
        state[f"{ours}.weight"] = tensors[f"{theirs}__gamma"]
        state[f"{ours}.bias"] = tensors[f"{theirs}__beta"]
        state[f"{ours}.running_mean"] = tensors[f"{theirs}__moving_mean"]
        state[f"{ours}.running_var"] = tensors[f"{theirs}__moving_variance"]
    for index in range(8):
        kernel = tensors[f"{_numbered('conv2d', index)}__kernel"]  # (frames, bins, in, out)
        ours = f"front.{index}" if index < 5 else f"middle.{index - 5}"
        # The middle kernels span all channels as if they were bins: (frames, channels, 1, out).
        layout = kernel.permute(3, 2, 1, 0) if index < 5 else kernel[:, :, 0].permute(2, 1, 0)
        state[f"{ours}.weight"] = layout.contiguous()
        state[f"{ours}.bias"] = tensors[f"{_numbered('conv2d', index)}__bias"]
    for ours, theirs in (("dense", "dense"), ("tags", "dense_1")):
        state[f"{ours}.weight"] = tensors[f"{theirs}__kernel"].T.contiguous()
        state[f"{ours}.bias"] = tensors[f"{theirs}__bias"]
    return state


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}_{index}"


def backbone(
    size: tuple[int, int, int], spec: FeatureSpec | None, pooling: str, taps: Sequence[str]
) -> Musicnn:
    """Make the backbone "musicnn"; see genrekit.networks.backbones.

    Raises:
        RecipeError: the input is an image, or spec is not musicnn's front end.
    """
    del size, pooling
    if spec is None:
        raise RecipeError("backbone 'musicnn' takes spectrograms, no images; leave out model.image")
    return Musicnn(spec, taps)
