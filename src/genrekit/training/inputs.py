"""The features of a run's tracks: cached spectrograms, and a sample of segments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrekit.errors import AudioError, DatasetError

if TYPE_CHECKING:
    from genrekit.datasets import Track
    from genrekit.datasets.cache import CachedFeatures
    from genrekit.models.card import View
    from genrekit.models.runtime import Features
    from genrekit.training.recipe import Recipe

N_CALIBRATION_TRACKS = 64


def cache_folder(recipe: Recipe, name: str) -> Path:
    """Return the folder that keeps spectrograms or embeddings between runs."""
    if recipe.data.cache:
        return Path(recipe.data.cache) / name
    from platformdirs import user_cache_path

    return user_cache_path("genrekit") / name


def spectrograms(recipe: Recipe, tracks: Sequence[Track], train: Sequence[Track]) -> CachedFeatures:
    """Compute the spectrograms of tracks.

    Args:
        recipe: for the front end.
        tracks: all tracks.
        train: the tracks from which the spec's mean and std are computed.

    Raises:
        DatasetError: no training track can be decoded, or the cache cannot be written.
    """
    from genrekit.datasets.cache import SpectrogramCache

    cache = SpectrogramCache(cache_folder(recipe, "spectrograms"))
    cached = cache.build(tracks, recipe.features)
    kept = usable(train, cached.failures)
    mean, std = cached.mean_std(track.track_id for track in kept)
    return cached.with_spec(recipe.features.model_copy(update={"mean": mean, "std": std}))


def usable(train: Sequence[Track], failures: dict[str, str]) -> list[Track]:
    """Return the training tracks that did not fail.

    Raises:
        DatasetError: there are none.
    """
    kept = [track for track in train if track.track_id not in failures]
    if not kept:
        first = next(iter(failures.values()), "there is none")
        raise DatasetError(f"none of the {len(train)} training tracks can be decoded: {first}")
    return kept


def some_segments(tracks: Sequence[Track], views: Sequence[View]) -> Features:
    """Return the middle segment of some tracks, spread over all, in every view.

    Raises:
        DatasetError: none of the tracks can be decoded.
    """
    found = []
    for track in tracks[:: max(1, len(tracks) // N_CALIBRATION_TRACKS)]:
        try:
            computed = segments(track, views)
        except AudioError:  # reported when the track's inputs are computed
            continue
        found.append({name: rows[len(rows) // 2] for name, rows in computed.items()})
    if not found:
        raise DatasetError(f"none of {len(tracks)} training tracks can be decoded")
    return {view.name: np.stack([its[view.name] for its in found]) for view in views}


def segments(track: Track, views: Sequence[View]) -> Features:
    """Return the segments of a track that inference cuts, in every view.

    Raises:
        AudioError: the track cannot be decoded.
    """
    from genrekit.inference.frontend import FrontEnd

    return FrontEnd(views, images="any").open(track.path).all().features
