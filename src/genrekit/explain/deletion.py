"""A check of the evidence: take the blocks away in its order, and in random orders.

If the evidence is right, the genre's probability falls faster when the blocks go in the order of
the evidence than when they go in a random order (deletion), and rises faster when they come back
in it (insertion). Source: Petsiuk, Das & Saenko (2018), RISE, BMVC, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.explain.evidence import Floats, Grid, Predict, filled

if TYPE_CHECKING:
    from genrekit.models.runtime import Features

FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
N_RANDOM = 3
_SEED = 0


@dataclass(frozen=True)
class Curves:
    """The genre's mean probability over the segments while blocks go, or come back.

    Each holds one probability for every entry of ``fractions``; the random ones are means over
    N_RANDOM orders.
    """

    fractions: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random_deletion: tuple[float, ...]
    random_insertion: tuple[float, ...]

    def area(self, name: str) -> float:
        """Return the area under one of the curves, in [0, 1], by the trapezoidal rule."""
        return float(np.trapezoid(getattr(self, name), self.fractions))

    @property
    def better_than_random(self) -> bool:
        """Whether deletion falls faster and insertion rises faster than in a random order."""
        falls = self.area("deletion") < self.area("random_deletion")
        return falls and self.area("insertion") > self.area("random_insertion")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the areas."""
        names = ("deletion", "insertion", "random_deletion", "random_insertion")
        return {
            "fractions": list(self.fractions),
            **{name: [round(p, 4) for p in getattr(self, name)] for name in names},
            "areas": {name: round(self.area(name), 4) for name in names},
            "better_than_random": self.better_than_random,
        }


def _steps(
    start: Features, source: Features, orders: Sequence[NDArray[np.int64]], grid: Grid
) -> Iterator[Features]:
    """Yield the features after each fraction of every segment's blocks came from source."""
    current = {name: rows.copy() for name, rows in start.items()}
    n_done = 0
    for fraction in FRACTIONS:
        n_due = round(fraction * len(orders[0]))
        for segment, order in enumerate(orders):
            for block in order[n_done:n_due].tolist():
                for name, rows in source.items():
                    place = (segment, *grid.block(name, *divmod(block, grid.n_windows)))
                    current[name][place] = rows[place]
        n_done = n_due
        yield current


def measure(
    predict: Predict,
    features: Features,
    fill: Features,
    grid: Grid,
    blocks: Floats,
    label: int,
    advance: Callable[[], None],
) -> Curves:
    """Measure the curves of one label.

    Args:
        predict: the network and its calibration.
        features: the network's inputs. Shapes (n_segments, n_bins, n_frames).
        fill: what replaces a removed part in each. Shapes (n_bins,).
        grid: how the segments are cut into blocks.
        blocks: the label's evidence. Shape (n_segments, n_bands, n_windows).
        label: the label's index.
        advance: called after each of the 2 (1 + N_RANDOM) curves.
    """
    empty = filled(features, fill)

    def curve(orders: Sequence[NDArray[np.int64]], *, back: bool) -> NDArray[np.float64]:
        source, start = (features, empty) if back else (empty, features)
        steps = _steps(start, source, orders, grid)
        found = [predict(current)[:, label].mean() for current in steps]
        advance()
        return np.array(found)

    best = [np.argsort(-rows.ravel(), kind="stable") for rows in blocks]
    rng = np.random.default_rng(_SEED)
    shuffled = [[rng.permutation(rows.size) for rows in blocks] for _ in range(N_RANDOM)]
    found = [curve(best, back=back) for back in (False, True)]
    for back in (False, True):
        found.append(np.mean([curve(order, back=back) for order in shuffled], axis=0))
    deletion, insertion, random_deletion, random_insertion = (tuple(f.tolist()) for f in found)
    return Curves(FRACTIONS, deletion, insertion, random_deletion, random_insertion)
