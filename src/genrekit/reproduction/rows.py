"""The rows of the page of results: every claim, followed by its stand-in and LEAKY protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genrekit.reproduction import results, runner
from genrekit.reproduction.results import Measurement, Result, Training
from genrekit.reproduction.runner import Claimed
from genrekit.training.recipe import Recipe
from genrekit.training.recipe.claim import Claim

# Below the folder of results: what smaller forms of a recipe gave. They are never the row's own.
SMOKE_SIZE = "smoke-size"
MARKS = {"source": "", "stand-in": "stand-in: ", "leaky": "LEAKY: "}


@dataclass(frozen=True)
class Row:
    """A recipe with a claim and what was measured of it.

    Attributes:
        name: the recipe's.
        recipe: with its claim.
        needs: what it runs on, in words.
        result: what this recipe gave; None where it was not measured.
        has_old_result: whether the folder holds a result of this name by another recipe.
        smoke_size: what a smaller form of it gave once.
    """

    name: str
    recipe: Recipe
    needs: str
    result: Result | None = None
    has_old_result: bool = False
    smoke_size: Result | None = None

    @property
    def mark(self) -> str:
        """What stands before the name of a row that is not the source's own system."""
        return MARKS[self.claim.role]

    @property
    def claim(self) -> Claim:
        """What the source claims."""
        return self.recipe.claim

    def measured(self, protocol: str) -> Measurement | None:
        """Return the first seed's measurement of a protocol; None where there is none."""
        return self.result.measurements.get(protocol) if self.result else None

    def accuracy(self, protocol: str) -> float | None:
        """Return the accuracy in % at the source's level; None where it was not measured."""
        measured = self.measured(protocol)
        return 100 * measured.levels[self.claim.level].accuracy.value if measured else None

    def leak(self, protocol: str) -> float | None:
        """Return a protocol's accuracy minus that by artist in points; None without both."""
        leaky, honest = self.accuracy(protocol), self.accuracy(results.ARTIST)
        return None if leaky is None or honest is None else leaky - honest

    @property
    def trainings(self) -> dict[str, Training]:
        """What training its networks took, by measurement; as far as any were trained in epochs."""
        found = self.result.measurements.items() if self.result else ()
        return {key: its.training for key, its in found if its.training}

    @property
    def still_falls(self) -> bool:
        """Whether a network's validation loss was still falling when it stopped."""
        return any(training.still_falls for training in self.trainings.values())

    @property
    def has_curves(self) -> bool:
        """Whether learning curves of its networks were kept."""
        return any(training.curves for training in self.trainings.values())


def read(claimed: Mapping[str, Claimed], folder: Path) -> list[Row]:
    """Return a row for every claim, in the page's order.

    A result of another recipe than the present one of its name is not taken.

    Args:
        claimed: by recipe.
        folder: of the results.

    Raises:
        RecipeError: a file there is no result.
        OSError: a file cannot be read.
    """
    found, smaller = results.load(folder), results.load(folder / SMOKE_SIZE)
    made = {}
    for name, each in claimed.items():
        result = found.get(name)
        is_own = result is not None and runner.is_of(result, each.recipe)
        made[name] = Row(
            name=name,
            recipe=each.recipe,
            needs=each.needs,
            result=result if is_own else None,
            has_old_result=result is not None and not is_own,
            smoke_size=smaller.get(name),
        )
    return list(made.values())


def own(rows: list[Row]) -> list[Row]:
    """Return the rows of the sources themselves, and those for comparison."""
    return [row for row in rows if row.claim.role == "source"]


def below(rows: list[Row], name: str) -> list[Row]:
    """Return the stand-ins and LEAKY protocols that belong to a row."""
    return [row for row in rows if name in row.claim.of]


def grouped(rows: list[Row]) -> list[Row]:
    """Return every row once, each after the first one that it belongs to."""
    return list({r.name: r for each in own(rows) for r in (each, *below(rows, each.name))}.values())
