"""One training run: from a recipe to a checked model folder, in a folder that can be resumed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit import files
from genrekit.datasets import SegmentSplit, Split
from genrekit.errors import ModelError, RecipeError
from genrekit.models import registry
from genrekit.models.registry import CARD, ModelFolder
from genrekit.training import cards, data, export, methods, provenance
from genrekit.training import recipe as recipes
from genrekit.training.data import TrainingSet
from genrekit.training.methods import RunContext, TrainingMethod
from genrekit.training.placement import ALONE, Placement
from genrekit.training.recipe import Recipe

if TYPE_CHECKING:
    from genrekit.networks.heads import GenreNetwork

Report = Callable[[str], None]
RECIPE = "recipe.toml"
SPLIT = "split.tsv"
MODEL = "model"


@dataclass(frozen=True)
class TrainingRun:
    """A recipe, the folder of the run, and the function that reports progress.

    ``split`` replaces the recipe's. With several processes the first of them calls ``report``,
    which must then be a module's function.
    """

    recipe: Recipe
    folder: Path
    report: Report
    split: Split | SegmentSplit | None = None
    placement: Placement = ALONE

    @property
    def model_folder(self) -> Path:
        """The folder of the finished model."""
        return self.folder / MODEL

    @cached_property
    def method(self) -> TrainingMethod:
        """The method that trains the recipe.

        Raises:
            RecipeError: it cannot be trained, or not in several processes.
        """
        context = RunContext(self.recipe, self.folder, self.report, self.placement)
        method = methods.make(context)
        if self.placement.n_ranks > 1 and not method.is_distributed:
            raise RecipeError(
                f"model.backbone {self.recipe.model.backbone!r} is frozen, and one process trains "
                "its head in little time; omit --devices and --nodes"
            )
        return method

    def train(self) -> ModelFolder:
        """Train, or resume an earlier run in this folder, and write the model.

        Raises:
            RecipeError: the recipe cannot be used, or the folder has a run of another recipe.
            DatasetError: the data cannot be used.
            ModelError: weights, teacher or export failed.
            KeyboardInterrupt: after Ctrl-C; calling train() again resumes.
            OSError: the disk is full.
        """
        method = self.method
        prepared = data.prepare(self.recipe, self.split)
        if prepared.n_first_only:
            self.report(
                f"{prepared.n_first_only} tracks have several genres, of which only the first is "
                "learnt; model.head=logistic learns all"
            )
        if prepared.split_reason:
            self.report(prepared.split_reason)
        self._open(prepared)
        prepared = self._usable(prepared)
        cost = method.fit(prepared)
        self.report("exporting to ONNX")
        model = method.export(prepared)
        card = cards.make(self.recipe, method, prepared, cost)
        if self.recipe.data.validation != "none":
            held_out = method.out_of_fold(prepared, model)
            card, sentence = cards.calibrate(card, held_out, prepared)
            self.report(sentence)
        return registry.read(export.write_folder(self.model_folder, model, card))

    def join(self) -> None:
        """Run this machine's part of a training whose model another machine writes.

        Raises:
            GenrekitError: see train.
        """
        method = self.method
        method.fit(self._usable(data.prepare(self.recipe, self.split)))

    def train_once(self) -> ModelFolder:
        """Return the finished model of an earlier run in this folder, or train it.

        Raises:
            GenrekitError: see train.
        """
        if not (self.model_folder / CARD).is_file():
            return self.train()
        self._open(data.prepare(self.recipe, self.split))
        return registry.read(self.model_folder)

    def _open(self, prepared: TrainingSet) -> None:
        """Write the recipe, the split and the provenance into the folder."""
        recipe, split = self.folder / RECIPE, self.folder / SPLIT
        if recipe.exists() and recipes.load(recipe) != self.recipe:
            raise RecipeError(
                f"{self.folder} has a run of another recipe; give another --output, or resume "
                f"it with `genrekit train --resume {self.folder}`"
            )
        if split.exists() and Split.load(split).sha256 != prepared.split.sha256:
            raise RecipeError(
                f"{self.folder} has a run on another split of the data; give another --output"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        about = provenance.describe() | {
            "seed": self.recipe.seed,
            "processes": self.placement.n_ranks,
            "dataset": prepared.dataset.name,
            "split": prepared.split.name,
            "split_sha256": prepared.split.sha256,
        }
        with files.write_beside(self.folder / "run.json", "w") as stream:
            json.dump(about, stream, indent=1)
        prepared.split.save(split)
        with files.write_beside(recipe, "w") as stream:
            stream.write(recipes.to_toml(self.recipe))

    def _usable(self, prepared: TrainingSet) -> TrainingSet:
        """Prepare the method; leave out the tracks that it cannot use, reporting each."""
        failures = self.method.prepare(prepared)
        for reason in failures.values():
            self.report(f"left out: {reason}")
        kept = dataclasses.replace(
            prepared,
            train=tuple(t for t in prepared.train if t.track_id not in failures),
            validation=tuple(t for t in prepared.validation if t.track_id not in failures),
        )
        data.check(kept)
        return kept


def restore(path: Path) -> tuple[GenreNetwork, ModelFolder, Recipe]:
    """Return the torch network of a finished run, for gradients, which ONNX Runtime lacks.

    Args:
        path: the folder that `genrekit train` wrote, or the model folder in it.

    Returns:
        The network on the CPU, in evaluation mode, its model folder and its recipe.

    Raises:
        ModelError: there is no finished run; it did not train a full network; or its weights
            are missing, damaged or not those of its model.
        RecipeError: its recipe cannot be read.
    """
    folder = path.parent if (path / CARD).is_file() else path
    missing = [name for name in (RECIPE, f"{MODEL}/{CARD}") if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {' and '.join(missing)}; give the folder of a finished "
            "`genrekit train`"
        )
    run = TrainingRun(recipes.load(folder / RECIPE), folder, lambda line: None)
    model = registry.read(run.model_folder)
    return run.method.restore(model), model, run.recipe
