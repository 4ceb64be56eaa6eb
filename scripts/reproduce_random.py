"""Measure the sources' own architectures from random weights, where a GPU is at hand.

    python scripts/reproduce_random.py --data DATA [NAME ...] [--set KEY=VALUE ...]

Every row that needs ImageNet weights is trained without them, its whole network unfrozen, by the
row's own protocol: VGG16, Xception, ResNet18/34/50, DenseNet121/161/201 and EfficientNet-B3. That
shows what the architecture gives without the weights; it is not the source's system, so the results
go to a folder of their own. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genrekit.errors import GenrekitError
from genrekit.reproduction import runner
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe, catalogue


def from_random(recipe: Recipe, overrides: list[str]) -> Recipe:
    """Return the recipe with random weights, all of which are trained."""
    pairs = [override.partition("=")[::2] for override in overrides]
    values = {key: recipes.parse(text) for key, text in pairs}
    fixed = {"name": f"{recipe.name}-random", "model.weights": "none", "model.freeze": False}
    return recipes.with_values(recipe, {**fixed, **values})


def main() -> int:
    """Measure all rows that can run, or the named ones; 1 where one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipes", type=Path)
    parser.add_argument("--output", type=Path, default=Path("results/random-weights"))
    parser.add_argument("--runs", type=Path, default=Path("runs/random-weights"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="overrides")
    options = parser.parse_args()
    folder = options.recipes or catalogue.folder() / catalogue.REPRODUCTIONS
    claimed = runner.claims(folder, options.data)
    needing = {n: each for n, each in claimed.items() if each.recipe.model.weights == "imagenet"}
    failed = 0
    for name, each in runner.choose(needing, options.names or ["all"]).items():
        try:
            recipe = from_random(each.recipe, options.overrides)
            runner.run(recipe, options.runs, options.output, lambda line: print(line, flush=True))
        except GenrekitError as error:
            failed += 1
            print(f"{name}: {error}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
