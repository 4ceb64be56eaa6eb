"""What the other tracks of a track's artist are worth beside its own prediction, on GTZAN.

    python benchmarks/artists.py GTZAN [--jobs 2]

The predictions are by heads that were trained on none of the artists that they are asked about:
five folds of whole artists, each predicted by a head that was fitted to the other four, and made as
sure as it should be (one temperature) by them. Heads are put on two kinds of features: the
embeddings of the default model, in the library that a scan of GTZAN makes (its frozen network has
met no label of GTZAN, though perhaps some of the artists, for it learned the tags of a million
songs); and, where GTZAN's folder holds features_30_sec.csv, the 57 hand-crafted columns of the
whole collection. The default model itself is asked only about its test tracks.

Of each track of the fault-filtered split whose artist has another one there, the artist's other
tracks vote: with their predictions, or with their true genres, as well-kept tags would. Then every
artist's tracks are dealt out to two made albums, and the other album's tracks vote beside the
track's own album. Last, every two artists share one name, as if all artists were of two genres: a
weight has to survive that. Each fold's weight is the one by which most tracks of the other folds
come out right. Intervals are of resampled artists.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import learning
from genrekit import metrics
from genrekit.datasets import Track, feature_table, stratify
from genrekit.evaluation import calibration
from genrekit.inference.aggregation import segment_probabilities
from genrekit.library.agreement import WEIGHTS, Albums
from genrekit.library.artists import ArtistVotes
from genrekit.training import logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
N_FOLDS = 5
GRID = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SHIPPED = WEIGHTS["artist"]
L2 = {"embeddings": learning.L2, "hand-crafted": 0.01}


@dataclass(frozen=True)
class Material:
    """Tracks, and probabilities of them by heads that have met none of their artists.

    Attributes:
        labels: the true labels' indices. Shape (n,).
        artists: shape (n,).
        fold_of: shape (n,). Artists are not torn apart.
        audio: probabilities. Shape (n, n_labels).
    """

    labels: Ints
    artists: NDArray[np.str_]
    fold_of: Ints
    audio: Floats

    def of(self, chosen: NDArray[np.bool_]) -> Material:
        """Return some of the tracks."""
        return Material(
            self.labels[chosen], self.artists[chosen], self.fold_of[chosen], self.audio[chosen]
        )


def held_out(features: NDArray[np.float32], material: Material, l2: float) -> Material:
    """Predict each fold by a head fitted to the others, as sure as those say."""
    n_labels = int(material.labels.max()) + 1
    logits = np.zeros((len(features), n_labels))
    for fold in range(N_FOLDS):
        inside = material.fold_of != fold
        head = logistic.fit(
            features[inside], material.labels[inside], n_labels, [features.shape[1]], [l2]
        )
        weight, bias = (tensor.numpy() for tensor in head)
        logits[~inside] = features[~inside] @ weight + bias
    audio = np.zeros_like(logits)
    for fold in range(N_FOLDS):
        inside = material.fold_of != fold
        fitted = calibration.fit([row[None] for row in logits[inside]], material.labels[inside])
        audio[~inside] = segment_probabilities(logits[~inside], fitted.temperature)
    return replace(material, audio=audio)


def votes_of(values: Floats, artists: Sequence[str], albums: Sequence[str | None]) -> Floats:
    """Return the mean over the artist's tracks that are not on each track's own album.

    Args:
        values: what each track votes with. Shape (n, n_labels).
        artists: one a track.
        albums: one a track, or None.

    Returns:
        Zeros where nothing votes. Shape (n, n_labels).
    """
    found = ArtistVotes()
    places = list(zip(artists, albums, range(len(values)), strict=True))
    for artist, album, track in places:
        found.add(artist, album, track, values[track])
    means = [found.mean(*place) for place in places]
    return np.stack([np.zeros(values.shape[1]) if mean is None else mean for mean in means])


def weighed(material: Material, base: Floats, votes: Floats) -> tuple[Ints, list[float]]:
    """Return labels with each fold's weight chosen by the others, and those weights."""
    right = np.stack([(base + weight * votes).argmax(axis=1) == material.labels for weight in GRID])
    found = np.zeros(len(base), np.int64)
    weights = []
    for fold in range(N_FOLDS):
        is_own = material.fold_of == fold
        weight = GRID[int(right[:, ~is_own].mean(axis=1).argmax())]  # the least of equal ones
        found[is_own] = (base + weight * votes)[is_own].argmax(axis=1)
        weights.append(weight)
    return found, weights


