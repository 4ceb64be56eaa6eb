"""Train backbone and head together on spectrograms, and build both from a recipe."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genrekit import files
from genrekit.datasets import Track
from genrekit.errors import ModelError
from genrekit.features.spec import FeatureSpec
from genrekit.models.card import one_view
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS, Features, Network
from genrekit.networks import backbones
from genrekit.networks.heads import GenreNetwork, Head
from genrekit.networks.image_input import ImageNetwork, ImageRendering
from genrekit.training import export, inputs
from genrekit.training.batches import SpectrogramSource
from genrekit.training.callbacks import BEST
from genrekit.training.data import TrainingSet
from genrekit.training.epochs import EpochMethod
from genrekit.training.recipe import Recipe

Floats = NDArray[np.float32]
TOLERANCE = 1e-3
N_CHECKED_SEGMENTS = 2


class NetworkMethod(EpochMethod):
    """Trains all weights of a network."""

    is_distributed = True

    def compute(self, data: TrainingSet, tracks: Sequence[Track]) -> dict[str, str]:
        """Compute the spectrograms, and make the network."""
        self._cached = inputs.spectrograms(self.recipe, tracks, data.train)
        self.views = one_view(self._cached.spec)
        self.origin = origin(self.recipe)
        self.network = build(self.recipe, self._cached.spec, len(data.labels))
        return self._cached.failures

    def source(self, tracks: Sequence[Track]) -> SpectrogramSource:
        """Return segments of the tracks' spectrograms."""
        track_ids = [track.track_id for track in tracks]
        return SpectrogramSource(self._cached, track_ids, self.recipe.augmentation.random_crops)

    def to_onnx(self) -> bytes:
        """Export the network."""
        return export.to_onnx(self.network, self._cached.spec, (LOGITS, EMBEDDING))

    def logits(self, features: Features) -> Floats:
        """Return torch's logits of features."""
        inputs_of_torch = torch.from_numpy(features[INPUT])
        with torch.no_grad():
            logits: Floats = self.network.cpu().eval()(inputs_of_torch)[0].numpy()
        return logits

    def restore(self, model: ModelFolder) -> GenreNetwork:
        """Return the network with the weights of the run's best epoch.

        Raises:
            ModelError: they are missing, damaged or not those of the model.
        """
        # The file of initial weights is not needed: the run's weights are loaded.
        settings = self.recipe.model.model_copy(update={"weights": "none"})
        recipe = self.recipe.model_copy(update={"model": settings})
        card, path = model.card, self.context.folder / BEST
        network = build(recipe, card.segments, len(card.labels)).eval()
        _load(network, path)
        _compare(network, model, path)
        return network


def _load(network: GenreNetwork, path: Path) -> None:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path}: the torch weights cannot be read ({reason}); train again, or use "
            "--method occlusion, which needs none"
        ) from error


def _compare(network: GenreNetwork, model: ModelFolder, path: Path) -> None:
    """Compare the logits of noise with those of the model folder."""
    spec = model.card.segments
    noise = np.random.default_rng(0).normal(size=(N_CHECKED_SEGMENTS, spec.n_bins, spec.n_frames))
    features = noise.astype(np.float32)
    expected = Network.of(model).run({INPUT: features}, LOGITS)[0]
    with torch.no_grad():
        found = network(torch.from_numpy(features))[0].numpy()
    if not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise ModelError(
            f"{path} and {model.onnx_path} are not the same network: the run has continued or was "
            "edited; finish it with `genrekit train --resume`"
        )


def build(recipe: Recipe, spec: FeatureSpec, n_labels: int) -> GenreNetwork:
    """Make a recipe's backbone and head.

    Args:
        recipe: of a network whose weights are all trained.
        spec: its front end.
        n_labels: length of the logits.

    Raises:
        RecipeError: the backbone is unknown or cannot take the input.
        ModelError: its weights cannot be read.
    """
    made = backbone(recipe, spec)
    return GenreNetwork(made, head(recipe, made.n_features, n_labels))


def backbone(recipe: Recipe, spec: FeatureSpec) -> Any:
    """Make a recipe's backbone; arguments and errors as for build."""
    settings = recipe.model
    if settings.image:
        rendering = ImageRendering(spec, settings.image_pixels, settings.image_form)
        return ImageNetwork(settings.backbone, settings.weights, settings.pooling, rendering)
    return backbones.build(
        settings.backbone, spec, settings.weights, settings.pooling, settings.taps
    )


def head(recipe: Recipe, n_features: int, n_labels: int) -> Head:
    """Make a recipe's head: n_features in, n_labels out."""
    model = recipe.model
    hidden = model.hidden if model.head in ("mlp", "fastai") else 0
    return Head(n_features, n_labels, hidden, model.dropout, model.head == "fastai")


def origin(recipe: Recipe) -> str:
    """Return the origin of the backbone's initial weights, for the card."""
    weights = recipe.model.weights
    path = backbones.weight_path(recipe.model.backbone, weights)
    described = f"{path.name}, sha256 {files.sha256(path)}" if path else weights
    return f"{recipe.model.backbone}, weights: {described}"
