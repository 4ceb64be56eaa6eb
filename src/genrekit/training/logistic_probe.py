"""A logistic head on a frozen network, and what it says of tracks that it did not see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genrekit.datasets import Track
from genrekit.models.runtime import EMBEDDING
from genrekit.training import logistic, methods, out_of_fold
from genrekit.training.data import TrainingSet
from genrekit.training.frozen import Alteration, CachedExtractor, TrackOutput
from genrekit.training.recipe import Recipe

Floats = NDArray[np.float32]


class ProbeMethod(methods.FrozenMethod):
    """Fit a logistic head on the embeddings of a network that stays as it is."""

    def __init__(
        self, recipe: Recipe, n_labels: int, tracks: methods.Tracks, hear: methods.Hear
    ) -> None:
        """Hear every track, and the training tracks' altered copies."""
        super().__init__(recipe, n_labels, tracks, hear)
        self._l2 = recipe.model.l2
        self._n_labels = n_labels
        self._copies: list[dict[str, TrackOutput]] = []
        kept = [track for track in tracks.train if track.track_id not in self.failures]
        for copy in range(recipe.augmentation.altered_copies):
            listener = CachedExtractor(
                self._frozen,
                EMBEDDING,
                methods.cache_folder(recipe, "embeddings"),
                alteration=Alteration(recipe.augmentation, recipe.seed + copy),
            )
            heard, failures = hear(listener, kept, f"altered copy {copy + 1}")
            self.failures.update(failures)
            self._copies.append(heard)

    def solve(self, prepared: TrainingSet) -> None:
        """Fit the head to all training tracks."""
        self._head.become_linear(*self._fit(prepared.train, prepared.targets(prepared.train)))

    def out_of_fold(self, prepared: TrainingSet) -> list[Floats]:
        """Return logits of the training tracks by heads that saw neither them nor their artists.

        Returns:
            One array a training track, of shape (n_segments, n_labels).
        """

        def answer(
            inside: Sequence[Track], true: NDArray[np.int64], asked: Sequence[Track]
        ) -> list[Floats]:
            weight, bias = (tensor.numpy() for tensor in self._fit(inside, true))
            return [self._heard[track.track_id].output @ weight + bias for track in asked]

        return out_of_fold.answers(prepared, answer)

    def _fit(self, tracks: Sequence[Track], true: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        rows, labels = [], []
        for track, label in zip(tracks, true, strict=True):
            for heard in (self._heard, *self._copies):
                output = heard[track.track_id].output
                rows.append(output)
                labels.append(np.full(len(output), label))
        return logistic.fit(
            np.concatenate(rows), np.concatenate(labels), self._n_labels, self._widths, self._l2
        )
