"""What tracks with several genres teach a logistic head, on GTZAN with made second genres.

    python benchmarks/several_genres.py GTZAN [--jobs 2] [--divisions 20]

GTZAN has one genre a track. A share of the tracks gets a second one, which is made: the genre that
the embedded model finds most probable beside the true one, before or behind it in the tag at
random. Heads on the mean embeddings are then fitted to these tags in several ways and predict the
tracks of artists that they were not fitted to (five folds by artist), over many divisions:

- one genre each: the true ones, nothing made, as the best that can be had; by one regression for
  all genres, as the product does then, and by one a genre;
- left out: tracks of two genres are not used;
- the first: of two genres the first in the tag counts;
- shared: each of two genres counts half;
- each by itself: one regression a genre says yes or no, and a track of two is a yes for both, which
  is what `genrekit train --from-tags` does where tracks have several.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from genrekit.datasets import stratify
from genrekit.training import logistic
from genrekit.training.standardising import standardise
from learning import L2, Floats, Library, group_of, scanned, with_interval

SHARES = (0.2, 0.5)
N_FOLDS = 5
Matrix = NDArray[np.float64]
Fit = Callable[[Floats, Matrix, NDArray[np.int64]], Callable[[Floats], Matrix]]


def linear(head: tuple[Tensor, Tensor]) -> Callable[[Floats], Matrix]:
    """Return what gives the logits of a fitted head."""
    weight, bias = (tensor.numpy().astype(np.float64) for tensor in head)
    return lambda rows: rows @ weight + bias


def one_each(rows: Floats, shares: Matrix, first: NDArray[np.int64]) -> Callable[[Floats], Matrix]:
    """Fit to the first genre of each tag, one of all."""
    return linear(logistic.fit(rows, first, shares.shape[1], [rows.shape[1]], [L2]))


def left_out(rows: Floats, shares: Matrix, first: NDArray[np.int64]) -> Callable[[Floats], Matrix]:
    """Fit to the tracks of one genre."""
    is_one = shares.max(axis=1) == 1
    return one_each(rows[is_one], shares[is_one], first[is_one])


def shared(rows: Floats, shares: Matrix, first: NDArray[np.int64]) -> Callable[[Floats], Matrix]:
    """Fit to rows that stand there once for each of their genres, with its share as the weight."""
    del first
    standardised = standardise(rows)
    track, label = np.nonzero(shares)
    model = LogisticRegression(
        C=1 / (L2 * len(rows)), class_weight="balanced", max_iter=logistic.MAX_ITERATIONS
    ).fit(standardised.values[track], label, shares[track, label])
    mean, scale = standardised.mean, standardised.scale
    return lambda others: np.asarray(model.decision_function((others - mean) * scale))


def by_itself(rows: Floats, shares: Matrix, first: NDArray[np.int64]) -> Callable[[Floats], Matrix]:
    """Fit each genre by itself, as the product does where tracks have several."""
    del first
    return linear(logistic.fit(rows, shares > 0, shares.shape[1], [rows.shape[1]], [L2]))


SINGLE: Mapping[str, Fit] = {
    "one genre each": one_each,
    "one genre each, by itself": by_itself,
}
WAYS: Mapping[str, Fit] = {
    "left out": left_out,
    "the first": one_each,
    "shared": shared,
    "each by itself": by_itself,
}


class Tags:
    """GTZAN's tracks with made second genres.

    Attributes:
        rows: mean embeddings. Shape (n_tracks, d).
        true: label index of each track's own genre.
        first: of the genre that stands first in its tag.
        shares: of every label in its tag. Shape (n_tracks, n_labels).
    """

    def __init__(self, library: Library, share: float, division: int) -> None:
        tracks = [track for track in library.dataset.tracks if track.track_id in library.embeddings]
        labels = library.model.card.labels
        rng = np.random.default_rng(division)
        self.rows = np.stack([library.embeddings[track.track_id] for track in tracks])
        self.groups = [group_of(track) for track in tracks]
        self.genres = [track.genre for track in tracks]
        self.true = np.array([labels.index(genre) for genre in self.genres])
        probabilities = np.stack([library.probabilities[track.track_id] for track in tracks])
        own = np.eye(len(labels))[self.true]
        second = np.where(own > 0, -1, probabilities).argmax(axis=1)
        self.has_two = rng.random(len(tracks)) < share
        is_behind = rng.random(len(tracks)) < 0.5
        self.first = np.where(self.has_two & ~is_behind, second, self.true)
        both = (own + np.eye(len(labels))[second]) / 2
        self.shares = np.where(self.has_two[:, None], both, own)
        self.own = own

    def held_out(self, fit: Fit, shares: Matrix, division: int) -> Matrix:
        """Return what heads say that were fitted to other artists. Shape (n_tracks, n_labels)."""
        fold_of = stratify.folds(self.genres, self.groups, N_FOLDS, division)
        found = np.zeros(shares.shape)
        is_first = shares[np.arange(len(shares)), self.first] > 0
        first = np.where(is_first, self.first, self.true)
        for fold in range(N_FOLDS):
            inside, outside = fold_of != fold, fold_of == fold
            head = fit(self.rows[inside], shares[inside], first[inside])
            found[outside] = head(self.rows[outside])
        return found

    def scores(self, said: Matrix) -> tuple[float, float]:
        """Return the share right by GTZAN's genre, and of two genres those first and second."""
        order = np.argsort(-said, axis=1)[:, :2]
        is_right = order[:, 0] == self.true
        both = np.take_along_axis(self.shares, order, axis=1).sum(axis=1) > 1 - 1e-9
        return float(is_right.mean()), float(both[self.has_two].mean())


def measure(library: Library, share: float, n_divisions: int) -> None:
    """Print how each way does with a share of tracks of two genres."""
    found: dict[str, list[tuple[float, float]]] = {}
    for division in range(n_divisions):
        tags = Tags(library, share, division)
        held_out = partial(tags.held_out, division=division)
        for name, fit in SINGLE.items():
            found.setdefault(name, []).append(tags.scores(held_out(fit, tags.own)))
        for name, fit in WAYS.items():
            found.setdefault(name, []).append(tags.scores(held_out(fit, tags.shares)))
    print(f"{len(tags.true)} tracks, {share:.0%} with a second genre, {n_divisions} divisions")
    rows = {name: np.array(scores) for name, scores in found.items()}
    for name, scores in rows.items():
        right, both = 100 * scores.mean(axis=0)
        gain = with_interval(scores[:, 0] - rows["left out"][:, 0])
        print(f"  {name}: {right:.1f} % right ({gain}), {both:.1f} % of two found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--divisions", type=int, default=20)
    options = parser.parse_args()
    library = scanned(options.gtzan, options.jobs)
    for share in SHARES:
        measure(library, share, options.divisions)


if __name__ == "__main__":
    main()
