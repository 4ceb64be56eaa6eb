"""The torch network of a finished run, for what ONNX Runtime cannot do: gradients."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch

from genrekit.errors import ModelError
from genrekit.models import registry
from genrekit.models.registry import CARD, ModelFolder
from genrekit.models.runtime import INPUT, LOGITS, Network
from genrekit.networks.heads import GenreNetwork
from genrekit.training import methods
from genrekit.training import recipe as recipes
from genrekit.training.callbacks import BEST
from genrekit.training.recipe import Recipe
from genrekit.training.run import MODEL, RECIPE

TOLERANCE = 1e-3
_N_CHECKED = 2


def network(run: Path) -> tuple[GenreNetwork, ModelFolder, Recipe]:
    """Return the network that a run trained, its model folder and its recipe.

    Args:
        run: the folder that `genrekit train --output` wrote, or its model folder.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        ModelError: no finished run lies there; it trained no whole network; its weights are
            missing, damaged or not those of its model.
        RecipeError: its recipe cannot be read.
    """
    run = run.parent if (run / CARD).is_file() else run
    missing = [name for name in (RECIPE, f"{MODEL}/{CARD}") if not (run / name).is_file()]
    if missing:
        raise ModelError(
            f"{run} lacks {' and '.join(missing)}; give the folder of a finished `genrekit train`"
        )
    recipe, folder = recipes.load(run / RECIPE), registry.read(run / MODEL)
    if recipe.model.is_tabular or recipe.model.is_frozen:
        raise ModelError(
            f"{run} trained {recipe.model.backbone!r} without a network of its own weights"
            "; there is no gradient to look at, so use --method occlusion"
        )
    restored = _build(recipe, folder)
    _load(restored, run / BEST)
    _check(restored, folder, run)
    return restored, folder, recipe


def _build(recipe: Recipe, folder: ModelFolder) -> GenreNetwork:
    settings = recipe.model.model_copy(update={"weights": "none"})  # those of the run come
    return methods.network(
        recipe.model_copy(update={"model": settings}),
        folder.card.segments,
        len(folder.card.labels),
    ).eval()


def _load(restored: GenreNetwork, path: Path) -> None:
    try:
        restored.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{path}: the torch weights cannot be read ({reason}); train again, or use "
            "--method occlusion, which needs none"
        ) from error


def _check(restored: GenreNetwork, folder: ModelFolder, run: Path) -> None:
    """Compare the logits of noise with those of the model folder."""
    spec = folder.card.segments
    noise = np.random.default_rng(0).normal(size=(_N_CHECKED, spec.n_bins, spec.n_frames))
    features = noise.astype(np.float32)
    wanted = Network.of(folder).run({INPUT: features}, LOGITS)[0]
    with torch.no_grad():
        found = restored(torch.from_numpy(features))[0].numpy()
    if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
        raise ModelError(
            f"{run / BEST} and {folder.onnx_path} are not the same network: the run went on or was "
            "edited; finish it by `genrekit train --resume`"
        )
