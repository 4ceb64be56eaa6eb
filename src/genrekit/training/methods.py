"""What a run trains and how that becomes ONNX: a whole network, or a head on a frozen one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genrekit import files
from genrekit.datasets import Track
from genrekit.datasets.cache import CachedFeatures, SpectrogramCache
from genrekit.errors import AudioError, DatasetError
from genrekit.features.spec import FeatureSpec
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.card import one_view
from genrekit.models.runtime import EMBEDDING, INPUT, LOGITS
from genrekit.networks import backbones
from genrekit.networks.heads import GenreNetwork, Head
from genrekit.networks.image_input import ImageNetwork, ImageRendering
from genrekit.training import export
from genrekit.training.batches import EmbeddingSource, InputSource, SpectrogramSource
from genrekit.training.frozen import CachedExtractor, FrozenNetwork, TrackOutput
from genrekit.training.onnx_head import graft
from genrekit.training.recipe import EMBEDDED, Recipe

Floats = NDArray[np.float32]
N_CALIBRATION_TRACKS = 64
# Lets a listener hear many tracks with a progress bar: what was said and what failed, by track_id.
Hear = Callable[
    [CachedExtractor, Sequence[Track], str], tuple[dict[str, TrackOutput], dict[str, str]]
]


class TrainingMethod(Protocol):
    """One way to a model.

    Attributes:
        spec: the front end, with mean and std of the training tracks.
        network: what is trained; maps a source's inputs to (logits, embedding).
        failures: why a track cannot be heard, by track_id. No source may be asked for those.
        origin: what the weights started from, for the card.
    """

    spec: FeatureSpec
    network: nn.Module
    failures: dict[str, str]
    origin: str

    def source(self, tracks: Sequence[Track]) -> InputSource:
        """Return the network's inputs of these tracks."""

    def onnx(self) -> bytes:
        """Return the model from features to logits and embedding."""

    def logits(self, features: Floats) -> Floats:
        """Return torch's logits of features. Shape (n, n_bins, n_frames) -> (n, n_labels)."""


@dataclass(frozen=True)
class Tracks:
    """What a run hears: its statistics come from ``train`` only."""

    train: Sequence[Track]
    others: Sequence[Track]

    @property
    def all(self) -> list[Track]:
        """Training tracks first."""
        return [*self.train, *self.others]


def make(recipe: Recipe, n_labels: int, tracks: Tracks, hear: Hear) -> TrainingMethod:
    """Make the recipe's plan and hear every track that it needs.

    Args:
        recipe: says which.
        n_labels: length of the logits.
        tracks: labelled training tracks; validation and unlabelled ones beside them.
        hear: see Hear.

    Raises:
        RecipeError: the backbone is unknown or cannot take the input.
        ModelError: a weight file or model folder cannot be used.
        DatasetError: no training track can be heard, or the cache cannot be written.
    """
    torch.manual_seed(recipe.seed)
    if recipe.model.is_frozen:
        return FrozenMethod(recipe, n_labels, tracks, hear)
    return NetworkMethod(recipe, n_labels, tracks)


def network(recipe: Recipe, spec: FeatureSpec, n_labels: int) -> GenreNetwork:
    """Make a recipe's backbone and head with the weights that they start from.

    Args:
        recipe: of a network that is trained as a whole.
        spec: its front end.
        n_labels: length of the logits.

    Raises:
        RecipeError, ModelError: see make.
    """
    backbone = _backbone(recipe, spec)
    return GenreNetwork(backbone, _head(recipe, backbone.n_features, n_labels))


def cache_folder(recipe: Recipe, name: str) -> Path:
    """Return the folder where spectrograms or embeddings are kept between runs."""
    if recipe.data.cache:
        return Path(recipe.data.cache) / name
    from platformdirs import user_cache_path

    return user_cache_path("genrekit") / name


class NetworkMethod:
    """Train backbone and head together on spectrograms."""

    def __init__(self, recipe: Recipe, n_labels: int, tracks: Tracks) -> None:
        """See make."""
        self._random_crops = recipe.augmentation.random_crops
        self._cached = _spectrograms(recipe, tracks)
        self.spec = self._cached.spec
        self.failures = self._cached.failures
        self.origin = _origin(recipe)
        self.network: nn.Module = network(recipe, self.spec, n_labels)

    def source(self, tracks: Sequence[Track]) -> InputSource:
        """See Plan."""
        track_ids = [track.track_id for track in tracks]
        return SpectrogramSource(self._cached, track_ids, self._random_crops)

    def onnx(self) -> bytes:
        """See Plan."""
        return export.to_onnx(self.network, self.spec, (LOGITS, EMBEDDING))

    def logits(self, features: Floats) -> Floats:
        """See Plan."""
        with torch.no_grad():
            logits: Floats = self.network.cpu().eval()(torch.from_numpy(features))[0].numpy()
        return logits


