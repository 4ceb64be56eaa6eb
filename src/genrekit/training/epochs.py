"""What all methods that train a torch network in epochs share: batches, teacher, export."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genrekit import files
from genrekit.datasets import Track
from genrekit.errors import ModelError, RecipeError
from genrekit.models import registry
from genrekit.models.card import View, with_hop
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import LOGITS, Features
from genrekit.networks.heads import GenreNetwork
from genrekit.training import distill, export, fit, inputs, provenance
from genrekit.training.batches import (
    UNLABELLED,
    InputSource,
    TrainingBatches,
    ValidationTracks,
    draw_weights,
)
from genrekit.training.data import TrainingSet
from genrekit.training.frozen import CachedExtractor, FrozenNetwork
from genrekit.training.methods import RunContext
from genrekit.training.module import GenreModule
from genrekit.training.out_of_fold import HeldOut
from genrekit.training.recipe import Recipe

Floats = NDArray[np.float32]
N_CHECKED_SEGMENTS = 8


class EpochMethod(ABC):
    """Trains ``network``, which maps inputs to (logits, embedding), in epochs."""

    is_distributed: ClassVar[bool] = False
    views: tuple[View, ...]
    origin: str
    network: nn.Module

    def __init__(self, context: RunContext) -> None:
        """See genrekit.training.methods.make."""
        self.context = context
        self.recipe = context.recipe
        self._unlabelled = _unlabelled(context.recipe)

    @abstractmethod
    def source(self, tracks: Sequence[Track]) -> InputSource:
        """Return the network's inputs of these tracks."""

    @abstractmethod
    def to_onnx(self) -> bytes:
        """Return the model from features to logits and embedding."""

    @abstractmethod
    def logits(self, features: Features) -> Floats:
        """Return torch's logits of the features of every view. Shape (n, n_labels)."""

    @abstractmethod
    def compute(self, data: TrainingSet, tracks: Sequence[Track]) -> dict[str, str]:
        """Compute the inputs of tracks, among them those of data, and make the network.

        Returns:
            By track_id, why a track cannot be used.
        """

    def prepare(self, data: TrainingSet) -> dict[str, str]:
        """Compute the inputs of labelled and unlabelled tracks, and make the network."""
        torch.manual_seed(self.recipe.seed)
        failures = self.compute(data, [*data.train, *data.validation, *self._unlabelled])
        self._unlabelled = [t for t in self._unlabelled if t.track_id not in failures]
        return failures

    def fit(self, data: TrainingSet) -> str:
        """Train the network epoch by epoch."""
        placement, folder = self.context.placement, self.context.folder
        validation = ValidationTracks(self.source(data.validation), data.targets(data.validation))
        module = GenreModule(self.network, self.recipe, self.batches(data), validation)
        train = fit.train_here
        if placement.n_ranks > 1:
            from genrekit.training import ranks

            train = functools.partial(ranks.train, placement=placement)
        if placement.node_rank:
            keeper = fit.keeper_of(self.recipe, folder, self.context.report)
            if not fit.restore(keeper, self.recipe.schedule.n_epochs):
                train(module, keeper)
            return ""
        rows = fit.fit(module, folder, self.context.report, train)
        self.network.load_state_dict(module.kept_network.state_dict())
        seconds = sum(row["seconds"] for row in rows)
        spent = f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"
        by = f" by {placement}" if placement.n_ranks > 1 else ""
        return f"{len(rows)} epochs in {spent}{by} on {provenance.device()}"

    def export(self, data: TrainingSet) -> bytes:
        """Export the network, and compare its output with torch's."""
        model = self.to_onnx()
        track = (data.validation or data.train)[0]
        real = inputs.segments(track, self.views)
        some = {name: rows[:N_CHECKED_SEGMENTS] for name, rows in real.items()}
        export.check(FrozenNetwork(model, self.views), self.logits, some)
        return model

    def out_of_fold(self, data: TrainingSet, model: bytes) -> HeldOut:
        """Return the model's logits of every validation track that can be decoded."""
        network = FrozenNetwork(model, self.views)
        extractor = CachedExtractor(network, LOGITS, self.context.folder / "validation")
        outputs, _ = extractor.extract_all(data.validation, "validation")
        tracks = [track for track in data.validation if track.track_id in outputs]
        logits = [outputs[track.track_id].output for track in tracks]
        return HeldOut(tracks, logits, "validation tracks")

    def described_views(self, tracks: Sequence[Track]) -> tuple[View, ...]:
        """Return the views, each with the mean of every bin over some segments of the tracks."""
        some = inputs.some_segments(tracks, self.views)
        means = {name: rows.mean(axis=(0, 2)).round(3).tolist() for name, rows in some.items()}
        return tuple(view.with_means(means[view.name]) for view in self.views)

    def restore(self, model: ModelFolder) -> GenreNetwork:
        """Refuse: the part of the network that takes the features was not trained in this run."""
        raise ModelError(
            f"{model.path} was trained as {self.recipe.model.backbone!r}, a head on frozen "
            "weights, so there are no gradients; use --method occlusion"
        )

    def batches(self, data: TrainingSet) -> TrainingBatches:
        """Return the maker of the epochs' batches of a prepared set."""
        tracks = [*data.train, *self._unlabelled]
        labelled = data.targets(data.train)
        targets = np.concatenate([labelled, np.full(len(self._unlabelled), UNLABELLED)])
        return TrainingBatches(
            source=self.source(tracks),
            targets=targets,
            weights=draw_weights(tracks, targets, self.recipe.sampling.balance),
            spec=self.views[0].features,
            recipe=self.recipe,
            n_labels=len(data.labels),
            n_recordings=len({track.recording_id for track in tracks}),
            teacher=self._teacher(tracks, data.labels),
        )

    def _teacher(
        self, tracks: Sequence[Track], labels: Sequence[str]
    ) -> distill.TeacherTargets | None:
        settings = self.recipe.teacher
        if not settings.model:
            return None
        folder = registry.find(settings.model)
        views = with_hop(folder.card.views, settings.hop_seconds)
        network = FrozenNetwork(folder.onnx_path.read_bytes(), views)
        cache = inputs.cache_folder(self.recipe, "embeddings")
        extractor = CachedExtractor(network, LOGITS, cache, whole=True)
        outputs, failures = extractor.extract_all(tracks, "teacher")
        if failures:
            reason = next(iter(failures.values()))
            raise RecipeError(f"the teacher cannot predict a track: {reason}")
        return distill.targets(
            [outputs[track.track_id] for track in tracks],
            folder.card,
            labels,
            settings.temperature,
            self.views[0].features.segment_seconds,
        )


def _unlabelled(recipe: Recipe) -> list[Track]:
    """Return the teacher's unlabelled tracks, with ids that differ from those of labelled ones."""
    if not recipe.teacher.unlabelled:
        return []
    found = files.audio_files(Path(recipe.teacher.unlabelled))
    if not found:
        raise RecipeError(
            f"teacher.unlabelled = {recipe.teacher.unlabelled!r}: that folder has no audio files"
        )
    return [Track(f"unlabelled:{path}", path, "") for path in found]
