"""Smoke runs: any recipe in seconds, on the CPU, with synthetic audio and untrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from genrekit.features.spec import FeatureSpec
from genrekit.models.card import ModelCard, one_view
from genrekit.models.runtime import EMBEDDING, LOGITS
from genrekit.training import export
from genrekit.training.recipe import EMBEDDED, TABULAR, Recipe, resolve
from genrekit.training.tabular import estimators

# The filter of each synthetic genre's noise: differences are bright, averages are dark.
GENRES = {"high": np.array([0.5, -0.5]), "low": np.full(16, 1 / 16)}
N_TRACKS = 5
SAMPLE_RATE = 16000
N_EMBEDDING = 8
SMALL_IMAGE_PIXELS = 64
TABULAR_SECONDS = 1.0


def shrink(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe on synthetic audio, with one short epoch and untrained weights.

    Everything else is kept, so that all that the recipe enables is run.

    Args:
        recipe: any.
        folder: for the audio and, if the recipe names a model, an untrained model.
    """
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    if recipe.model.is_tabular:
        return _shrink_tabular(fields, folder)
    seconds = recipe.features.segment_seconds
    if recipe.model.backbone.startswith(EMBEDDED) or recipe.teacher.model:
        made = str(write_model(folder / "smoke-model"))
    if recipe.model.backbone.startswith(EMBEDDED):
        fields.setdefault("model", {})["backbone"] = EMBEDDED + made
    if recipe.teacher.model:
        fields["teacher"]["model"] = made
    audio = write_audio(folder / "smoke-data", 1.5 * max(seconds, FeatureSpec().segment_seconds))
    if recipe.teacher.unlabelled:
        fields["teacher"]["unlabelled"] = str(audio)
    fields["data"] = {"source": str(audio), "cache": str(folder / "smoke-cache")}
    fields.setdefault("model", {})["weights"] = "none"
    fields.setdefault("schedule", {})["epochs"] = 1
    if recipe.schedule.frozen_epochs:
        fields["schedule"]["frozen_epochs"] = 1
    if recipe.model.image_pixels:
        fields["model"]["image_pixels"] = SMALL_IMAGE_PIXELS
    few = {} if recipe.sampling.every_segment else {"segments_per_track": 1, "min_steps": 1}
    fields["sampling"] = fields.get("sampling", {}) | few | {"batch_size": 4}
    return resolve(fields)


def _shrink_tabular(fields: dict[str, Any], folder: Path) -> Recipe:
    """Use short segments, and few trees or epochs if the estimator has them."""
    audio = write_audio(folder / "smoke-data", 2 * TABULAR_SECONDS)
    fields["data"] = {"source": str(audio), "cache": str(folder / "smoke-cache")} | {
        key: value for key, value in fields.get("data", {}).items() if key == "validation"
    }
    fields["features"] |= dict.fromkeys(("segment_seconds", "segment_hop_seconds"), TABULAR_SECONDS)
    name = fields["model"]["backbone"].removeprefix(TABULAR)
    few = {key: 5 for key in ("n_estimators", "max_iter") if key in estimators.parameters_of(name)}
    fields["model"]["parameters"] = fields["model"].get("parameters", {}) | few
    return resolve(fields)


def write_audio(folder: Path, seconds: float) -> Path:
    """Write one folder per synthetic genre: bright or dark noise, each track with its own tone."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    for genre, kernel in GENRES.items():
        (folder / genre).mkdir(parents=True, exist_ok=True)
        for index in range(N_TRACKS):
            tone = np.sin(2 * np.pi * 300 * (1 + index) * time)
            noise = np.convolve(rng.standard_normal(time.size), kernel, "same")
            waveform = 0.1 * noise + 0.1 * tone
            soundfile.write(folder / genre / f"{index}.wav", waveform, SAMPLE_RATE)
    return folder


class _MeanOverTime(nn.Module):
    """The smallest network with an embedding."""

    def __init__(self, n_bins: int, n_labels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_bins, N_EMBEDDING)
        self.last = nn.Linear(N_EMBEDDING, n_labels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Shape (batch, n_bins, n_frames) -> logits, embedding."""
        embedding = torch.tanh(self.hidden(features.mean(2)))
        return self.last(embedding), embedding


def write_model(folder: Path) -> Path:
    """Write an untrained model folder for the synthetic genres."""
    spec = FeatureSpec(mean=-60.0, std=20.0)
    labels = tuple(sorted(GENRES))
    torch.manual_seed(0)
    network = _MeanOverTime(spec.n_bins, len(labels))
    card = ModelCard(
        name=folder.name,
        version="1",
        description="Untrained, for smoke runs.",
        labels=labels,
        views=one_view(spec),
        unfit_for=("anything but smoke runs",),
        license="MIT",
        onnx_sha256="",
    )
    return export.write_folder(folder, export.to_onnx(network, spec, (LOGITS, EMBEDDING)), card)