def report(name: str, material: Material, base: Floats, ways: dict[str, Floats]) -> None:
    """Print the accuracy of a base alone and with votes, and the differences."""
    artists = material.artists.tolist()
    print(f"{name}: {len(base)} tracks of {len(set(artists))} artists")
    alone = base.argmax(axis=1) == material.labels
    print(f"  alone: {percent(alone, artists)}")
    for way, votes in ways.items():
        chosen, weights = weighed(material, base, votes)
        for title, found in (
            (f"weights chosen by other folds ({', '.join(f'{w:g}' for w in weights)})", chosen),
            (f"weight {SHIPPED:g}, as shipped", (base + SHIPPED * votes).argmax(axis=1)),
        ):
            right = found == material.labels
            difference = percent(right.astype(float) - alone, artists, "+")
            print(f"  {way}, {title}: {percent(right, artists)}; minus alone {difference}")
    votes = next(iter(ways.values()))
    every = [((base + w * votes).argmax(axis=1) == material.labels).mean() for w in GRID]
    pairs = (f"{w:g}: {100 * share:.1f}" for w, share in zip(GRID, every, strict=True))
    print("  predictions, one weight for all: " + ", ".join(pairs))


def percent(values: NDArray[np.generic], artists: Sequence[str], sign: str = "") -> str:
    """Return a mean in percent, with its interval over resampled artists."""
    found = metrics.bootstrap(
        np.stack([values.astype(float), np.ones(len(values))], axis=1),
        artists,
        lambda sums: np.asarray(sums[..., 0] / sums[..., 1]),
    )
    value, low, high = (f"{100 * number:{sign}.1f}" for number in found)
    return f"{value} [{low}, {high}]"


def compare(name: str, every: Material) -> None:
    """Compare the ways on one set of predictions."""
    sizes = Counter(every.artists.tolist())
    its = every.of(np.array([sizes[artist] > 1 for artist in every.artists.tolist()]))
    artists = its.artists.tolist()
    genres = {artist: set(its.labels[its.artists == artist].tolist()) for artist in artists}
    n_mixed = sum(len(found) > 1 for found in genres.values())
    print(f"{name}: {n_mixed} of {len(genres)} artists are in two genres or more")
    true = np.eye(its.audio.shape[1])[its.labels]
    no_album = [None] * len(artists)
    ways = {
        "predictions": votes_of(its.audio, artists, no_album),
        "true genres": votes_of(true, artists, no_album),
    }
    report("audio", its, its.audio, ways)
    dealt = made_albums(artists)
    means = Albums()
    for album, vector in zip(dealt, its.audio, strict=True):
        means.add(album, vector)
    album_means = [means.mean(album) for album in dealt]
    own = np.stack([np.zeros(true.shape[1]) if mean is None else mean for mean in album_means])
    ways = {
        "predictions": votes_of(its.audio, artists, dealt),
        "true genres": votes_of(true, artists, dealt),
    }
    report("audio and album", its, its.audio + own, ways)
    names = shared_names(artists)
    ways = {"predictions": votes_of(its.audio, names, no_album)}
    shared = replace(its, artists=np.array(names))
    report("audio, two artists under each name", shared, its.audio, ways)


def made_albums(artists: Sequence[str]) -> list[str]:
    """Deal the tracks of each artist out to two albums."""
    number: Counter[str] = Counter()
    found = []
    for artist in artists:
        found.append(f"{artist} {number[artist] % 2}")
        number[artist] += 1
    return found


def shared_names(artists: Sequence[str]) -> list[str]:
    """Give every two artists one name, at random."""
    drawn = np.random.default_rng(0).permutation(sorted(set(artists))).tolist()
    name_of = {artist: f"name {index // 2}" for index, artist in enumerate(drawn)}
    return [name_of[artist] for artist in artists]


def materials(folder: Path, jobs: int) -> Iterator[tuple[str, Material]]:
    """Give each set of predictions with its name."""
    library = learning.scanned(folder, jobs)
    labels = library.model.card.labels
    split = library.dataset.split("fault-filtered")
    rows = known(library.of([*split.train, *split.validation, *split.test]))
    bare = bare_of(rows, labels)
    features = np.stack([library.embeddings[track.track_id] for track in rows])
    yield "embeddings", held_out(features, bare, L2["embeddings"])
    audio = np.stack([library.probabilities[track.track_id] for track in rows])
    is_test = np.isin([track.track_id for track in rows], sorted(split.test))
    yield "the default model", replace(bare, audio=audio).of(is_test)
    table = feature_table.open_table(folder / "features_30_sec.csv")
    if table is not None:
        split = table.split("fault-filtered")
        ids = {*split.train, *split.validation, *split.test}
        rows = known([track for track in table.tracks if track.track_id in ids])
        features = np.stack([table.rows[track.track_id].mean(axis=0) for track in rows])
        yield "hand-crafted", held_out(features, bare_of(rows, labels), L2["hand-crafted"])


def known(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks whose artist is known."""
    return [track for track in tracks if track.artist_group]


def bare_of(tracks: Sequence[Track], labels: Sequence[str]) -> Material:
    """Return tracks without predictions, in folds of whole artists."""
    artists = list(map(learning.group_of, tracks))
    genres = [track.genre for track in tracks]
    fold_of = stratify.folds(genres, artists, N_FOLDS)
    index = np.array([labels.index(genre) for genre in genres])
    return Material(index, np.array(artists), fold_of, np.zeros((len(tracks), len(labels))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    for name, material in materials(options.gtzan, options.jobs):
        compare(name, material)


if __name__ == "__main__":
    main()
