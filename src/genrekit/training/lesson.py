"""The labelled tracks of a library as arrays, heads fitted to parts of them, and their segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.datasets import stratify
from genrekit.errors import AudioError, DatasetError
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.models.card import Calibration, ModelCard
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import EMBEDDING, LOGITS
from genrekit.training import onnx_head, taught
from genrekit.training.frozen import FrozenNetwork
from genrekit.training.label_space import LabelSpace

Floats = NDArray[np.float64]
CORRECTION_WEIGHT = 3.0  # a person labelled this track
MAX_MEASURED = 1000
N_FOLDS = 5
BASE = "taught_from"  # a key of a taught card's recipe: the network below its head


class TaughtTrack(NamedTuple):
    """A track with genres from a person or its tags; its mean embedding has shape (d,)."""

    path: Path
    digest: str
    genres: tuple[str, ...]
    is_correction: bool
    group: str
    embedding: NDArray[np.float32]


class Base(NamedTuple):
    """The network below a head: never a taught one, so that no label counts twice."""

    model: bytes
    labels: tuple[str, ...]
    calibration: Calibration
    taught_by: frozenset[str]  # digests' beginnings of the tracks that the old head was fitted to


class MeasuredTrack(NamedTuple):
    """A measured track's index among the fitted ones, and the base's outputs for its segments."""

    place: int
    start: Floats  # (n_segments, n_labels)
    embedding: Floats  # (n_segments, d)
    old: Floats  # the old model's probabilities of the new labels, (n_labels,)


class Lesson:
    """The labelled tracks as arrays, and heads fitted to parts of them."""

    def __init__(self, base: Base, space: LabelSpace, tracks: list[TaughtTrack]) -> None:
        self.base, self.space, self.tracks = base, space, tracks
        self.embeddings = np.stack([track.embedding for track in tracks])
        self.targets = np.array([_target(track, space) for track in tracks])
        self.weights = np.array(
            [CORRECTION_WEIGHT if track.is_correction else 1.0 for track in tracks]
        )
        numbers = base.calibration
        # With the old model's confidence on tracks: the head is fitted to tracks' embeddings, and
        # would otherwise spend its weights on sharpening the old model.
        temperature = numbers.temperature * numbers.track_temperature
        self.start = taught.start_from(space.old, space.labels, temperature, numbers.bias)
        self._starts = self.start(onnx_head.run_head(base.model, self.embeddings))
        self.groups = [track.group for track in tracks]
        self.fold_of = _folds(self.targets.argmax(axis=1), self.groups)
        self.taught_by = np.array([track.digest[:16] in base.taught_by for track in tracks])

    def fit(self, chosen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Fit a head to some of the tracks; see ``taught.fit``. Without tracks it adds nothing."""
        if not chosen.any():
            shape = self.embeddings.shape[1], len(self.space.labels)
            return np.zeros(shape), np.zeros(shape[1])
        return taught.fit(
            self.embeddings[chosen],
            self._starts[chosen],
            self.targets[chosen],
            self.weights[chosen],
        )

    def measure(
        self, folder: ModelFolder, advance: Callable[[], None]
    ) -> tuple[list[MeasuredTrack], dict[str, str]]:
        """Decode some tracks, spread over all, and run the base and the old model on them."""
        network = FrozenNetwork(self.base.model, folder.card.views)
        order = np.random.default_rng(0).permutation(len(self.tracks))[:MAX_MEASURED]
        found: list[MeasuredTrack] = []
        failures: dict[str, str] = {}
        for index in sorted(order.tolist()):
            path = self.tracks[index].path
            try:
                features = network.front_end.open(path).all().features
            except AudioError as error:
                failures[str(path)] = str(error)
            else:
                embedding = network.run(features, EMBEDDING).astype(np.float64)
                logits = network.run(features, LOGITS)
                old = self.start.mapped(
                    track_probabilities_of(folder.card, self.base.calibration, logits)
                )
                found.append(MeasuredTrack(index, self.start(logits), embedding, old))
            advance()
        if not found:
            first = next(iter(failures.values()))
            raise DatasetError(f"none of {len(failures)} labelled tracks can be decoded: {first}")
        return found, failures

    def held_out(self, measured: Sequence[MeasuredTrack], among: NDArray[np.bool_]) -> list[Floats]:
        """Return the measured tracks' logits by heads fitted to those of other artists."""
        heads = {fold: self.fit(among & (self.fold_of != fold)) for fold in range(N_FOLDS)}
        logits = []
        for its in measured:
            weight, bias = heads[int(self.fold_of[its.place])]
            logits.append(its.start + its.embedding @ weight + bias)
        return logits


def base_of(folder: ModelFolder) -> Base:
    """Return the network to put a head on: the model, or the one that it was taught from.

    Raises:
        ModelError: the model has no embedding, or its head cannot be separated.
    """
    card, model = folder.card, folder.onnx_path.read_bytes()
    before = onnx_head.untaught(model)
    known = card.recipe.get(BASE)
    if before is None or known is None:
        return Base(model, card.labels, card.calibration, frozenset())
    data = card.training_data
    return Base(
        before,
        tuple(known["labels"]),
        Calibration.model_validate(known["calibration"]),
        frozenset(data.track_ids if data else ()),
    )


def track_probabilities_of(
    card: ModelCard, numbers: Calibration, logits: NDArray[np.floating]
) -> Floats:
    """Return a track's probabilities, computed as in inference. Shape (n_labels,)."""
    segments = segment_probabilities(logits, numbers.temperature, numbers.bias)
    return track_probabilities(segments, card.aggregation, numbers.track_temperature)


def _target(track: TaughtTrack, space: LabelSpace) -> list[float]:
    meant = space.meant(track.genres)
    return [(label in meant) / len(meant) for label in space.labels]


def _folds(true: NDArray[np.int64], groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the fold of each track; a genre of one artist, or one large artist, is allowed."""
    artists = [len({group for group, its in zip(groups, true, strict=True) if its == label})
               for label in range(int(true.max()) + 1)]  # fmt: skip
    genres = [str(label) if artists[label] > 1 else "rare" for label in true.tolist()]
    try:
        return stratify.folds(genres, groups, N_FOLDS)
    except DatasetError:
        names = list(dict.fromkeys(groups))
        places = np.random.default_rng(0).permutation(len(names)) % N_FOLDS
        place = dict(zip(names, places.tolist(), strict=True))
        return np.array([place[group] for group in groups])
