"""Divide a dataset, choose the tracks that a model may be measured on, and name those left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit.datasets.dataset import SEGMENT
from genrekit.datasets.split import PARTS, SegmentSplit, Split
from genrekit.errors import DatasetError
from genrekit.labels import spelling
from genrekit.models.card import ModelCard

if TYPE_CHECKING:
    from genrekit.datasets.dataset import Dataset
    from genrekit.datasets.tracks import Track

AnySplit = Split | SegmentSplit


def divide(
    dataset: Dataset, kind: str, n_folds: int | None = None, seed: int = 0
) -> Sequence[AnySplit]:
    """Return the splits of a kind.

    Args:
        dataset: the tracks.
        kind: "segment" (LEAKY), or what Dataset.split takes.
        n_folds: divide into folds, each of which is the test part of one split; None divides once.
        seed: of the kinds that are drawn.

    Raises:
        DatasetError: an unknown kind, or one that these tracks cannot have.
    """
    if kind == SEGMENT:
        if n_folds is None:
            return [dataset.segment_split(dataset.n_segments, seed)]
        return dataset.segment_folds(dataset.n_segments, n_folds, seed)
    return [dataset.split(kind, seed)] if n_folds is None else dataset.folds(kind, n_folds, seed)


def title(kind: str, n_folds: int | None = None, n_seeds: int = 1) -> str:
    """Return what to call the splits of a kind together.

    >>> title("artist", 5, 2)
    'artist, 5 folds, 2 seeds'
    """
    folds = f", {n_folds} folds" if n_folds else ""
    seeds = f", {n_seeds} seeds" if n_seeds > 1 else ""
    return f"{kind}{folds}{seeds}"


@dataclass(frozen=True)
class ChosenTrack:
    """A track to measure on; genre is spelled as the model spells it.

    ``group`` is what intervals resample: the tracks of one artist or of one repeated recording.
    Under a split of segments, ``segments`` are the indices of this part out of ``n_segments`` equal
    parts of the track; under a split of tracks it is empty and the whole track counts.
    """

    track_id: str
    path: Path
    genre: str
    artist_group: str | None
    group: str
    segments: frozenset[int] = frozenset()
    n_segments: int = 1


@dataclass(frozen=True)
class Selection:
    """The tracks of one part of a split that a model is measured on, and those left out.

    ``is_another_split``: the card names the data and the split, but its hash of it differs.
    """

    data: str
    split: AnySplit
    part: str
    includes_trained_on: bool
    tracks: tuple[ChosenTrack, ...]
    composition: dict[str, dict[str, int]]
    trained_on: tuple[str, ...]
    is_another_split: bool
    n_same_artist: int
    unknown_genres: dict[str, int]
    problems: tuple[str, ...]


def select(
    card: ModelCard,
    dataset: Dataset,
    split: AnySplit,
    part: str = "test",
    include_training_tracks: bool = False,
) -> Selection:
    """Choose the tracks of a part that a model can be measured on.

    Left out are tracks of a genre that the model does not know (case, spaces and punctuation do not
    count) and, unless they are requested, tracks whose id the card names as a training track.

    Raises:
        DatasetError: no track is left.
    """
    indices = _indices(split, part)
    members = [track for track in dataset.tracks if track.track_id in indices]
    labels = {spelling(label): label for label in card.labels}
    known = [track for track in members if spelling(track.genre) in labels]
    fitted = set(card.training_data.track_ids) if card.training_data else set()
    unseen = [track for track in known if track.track_id not in fitted]
    unknown = Counter(track.genre for track in members if spelling(track.genre) not in labels)
    chosen = known if include_training_tracks else unseen
    if not chosen:
        where = f"{dataset.name}, {split.title}, part {part}"
        raise DatasetError(_nothing_left(card, where, unknown, known))
    groups = dataset.groups
    fitted_groups = {groups[track.track_id] for track in dataset.tracks if track.track_id in fitted}
    lengths = Counter(key[0] for key in split.assignment if isinstance(key, tuple))
    return Selection(
        data=dataset.name,
        split=split,
        part=part,
        includes_trained_on=include_training_tracks,
        tracks=tuple(
            ChosenTrack(
                track_id=track.track_id,
                path=Path(track.path),
                genre=labels[spelling(track.genre)],
                artist_group=track.artist_group,
                group=groups[track.track_id],
                segments=indices[track.track_id],
                n_segments=lengths.get(track.track_id, 1),
            )
            for track in chosen
        ),
        composition=_composition(dataset, split),
        is_another_split=_is_another(card, dataset, split),
        trained_on=tuple(track.track_id for track in known if track.track_id in fitted),
        n_same_artist=sum(groups[track.track_id] in fitted_groups for track in unseen),
        unknown_genres=dict(unknown),
        problems=tuple(map(str, dataset.problems)),
    )


def _composition(dataset: Dataset, split: AnySplit) -> dict[str, dict[str, int]]:
    """Count each genre's tracks, or segments, by part."""
    genres = {track.track_id: track.genre for track in dataset.tracks}
    counts: dict[str, dict[str, int]] = {label: dict.fromkeys(PARTS, 0) for label in dataset.labels}
    for key, part in split.assignment.items():
        track_id = key if isinstance(key, str) else key[0]
        if track_id in genres:
            counts[genres[track_id]][part] += 1
    return counts


def _is_another(card: ModelCard, dataset: Dataset, split: AnySplit) -> bool:
    """Return whether the card names this data and split but another hash of it."""
    data = card.training_data
    if data is None or (data.dataset, data.split) != (dataset.name, split.name):
        return False
    return data.split_sha256 != split.sha256


def _indices(split: AnySplit, part: str) -> dict[str, frozenset[int]]:
    """Return the tracks of a part, each with its segments' indices (none: the whole track)."""
    if isinstance(split, Split):
        return dict.fromkeys(split.ids(part), frozenset())
    found: dict[str, set[int]] = {}
    for track_id, index in split.ids(part):
        found.setdefault(track_id, set()).add(index)
    return {track_id: frozenset(indices) for track_id, indices in found.items()}


def _nothing_left(
    card: ModelCard, where: str, unknown: Counter[str], known: Sequence[Track]
) -> str:
    if known:
        return (
            f"every track of {where} is a training track of {card.name}; choose another part or "
            "split, or include the training tracks and read the numbers as LEAKY"
        )
    if unknown:
        return (
            f"{card.name} knows none of the genres of {where}: {', '.join(sorted(unknown))}; it "
            f"knows {', '.join(card.labels)}; choose a model trained on these genres"
        )
    return f"there is no track in {where}; choose another part or split"
