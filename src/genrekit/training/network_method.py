"""Train backbone and head together on spectrograms."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from genrekit.datasets import Track
from genrekit.errors import ModelError
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS, Network
from genrekit.networks.heads import GenreNetwork
from genrekit.training import building, export, inputs
from genrekit.training.batches import SpectrogramSource
from genrekit.training.callbacks import BEST
from genrekit.training.data import TrainingSet
from genrekit.training.epochs import EpochMethod

Floats = NDArray[np.float32]
TOLERANCE = 1e-3
N_CHECKED_SEGMENTS = 2


class NetworkMethod(EpochMethod):
    """A whole network, whose every weight is trained."""

    is_distributed = True

    def compute(self, data: TrainingSet, tracks: Sequence[Track]) -> dict[str, str]:
        """Compute the spectrograms, and make the network."""
        self._cached = inputs.spectrograms(self.recipe, tracks, data.train)
        self.spec = self._cached.spec
        self.origin = building.origin(self.recipe)
        self.network = building.network(self.recipe, self.spec, len(data.labels))
        return self._cached.failures

    def source(self, tracks: Sequence[Track]) -> SpectrogramSource:
        """Return segments of the tracks' spectrograms."""
        track_ids = [track.track_id for track in tracks]
        return SpectrogramSource(self._cached, track_ids, self.recipe.augmentation.random_crops)

    def to_onnx(self) -> bytes:
        """Export the network as it is."""
        return export.to_onnx(self.network, self.spec, (LOGITS, EMBEDDING))

    def logits(self, features: Floats) -> Floats:
        """Return torch's logits of features."""
        with torch.no_grad():
            logits: Floats = self.network.cpu().eval()(torch.from_numpy(features))[0].numpy()
        return logits

    def restore(self, model: ModelFolder) -> GenreNetwork:
        """Return the network with the weights of the run's best epoch.

        Raises:
            ModelError: they are missing, damaged or not those of the model.
        """
        # No file of first weights is needed: the run's own come.
        settings = self.recipe.model.model_copy(update={"weights": "none"})
        recipe = self.recipe.model_copy(update={"model": settings})
        card, path = model.card, self.context.folder / BEST
        network = building.network(recipe, card.segments, len(card.labels)).eval()
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
            f"{path} and {model.onnx_path} are not the same network: the run went on or was "
            "edited; finish it by `genrekit train --resume`"
        )
