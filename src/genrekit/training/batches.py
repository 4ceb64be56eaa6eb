"""Batches: the segments of an epoch, drawn reproducibly.

All randomness comes from a generator seeded by the seed and the epoch, never from global state:
a killed and resumed run gets the same batches as an uninterrupted one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrekit.inference import segments
from genrekit.training import augment

if TYPE_CHECKING:
    from genrekit.datasets import Track
    from genrekit.datasets.cache import CachedFeatures
    from genrekit.features.spec import FeatureSpec
    from genrekit.training.distill import TeacherTargets
    from genrekit.training.recipe import Recipe

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
UNLABELLED = -1
ANY = -1  # the source draws one of the track's segments


class InputSource(Protocol):
    """The source of a network's inputs; track numbers are positions in the list of tracks."""

    def draw(self, tracks: Integers, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw one segment of each track: inputs (batch, ...) and its start in seconds (batch,)."""

    def take(self, tracks: Integers, indices: Integers) -> tuple[Floats, Floats]:
        """Return the segment with this index of each track; shapes as in draw."""

    def n_segments(self, track: int) -> int:
        """Return the number of segments that inference would cut."""

    def segments(self, track: int) -> Floats:
        """Return every segment that inference would cut. Shape (n_segments, ...)."""


class SpectrogramSource:
    """Segments cut from the cached spectrograms of tracks."""

    def __init__(
        self, cached: CachedFeatures, track_ids: Sequence[str], random_crops: bool = False
    ) -> None:
        """Use a cache whose spec has a mean and std.

        Args:
            cached: contains every track.
            track_ids: in the order of the track numbers.
            random_crops: draw any start; otherwise only starts one hop apart.
        """
        self.cached = cached
        self.spec = cached.spec
        self.track_ids = track_ids
        self.random_crops = random_crops
        self._frames_per_second = self.spec.sample_rate / self.spec.hop_length

    def draw(self, tracks: Integers, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """See Source."""
        return self._all([(int(track), self._start(int(track), rng)) for track in tracks])

    def take(self, tracks: Integers, indices: Integers) -> tuple[Floats, Floats]:
        """See Source."""
        pairs = zip(tracks, indices, strict=True)
        return self._all([(int(track), self._grid(int(track))[index]) for track, index in pairs])

    def n_segments(self, track: int) -> int:
        """See Source."""
        return len(self._grid(track))

    def segments(self, track: int) -> Floats:
        """See Source."""
        return np.stack([self._cut(track, start) for start in self._grid(track)])

    def _all(self, places: Sequence[tuple[int, int]]) -> tuple[Floats, Floats]:
        """Cut a segment at each (track, first frame)."""
        starts = np.array([start for _, start in places], np.float32)
        cut = [self._cut(track, start) for track, start in places]
        return np.stack(cut), starts / np.float32(self._frames_per_second)

    def _start(self, track: int, rng: np.random.Generator) -> int:
        if self.random_crops:
            return int(rng.integers(0, self._room(track) + 1))
        return int(rng.choice(self._grid(track)))

    def _room(self, track: int) -> int:
        return max(0, self._n_frames(track) - self.spec.n_frames)

    def _n_frames(self, track: int) -> int:
        """Return the number of frames of the track that are used."""
        n_frames = self.cached.n_frames(self.track_ids[track])
        used_seconds = self.spec.used_seconds(n_frames / self._frames_per_second)
        return min(n_frames, 1 + int(used_seconds * self._frames_per_second))

    def _grid(self, track: int) -> list[int]:
        """Return the first frames of the segments that the front end cuts from a track."""
        track_id = self.track_ids[track]
        if track_id in self.cached.drawn:
            return list(range(0, self.cached.n_frames(track_id), self.spec.n_frames))
        duration_seconds = self._n_frames(track) / self._frames_per_second
        starts = segments.starts(duration_seconds, self.spec)
        room = self._room(track)
        return [min(round(start * self._frames_per_second), room) for start in starts]

    def _cut(self, track: int, start: int) -> Floats:
        return self.cached.crop(self.track_ids[track], start, self.spec.n_frames)


class EmbeddingSource:
    """Embeddings of segments, computed by a frozen backbone."""

    def __init__(self, embeddings: Sequence[Floats], starts_seconds: Sequence[Floats]) -> None:
        """Use one array per track, of shapes (n_segments, d) and (n_segments,)."""
        self.embeddings = embeddings
        self.starts_seconds = starts_seconds

    def draw(self, tracks: Integers, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """See Source."""
        drawn = [int(rng.integers(len(self.embeddings[t]))) for t in tracks]
        return self.take(tracks, np.array(drawn))

    def take(self, tracks: Integers, indices: Integers) -> tuple[Floats, Floats]:
        """See Source."""
        chosen = list(zip(tracks, indices, strict=True))
        inputs = np.stack([self.embeddings[t][i] for t, i in chosen])
        return inputs, np.array([self.starts_seconds[t][i] for t, i in chosen], np.float32)

    def n_segments(self, track: int) -> int:
        """See Source."""
        return len(self.embeddings[track])

    def segments(self, track: int) -> Floats:
        """See Source."""
        return self.embeddings[track]


class Batch(NamedTuple):
    """One step: inputs (batch, ...), hard and soft targets (batch, n_labels), their weights.

    ``hard_weight`` (batch,) is the labels' share of the loss; the rest is the teacher's, whose
    targets are ``soft``. The mean over these rows is multiplied by ``weight``, so that the mean
    over all processes is the mean over the full batch.
    """

    inputs: Tensor
    hard: Tensor
    soft: Tensor
    hard_weight: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Share:
    """The part of one of several processes: its rank, and their number."""

    rank: int = 0
    n_ranks: int = 1

    def of(self, batch: Batch) -> Batch:
        """Return this process's rows; those of all processes in order make up the batch."""
        if self.n_ranks == 1:
            return batch
        n_rows = len(batch.inputs)
        first, end = (n_rows * rank // self.n_ranks for rank in (self.rank, self.rank + 1))
        rows = slice(first, end)
        inputs, hard, soft, hard_weight, _ = batch
        weight = (end - first) * self.n_ranks / n_rows
        return Batch(inputs[rows], hard[rows], soft[rows], hard_weight[rows], weight)


def draw_weights(tracks: Sequence[Track], targets: Integers, balance: str) -> NDArray[np.float64]:
    """Return how often to draw each track; the mean is one.

    Args:
        tracks: labelled ones first, then the teacher's unlabelled ones.
        targets: label index of each track, UNLABELLED if it has none.
        balance: "none", "class" or "artist"; see recipe.Sampling. Unlabelled tracks always have
            weight one; each track by an unknown artist counts as a separate artist.
    """
    labelled = targets != UNLABELLED
    weights = np.ones(len(tracks))
    if balance == "none" or not labelled.any():
        return weights
    groups = [
        (int(target), track.artist_group or track.track_id) if balance == "artist" else target
        for track, target in zip(tracks, targets, strict=True)
    ]
    per_group = Counter(groups)
    groups_of_label = Counter(
        target for target, _ in dict.fromkeys(zip(targets, groups, strict=True))
    )
    raw = np.array(
        [1 / per_group[g] / groups_of_label[t] for g, t in zip(groups, targets, strict=True)]
    )
    weights[labelled] = raw[labelled] * labelled.sum() / raw[labelled].sum()
    return weights


@dataclass(frozen=True)
class TrainingBatches:
    """Makes an epoch's batches."""

    source: InputSource
    targets: Integers
    weights: NDArray[np.float64]
    spec: FeatureSpec
    recipe: Recipe
    n_labels: int
    teacher: TeacherTargets | None = None
    n_recordings: int | None = None
    share: Share = Share()

    @property
    def n_drawn(self) -> int:
        """The number of segments in an epoch: on average the same number of each recording.

        A recording that the leaky split divides into parts counts once, so that an epoch costs
        the same under every split.
        """
        sampling = self.recipe.sampling
        if sampling.every_segment:
            return len(self._every_segment)
        n_recordings = self.n_recordings or len(self.targets)
        fewest = (sampling.min_steps - 1) * sampling.batch_size + 1
        return n_recordings * max(sampling.segments_per_track, -(-fewest // n_recordings))

    @property
    def n_steps(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.n_drawn // self.recipe.sampling.batch_size)

    @property
    def n_fewest(self) -> int:
        """The number of segments in the smallest batch."""
        return self.n_drawn // self.n_steps

    def epoch(self, number: int) -> Epoch:
        """Return one epoch's batches; the same number always has the same batches."""
        return Epoch(self, number)

    @cached_property
    def _every_segment(self) -> Integers:
        """Every segment of the tracks as (track, index). Shape (n_segments, 2)."""
        numbers = [self.source.n_segments(track) for track in range(len(self.targets))]
        pairs = [(track, index) for track, n in enumerate(numbers) for index in range(n)]
        return np.array(pairs, np.int64)

    def draw(self, rng: np.random.Generator) -> Integers:
        """Return the segments of one epoch as (track, index). Shape (n_drawn, 2).

        The index is ANY if the source is to draw one.
        """
        if self.recipe.sampling.every_segment:
            return rng.permutation(self._every_segment)
        tracks = self._tracks(rng)
        return np.stack([tracks, np.full(len(tracks), ANY)], axis=1)

    def _tracks(self, rng: np.random.Generator) -> Integers:
        """Return the tracks of one epoch, each once per segment to draw from it."""
        n_tracks = len(self.targets)
        if np.all(self.weights == 1):
            n_rounds = -(-self.n_drawn // n_tracks)
            drawn = rng.permutation(np.repeat(np.arange(n_tracks), n_rounds))
            return drawn[: self.n_drawn]
        shares = self.weights / self.weights.sum()
        return rng.choice(n_tracks, self.n_drawn, p=shares).astype(np.int64)

    def make(self, drawn: Integers, rng: np.random.Generator) -> Batch:
        """Cut, augment and mix one batch of the segments that draw returned."""
        settings, (tracks, indices) = self.recipe.augmentation, drawn.T
        if self.recipe.sampling.every_segment:
            inputs, starts_seconds = self.source.take(tracks, indices)
        else:
            inputs, starts_seconds = self.source.draw(tracks, rng)
        if settings.needs_spectrograms:
            inputs = augment.spectral(inputs, self.spec, settings, rng)
        hard, weight = self._hard(tracks)
        soft = self.teacher.at(tracks, starts_seconds) if self.teacher else hard
        arrays: tuple[Floats, ...] = (inputs, hard, soft, weight)
        if settings.mixup_alpha:
            arrays = augment.mixup(arrays, settings.mixup_alpha, rng)
        tensors = [torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays]
        return Batch(tensors[0], tensors[1], tensors[2], tensors[3])

    def _hard(self, tracks: Integers) -> tuple[Floats, Floats]:
        targets = self.targets[tracks]
        labelled = targets != UNLABELLED
        one_hot = np.eye(self.n_labels, dtype=np.float32)[targets] * labelled[:, None]
        hard = augment.smooth(one_hot, self.recipe.augmentation.label_smoothing)
        share = 1 - self.recipe.teacher.weight if self.teacher else 1.0
        return hard, (labelled * share).astype(np.float32)


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch; every iteration yields the same ones.

    Every process draws and makes the full batch and keeps its rows, so that randomness does not
    depend on the number of processes.
    """

    batches: TrainingBatches
    number: int

    def __len__(self) -> int:
        return self.batches.n_steps

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.batches.recipe.seed, self.number))
        drawn = self.batches.draw(rng)
        # Of almost equal sizes: batch norm cannot train on a last batch of one.
        parts = np.array_split(drawn, self.batches.n_steps)
        # One thread makes the next batch, in order, while the network trains on the current one.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as maker:
            coming = maker.submit(self.batches.make, parts[0], rng)
            for part in parts[1:]:
                made = coming.result()
                coming = maker.submit(self.batches.make, part, rng)
                yield self.batches.share.of(made)
            yield self.batches.share.of(coming.result())


class ValidationTrack(NamedTuple):
    """One track's segments (n_segments, ...) and its label's index ()."""

    inputs: Tensor
    target: Tensor


@dataclass(frozen=True)
class ValidationTracks:
    """All segments of every validation track; each of several processes has its own tracks."""

    source: InputSource
    targets: Integers
    share: Share = Share()

    @property
    def _tracks(self) -> range:
        return range(self.share.rank, len(self.targets), self.share.n_ranks)

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[ValidationTrack]:
        for track in self._tracks:
            segments = np.ascontiguousarray(self.source.segments(track), np.float32)
            yield ValidationTrack(
                torch.from_numpy(segments), torch.tensor(int(self.targets[track]))
            )
