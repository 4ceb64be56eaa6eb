"""Divide tracks into parts that keep the genres' shares, without tearing a group apart.

Without groups each genre is shuffled and cut. With groups, whole groups go, from the largest to the
smallest, to the part that lacks most of their genres; then single groups are moved while that
helps; of N_TRIES orders of groups of one size the best result is taken. Written in NumPy because
the core install has no scikit-learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import DatasetError

N_TRIES = 4
N_SWEEPS = 20

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def hold_out(
    genres: Sequence[str],
    groups: Sequence[str] | None,
    shares: Mapping[str, float],
    seed: int = 0,
) -> list[str]:
    """Assign each item to a named part, so that every part has its share of every genre.

    Args:
        genres: genre of each item.
        groups: group of each item: items of one group stay together. None: each by itself.
        shares: name and share of each part; the shares are above zero and sum to one.
        seed: the same seed and the same items in the same order give the same parts.

    Returns:
        Name of each item's part.

    Raises:
        DatasetError: the shares are not as above, a genre has fewer items or groups than there are
            parts, a group is larger than the largest part, or a part would lack a genre.
    """
    if min(shares.values(), default=0) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise DatasetError(f"shares are above 0 and sum to 1; these do not: {dict(shares)}")
    units = _units(genres, groups)
    for genre, n_units in units.items():
        if n_units < len(shares):
            raise DatasetError(
                f"genre {genre!r} has {_count(n_units, groups)}; {', '.join(shares)} need one "
                "each; add some, or leave the genre out"
            )
    parts = _divide(genres, groups, np.asarray(list(shares.values())), seed)
    named = [list(shares)[part] for part in parts]
    _check_complete(genres, named, shares)
    return named


def folds(genres: Sequence[str], groups: Sequence[str] | None, n_folds: int, seed: int = 0) -> Ints:
    """Assign each item to one of n_folds folds of equal size and equal shares of the genres.

    A genre with fewer groups than there are folds is missing from some of them.

    Args:
        genres: genre of each item.
        groups: group of each item: items of one group stay together. None: each by itself.
        n_folds: number of folds, at least two.
        seed: the same seed and the same items in the same order give the same folds.

    Returns:
        0-based fold of each item. Shape (n_items,).

    Raises:
        DatasetError: fewer than two folds, more folds than items or groups, a genre with a single
            item or group (it could never be trained and tested), or a group larger than a fold.
    """
    units = _units(genres, groups)
    for genre, n_units in units.items():
        if n_units < 2:
            raise DatasetError(
                f"genre {genre!r} has {_count(n_units, groups)}, which cannot be trained and "
                "tested at once; add some, or leave the genre out"
            )
    n_all = len(set(groups)) if groups is not None else len(genres)
    if not 2 <= n_folds <= n_all:
        raise DatasetError(
            f"{n_folds} folds came; 2 to {n_all} can be made of {_count(n_all, groups)}"
        )
    return _divide(genres, groups, np.full(n_folds, 1 / n_folds), seed)


def _units(genres: Sequence[str], groups: Sequence[str] | None) -> dict[str, int]:
    """Number of items, or of groups, that each genre has."""
    units = range(len(genres)) if groups is None else groups
    pairs = sorted(set(zip(genres, map(str, units), strict=True)))
    return Counter(genre for genre, _ in pairs)


def _count(n_units: int, groups: Sequence[str] | None) -> str:
    noun = "track" if groups is None else "artist group"
    return f"{n_units} {noun}{'s' * (n_units != 1)}"


def _check_complete(genres: Sequence[str], parts: list[str], shares: Mapping[str, float]) -> None:
    present = set(zip(genres, parts, strict=True))
    for genre, part in product(dict.fromkeys(genres), shares):
        if (genre, part) not in present:
            raise DatasetError(
                f"the {part} part would hold no {genre!r}: its artist groups are too few or too "
                "large to divide; add tracks of other artists, try another seed, or split by track"
            )


def _divide(genres: Sequence[str], groups: Sequence[str] | None, shares: Floats, seed: int) -> Ints:
    """Index of each item's part. Shape (n_items,)."""
    names, labels = np.unique(np.asarray(genres, dtype=np.str_), return_inverse=True)
    rng = np.random.default_rng(seed)
    if groups is None:
        return _cut(labels.astype(np.int64), shares, rng)
    group_names, members = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    table = np.zeros((group_names.size, names.size), dtype=np.int64)
    np.add.at(table, (members, labels), 1)
    _check_sizes(group_names, table, shares)
    # The last column counts all genres together: parts should be of equal size as well.
    targets = _targets(table.sum(axis=0), shares)
    table = np.column_stack([table, table.sum(axis=1)])
    targets = np.column_stack([targets, targets.sum(axis=1)])
    parts: Ints = _place(table, targets, rng)[members]
    return parts


