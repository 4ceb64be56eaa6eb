"""Train a head on the embeddings of a frozen network."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genrekit.datasets import Track
from genrekit.models import registry
from genrekit.models.card import one_view
from genrekit.models.runtime import EMBEDDING, INPUT, Features
from genrekit.networks.heads import GenreNetwork
from genrekit.training import (
    export,
    inputs,
    logistic,
    network_method,
    onnx_head,
    out_of_fold,
    provenance,
)
from genrekit.training.batches import EmbeddingSource
from genrekit.training.data import TrainingSet
from genrekit.training.epochs import EpochMethod
from genrekit.training.frozen import Alteration, CachedExtractor, FrozenNetwork, TrackOutput
from genrekit.training.out_of_fold import HeldOut
from genrekit.training.recipe import EMBEDDED, Recipe

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


class FrozenMethod(EpochMethod):
    """Trains a head in epochs."""

    def compute(self, data: TrainingSet, tracks: Sequence[Track]) -> dict[str, str]:
        """Compute the embeddings of all tracks, and make the head."""
        self._frozen, self.origin, self._widths = _freeze(self.recipe, tracks, data.train)
        self.views = self._frozen.views
        self._outputs, failures = self._extractor().extract_all(tracks, "embeddings")
        train = inputs.usable(data.train, failures)
        embeddings = np.concatenate([self._outputs[track.track_id].output for track in train])
        self._head = network_method.head(self.recipe, embeddings.shape[1], len(data.labels))
        self._head.standardise.fit(
            torch.from_numpy(embeddings.mean(axis=0)), torch.from_numpy(embeddings.std(axis=0))
        )
        self.network = GenreNetwork(nn.Identity(), self._head)
        return failures

    def source(self, tracks: Sequence[Track]) -> EmbeddingSource:
        """Return the tracks' embeddings."""
        outputs = [self._outputs[track.track_id] for track in tracks]
        starts_seconds = [output.starts_seconds for output in outputs]
        return EmbeddingSource([output.output for output in outputs], starts_seconds)

    def to_onnx(self) -> bytes:
        """Attach the head to the frozen network."""
        return onnx_head.attach(self._frozen.model, self._head.cpu().eval().dense_layers())

    def logits(self, features: Features) -> Floats:
        """Return the head's logits for the frozen network's embeddings."""
        embedding = torch.from_numpy(self._frozen.run(features, EMBEDDING))
        with torch.no_grad():
            logits: Floats = self._head.cpu().eval()(embedding).numpy()
        return logits

    def _extractor(self, alteration: Alteration | None = None) -> CachedExtractor:
        cache = inputs.cache_folder(self.recipe, "embeddings")
        return CachedExtractor(self._frozen, EMBEDDING, cache, alteration=alteration)


class ProbeMethod(FrozenMethod):
    """Fits a logistic head to the embeddings of tracks and of their altered copies."""

    def compute(self, data: TrainingSet, tracks: Sequence[Track]) -> dict[str, str]:
        """Compute the embeddings of all tracks, and of the training tracks' altered copies."""
        failures = super().compute(data, tracks)
        kept = inputs.usable(data.train, failures)
        self._copies: list[dict[str, TrackOutput]] = []
        for copy in range(self.recipe.augmentation.altered_copies):
            alteration = Alteration(self.recipe.augmentation, self.recipe.seed + copy)
            title = f"altered copy {copy + 1}"
            outputs, failed = self._extractor(alteration).extract_all(kept, title)
            failures.update(failed)
            self._copies.append(outputs)
        return failures

    def fit(self, data: TrainingSet) -> str:
        """Fit the head to all training tracks."""
        began = time.perf_counter()
        self._head.become_linear(*self._fit(data, data.train))
        return provenance.one_fit(began)

    def out_of_fold(self, data: TrainingSet, model: bytes) -> HeldOut:
        """Return logits, if joined, from heads fitted without the tracks or their artists."""
        if not data.is_joined:
            return super().out_of_fold(data, model)

        def predict(
            inside: Sequence[Track], true: Integers, outside: Sequence[Track]
        ) -> list[Floats]:
            del true  # only the first of several genres
            weight, bias = (tensor.numpy() for tensor in self._fit(data, inside))
            return [self._outputs[track.track_id].output @ weight + bias for track in outside]

        return out_of_fold.predict_all(data, predict)

    def _fit(self, data: TrainingSet, tracks: Sequence[Track]) -> tuple[Tensor, Tensor]:
        """Fit to tracks; if any track of the run has several genres, to each genre separately."""
        has_several = any(track.more_genres for track in data.train)
        true = data.shares(tracks) > 0 if has_several else data.targets(tracks)
        rows, labels = [], []
        for track, label in zip(tracks, true, strict=True):
            for outputs in (self._outputs, *self._copies):
                output = outputs[track.track_id].output
                rows.append(output)
                labels.append(np.repeat(label[None], len(output), axis=0))
        return logistic.fit(
            np.concatenate(rows),
            np.concatenate(labels),
            len(data.labels),
            self._widths,
            self.recipe.model.l2,
        )


def _freeze(
    recipe: Recipe, tracks: Sequence[Track], train: Sequence[Track]
) -> tuple[FrozenNetwork, str, list[int]]:
    """Return the frozen network, its origin for the card, and the widths of its taps."""
    name = recipe.model.backbone
    if name.startswith(EMBEDDED):
        folder = registry.find(name.removeprefix(EMBEDDED))
        card = folder.card
        origin = f"embedding of {card.name} {card.version} (sha256 {card.onnx_sha256}), frozen"
        frozen = FrozenNetwork(folder.onnx_path.read_bytes(), card.views)
        return frozen, origin, [frozen.width(EMBEDDING)]
    if name == "musicnn":
        return _freeze_musicnn(recipe, train)
    spec = inputs.spectrograms(recipe, tracks, train).spec
    backbone = network_method.backbone(recipe, spec)
    frozen = FrozenNetwork(export.to_onnx(backbone, spec, (EMBEDDING,)), one_view(spec))
    return frozen, f"{network_method.origin(recipe)}, frozen", [backbone.n_features]


def _freeze_musicnn(recipe: Recipe, train: Sequence[Track]) -> tuple[FrozenNetwork, str, list[int]]:
    """Remove musicnn's dead filters, and quantise it to int8 if the recipe requests it.

    musicnn undoes the normalisation, so it needs no mean and std.
    """
    from genrekit.networks.musicnn_compact import QUANTISED, CompactMusicnn
    from genrekit.training.quantise import quantise

    spec, settings = recipe.features, recipe.model
    views = one_view(spec)
    compact = CompactMusicnn(network_method.backbone(recipe, spec), settings.taps).eval()
    model = export.to_onnx(compact, spec, (EMBEDDING,))
    real = inputs.some_segments(train, views)
    frozen = FrozenNetwork(model, views)
    with torch.no_grad():
        export.check(frozen, lambda x: compact(torch.from_numpy(x[INPUT])).numpy(), real, EMBEDDING)
    origin = f"{network_method.origin(recipe)}, without its dead filters, frozen"
    if settings.quantise == "int8":
        model = quantise(model, real[INPUT], lambda weight: weight.startswith(QUANTISED))
        frozen = FrozenNetwork(model, views)
        origin += ", convolutions int8"
    return frozen, origin, [compact.n_taps[tap] for tap in settings.taps]