class FrozenMethod:
    """Train a head on the embeddings of a network that stays as it is."""

    def __init__(self, recipe: Recipe, n_labels: int, tracks: Tracks, hear: Hear) -> None:
        """See make."""
        self._frozen, self.origin, self._widths = _freeze(recipe, tracks)
        self.spec = self._frozen.spec
        listener = CachedExtractor(self._frozen, EMBEDDING, cache_folder(recipe, "embeddings"))
        self._heard, self.failures = hear(listener, tracks.all, "hearing")
        train = _can_be_heard(tracks.train, self.failures)
        embeddings = np.concatenate([self._heard[track.track_id].output for track in train])
        self._head = _head(recipe, embeddings.shape[1], n_labels)
        self._head.standardise.fit(
            torch.from_numpy(embeddings.mean(axis=0)), torch.from_numpy(embeddings.std(axis=0))
        )
        self.network: nn.Module = GenreNetwork(nn.Identity(), self._head)

    def source(self, tracks: Sequence[Track]) -> InputSource:
        """See Plan."""
        heard = [self._heard[track.track_id] for track in tracks]
        return EmbeddingSource([h.output for h in heard], [h.starts_seconds for h in heard])

    def onnx(self) -> bytes:
        """See Plan."""
        return graft(self._frozen.model, self._head.cpu().eval().dense_layers())

    def logits(self, features: Floats) -> Floats:
        """See Plan."""
        embedding = torch.from_numpy(self._frozen.run({INPUT: features}, EMBEDDING))
        with torch.no_grad():
            logits: Floats = self._head.cpu().eval()(embedding).numpy()
        return logits


def _freeze(recipe: Recipe, tracks: Tracks) -> tuple[FrozenNetwork, str, list[int]]:
    """Return the frozen network, what to say of it in the card, and how wide its taps are."""
    name = recipe.model.backbone
    if name.startswith(EMBEDDED):
        folder = registry.find(name.removeprefix(EMBEDDED))
        card = folder.card
        origin = f"embedding of {card.name} {card.version} (sha256 {card.onnx_sha256}), frozen"
        frozen = FrozenNetwork(folder.onnx_path.read_bytes(), card.views)
        return frozen, origin, [frozen.width(EMBEDDING)]
    if name == "musicnn":
        return _freeze_musicnn(recipe, tracks)
    spec = _spectrograms(recipe, tracks).spec
    backbone = _backbone(recipe, spec)
    model = export.to_onnx(backbone, spec, (EMBEDDING,))
    return FrozenNetwork(model, one_view(spec)), f"{_origin(recipe)}, frozen", [backbone.n_features]


def _freeze_musicnn(recipe: Recipe, tracks: Tracks) -> tuple[FrozenNetwork, str, list[int]]:
    """Leave out musicnn's dead filters and make it int8 where the recipe says so.

    musicnn undoes the normalisation, so it needs none.
    """
    from genrekit.networks.musicnn_compact import QUANTISED, CompactMusicnn
    from genrekit.training.quantise import quantise

    spec, settings = recipe.features, recipe.model
    compact = CompactMusicnn(_backbone(recipe, spec), settings.taps).eval()
    model = export.to_onnx(compact, spec, (EMBEDDING,))
    real = some_segments(tracks.train, spec)
    with torch.no_grad():
        export.check(model, spec, lambda x: compact(torch.from_numpy(x)).numpy(), real, EMBEDDING)
    origin = f"{_origin(recipe)}, without its dead filters, frozen"
    if settings.quantise == "int8":
        model = quantise(model, real, lambda weight: weight.startswith(QUANTISED))
        origin += ", convolutions int8"
    return (
        FrozenNetwork(model, one_view(spec)),
        origin,
        [compact.n_taps[tap] for tap in settings.taps],
    )


def some_segments(tracks: Sequence[Track], spec: FeatureSpec) -> Floats:
    """Return the middle segment of tracks spread over the training tracks."""
    found: list[Floats] = []
    for track in tracks[:: max(1, len(tracks) // N_CALIBRATION_TRACKS)]:
        try:
            computed = FrontEnd.of(spec).open(track.path).all().features[INPUT]
        except AudioError:  # it is named when it is heard
            continue
        found.append(computed[len(computed) // 2])
    if not found:
        raise DatasetError(f"none of {len(tracks)} training tracks can be heard")
    return np.stack(found)


def _backbone(recipe: Recipe, spec: FeatureSpec) -> Any:
    settings = recipe.model
    if settings.image:
        paint = ImageRendering(spec, settings.image_pixels, settings.image_form)
        return ImageNetwork(settings.backbone, settings.weights, settings.pooling, paint)
    return backbones.build(
        settings.backbone, spec, settings.weights, settings.pooling, settings.taps
    )


def _head(recipe: Recipe, n_features: int, n_labels: int) -> Head:
    model = recipe.model
    hidden = model.hidden if model.head in ("mlp", "fastai") else 0
    return Head(n_features, n_labels, hidden, model.dropout, model.head == "fastai")


def _spectrograms(recipe: Recipe, tracks: Tracks) -> CachedFeatures:
    """Build the cache; its spec gets the mean and std of the training tracks."""
    cache = SpectrogramCache(cache_folder(recipe, "spectrograms"))
    cached = cache.build(tracks.all, recipe.features)
    train = _can_be_heard(tracks.train, cached.failures)
    mean, std = cached.mean_std(track.track_id for track in train)
    return cached.with_spec(recipe.features.model_copy(update={"mean": mean, "std": std}))


def _can_be_heard(train: Sequence[Track], failures: dict[str, str]) -> list[Track]:
    heard = [track for track in train if track.track_id not in failures]
    if not heard:
        first = next(iter(failures.values()), "there is none")
        raise DatasetError(f"none of the {len(train)} training tracks can be heard: {first}")
    return heard


def _origin(recipe: Recipe) -> str:
    weights = recipe.model.weights
    path = backbones.weight_path(recipe.model.backbone, weights)
    described = f"{path.name}, sha256 {files.sha256(path)}" if path else weights
    return f"{recipe.model.backbone}, weights: {described}"