def _targets(totals: Ints, shares: Floats) -> Floats:
    """Items of each genre that each part should get. Shape (n_parts, n_genres)."""
    targets: Floats = shares[:, None] * totals
    # A part gets at least one of a genre that has enough for all parts.
    targets = np.where(totals >= shares.size, np.maximum(targets, 1.0), targets)
    # What the small parts are given on top, the largest part gives.
    largest = int(shares.argmax())
    targets[largest] -= targets.sum(axis=0) - totals
    return targets


def _cut(labels: Ints, shares: Floats, rng: np.random.Generator) -> Ints:
    """Shuffle each genre and cut it; what does not divide goes to the parts that are shortest."""
    parts = np.empty(labels.size, dtype=np.int64)
    targets = _targets(np.bincount(labels), shares)
    lacking = targets.sum(axis=1)
    for label in range(targets.shape[1]):
        items = rng.permutation(np.flatnonzero(labels == label))
        counts = np.floor(np.maximum(targets[:, label], 0)).astype(np.int64)
        rest = targets[:, label] - counts
        for _ in range(items.size - int(counts.sum())):
            # The largest remainder first; equal ones to the part that lacks most over all genres.
            part = int(np.lexsort((-(lacking - counts), -rest.round(9)))[0])
            counts[part] += 1
            rest[part] -= 1
        lacking -= counts
        parts[items] = np.repeat(np.arange(shares.size), counts)[: items.size]
    return parts


def _place(table: Ints, targets: Floats, rng: np.random.Generator) -> Ints:
    """Return the part of each group: the best of N_TRIES placements. Shape (n_groups,)."""
    weights = 1.0 / np.maximum(table.sum(axis=0), 1)  # so that small genres count as much
    best, least = np.empty(0, dtype=np.int64), np.inf
    for _ in range(N_TRIES):
        parts = _place_once(table, targets, weights, rng)
        counts = _move(table, targets, weights, parts)
        cost = float(_costs(counts, targets, weights).sum())
        if cost < least:
            best, least = parts, cost
    return best


def _place_once(table: Ints, targets: Floats, weights: Floats, rng: np.random.Generator) -> Ints:
    """Place the groups from the largest to the smallest, each where most is lacking."""
    shuffled = rng.permutation(table.shape[0])
    lacking = targets * weights
    parts = np.empty(table.shape[0], dtype=np.int64)
    for group in shuffled[np.argsort(-table[shuffled, -1], kind="stable")]:
        share = table[group] * weights
        # Change of the squared deviation from the targets if the group joins the part.
        parts[group] = (share * (share - 2 * lacking)).sum(axis=1).argmin()
        lacking[parts[group]] -= share
    return parts


def _move(table: Ints, targets: Floats, weights: Floats, parts: Ints) -> Ints:
    """Move single groups in place while that lowers the cost; return each part's counts."""
    counts = np.zeros(targets.shape, dtype=np.int64)
    np.add.at(counts, parts, table)
    for _ in range(N_SWEEPS):
        before = parts.copy()
        for group, members in enumerate(table):
            counts[parts[group]] -= members
            change = _costs(counts + members, targets, weights) - _costs(counts, targets, weights)
            if change.min() < change[parts[group]] - 1e-9:
                parts[group] = change.argmin()
            counts[parts[group]] += members
        if np.array_equal(before, parts):
            break
    return counts


def _costs(counts: Ints, targets: Floats, weights: Floats) -> Floats:
    """Squared deviation from the targets plus one for each missing genre. Shape (n_parts,)."""
    costs: Floats = (((counts - targets) * weights) ** 2).sum(axis=1) + (counts == 0).sum(axis=1)
    return costs


def _check_sizes(names: NDArray[np.str_], table: Ints, shares: Floats) -> None:
    sizes = table.sum(axis=1)
    room = shares.max() * sizes.sum()
    largest = int(sizes.argmax())
    # One item more than the share is room that rounding gives.
    if sizes[largest] > room + 1:
        raise DatasetError(
            f"group {str(names[largest])!r} holds {sizes[largest]} of {sizes.sum()} tracks, but "
            f"the largest part only {room:.0f}; use fewer folds, or split by track"
        )
