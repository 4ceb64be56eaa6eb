"""Training methods: the protocol that a training run follows, and the method for each recipe.

A new method is one module with a class that follows TrainingMethod, and one line in METHODS.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from genrekit.training.placement import ALONE, Placement

if TYPE_CHECKING:
    from pathlib import Path

    from genrekit.datasets import Track
    from genrekit.models.card import View
    from genrekit.models.registry import ModelFolder
    from genrekit.networks.heads import GenreNetwork
    from genrekit.training.data import TrainingSet
    from genrekit.training.out_of_fold import HeldOut
    from genrekit.training.recipe import Recipe


@dataclass(frozen=True)
class RunContext:
    """What a method knows about its run.

    Attributes:
        recipe: what to train.
        folder: the run folder, for checkpoints, curves and metrics.
        report: called with progress lines.
        placement: the processes that train.
    """

    recipe: Recipe
    folder: Path
    report: Callable[[str], None]
    placement: Placement = ALONE


class TrainingMethod(Protocol):
    """One way from a recipe and a training set to a model; its steps are called in this order.

    Attributes:
        is_distributed: whether several processes can train it.
        origin: the initial weights, for the card; known after prepare.
    """

    is_distributed: bool
    origin: str

    def prepare(self, data: TrainingSet) -> dict[str, str]:
        """Compute the inputs of training.

        Returns:
            By track_id, why a track cannot be used; later steps get a set without those tracks.

        Raises:
            RecipeError: the recipe names a network or an estimator that cannot be used.
            ModelError: a weight file or model folder cannot be used.
            DatasetError: no training track can be decoded, or the cache cannot be written.
        """

    def fit(self, data: TrainingSet) -> str:
        """Train, or resume an earlier run in this folder; return the cost."""

    def export(self, data: TrainingSet) -> bytes:
        """Return the ONNX model, checked against the trained one.

        Raises:
            ModelError: it cannot be exported, or its outputs differ.
        """

    def out_of_fold(self, data: TrainingSet, model: bytes) -> HeldOut:
        """Return logits of tracks that were not trained on, for the calibration.

        Args:
            data: if it is joined, the logits of the training tracks are computed in folds;
                otherwise the model computes those of the validation tracks.
            model: as export returned it.
        """

    def described_views(self, tracks: Sequence[Track]) -> tuple[View, ...]:
        """Return the model's inputs, each with the mean of every bin over tracks."""

    def restore(self, model: ModelFolder) -> GenreNetwork:
        """Return the torch network of this run's finished model, on the CPU, for its gradients.

        Raises:
            ModelError: there is no torch network, or its weights cannot be read.
        """


class _Entry(NamedTuple):
    """A method: whether it takes a recipe, and its class, which is imported on demand."""

    takes: Callable[[Recipe], bool]
    module: str
    name: str


# The first that takes the recipe trains it.
METHODS = (
    _Entry(lambda r: r.model.is_tabular, "tabular.method", "TabularMethod"),
    _Entry(lambda r: r.model.head == "logistic", "frozen_method", "ProbeMethod"),
    _Entry(lambda r: r.model.is_frozen, "frozen_method", "FrozenMethod"),
    _Entry(lambda _: True, "network_method", "NetworkMethod"),
)


def make(context: RunContext) -> TrainingMethod:
    """Make the method that trains a recipe.

    Raises:
        RecipeError: an unknown estimator, or one with an unknown parameter.
    """
    entry = next(entry for entry in METHODS if entry.takes(context.recipe))
    module = importlib.import_module(f"genrekit.training.{entry.module}")
    return cast("TrainingMethod", getattr(module, entry.name)(context))
