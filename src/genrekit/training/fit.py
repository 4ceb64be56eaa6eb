"""Run the trainer: precision, device, and resuming from a run's checkpoint."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from genrekit.errors import ModelError, RecipeError
from genrekit.networks import torchvision_shim  # noqa: F401 - lightning imports torchvision
from genrekit.training import callbacks, curves, lr_finder, process
from genrekit.training.module import GenreModule

import lightning.pytorch as pl  # isort: skip
from lightning.pytorch.loggers import TensorBoardLogger  # isort: skip

if TYPE_CHECKING:
    from genrekit.training.recipe import Recipe

TENSORBOARD = "tensorboard"
ONE_DEVICE = {"devices": 1}
NO_MEMORY = ("not enough memory", "can't allocate memory", "could not create a memory object")


def precision(recipe: Recipe) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """Return lightning's name of the precision to train in.

    "auto" is bfloat16 if that is faster.

    Raises:
        RecipeError: fp16 without a GPU.
    """
    if recipe.precision == "fp16":
        if not torch.cuda.is_available():
            raise RecipeError('precision = "fp16" needs a GPU; write "auto", "bf16" or "fp32"')
        return "16-mixed"
    is_bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and _bf16_pays(recipe))
    return "bf16-mixed" if is_bf16 else "32-true"


def _bf16_pays(recipe: Recipe) -> bool:
    """Return whether bfloat16 is faster on this machine.

    It is on GPUs that have it and on CPUs with AVX512-BF16 or AMX (2.9 times for ResNet18, measured
    with channels_last); a head on embeddings is too small to gain.
    """
    if recipe.model.is_frozen:
        return False
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def fit(
    module: GenreModule,
    folder: Path,
    report: Callable[[str], None],
    train: Callable[[GenreModule, callbacks.Keeper], None],
) -> list[dict[str, float]]:
    """Train, resuming from the run folder's checkpoint if there is one.

    Args:
        module: what to train; afterwards its kept_network has the best epoch's weights.
        folder: the run folder.
        report: called with one line per epoch.
        train: writes checkpoints to the keeper's folder; train_here trains in this process.

    Returns:
        One row per epoch.

    Raises:
        KeyboardInterrupt: after Ctrl-C; the last complete epoch is in the checkpoint.
        ModelError: the checkpoint is damaged, or no epoch had a finite validation loss.
        OSError: the disk is full.
    """
    recipe = module.recipe
    keeper = keeper_of(recipe, folder, report)
    if not restore(keeper, recipe.schedule.n_epochs):
        train(module, keeper)
    curves.draw(folder / curves.PLOT, keeper.rows)
    _load_best(module, folder / callbacks.BEST)
    return keeper.rows


def keeper_of(recipe: Recipe, folder: Path, report: Callable[[str], None]) -> callbacks.Keeper:
    """Return the callback that keeps the run's best weights and checkpoints."""
    return callbacks.Keeper(folder, recipe.early_stopping, report)


def restore(keeper: callbacks.Keeper, n_epochs: int) -> bool:
    """Restore the progress of an earlier run; True if nothing is left to train.

    Raises:
        ModelError: the checkpoint is damaged.
    """
    checkpoint = keeper.folder / callbacks.LAST
    if not checkpoint.exists():
        return False
    try:
        states = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]
        keeper.load_state_dict(states[keeper.state_key])
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{checkpoint} cannot be read: {type(error).__name__}; remove it to start again"
        ) from error
    return keeper.gave_up or len(keeper.rows) >= n_epochs


def train_here(module: GenreModule, keeper: callbacks.Keeper, **placed: Any) -> None:
    """Train in this process, or as one of several.

    Args:
        module: what to train.
        keeper: writes the checkpoints.
        placed: the trainer's options for devices, machines and strategy; without them one device.
    """
    recipe = module.recipe
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint = keeper.folder / callbacks.LAST
    with process.training(recipe):
        _find_lr(module, keeper)
        trainer = pl.Trainer(
            max_epochs=recipe.schedule.n_epochs,
            callbacks=[keeper, callbacks.Bar()],
            plugins=[callbacks.WriteBeside()],
            logger=TensorBoardLogger(keeper.folder, name=None, version=TENSORBOARD),
            log_every_n_steps=1,
            **_options(recipe),
            **(placed or ONE_DEVICE),
        )
        path = str(checkpoint) if checkpoint.exists() else None
        with _memory_errors(recipe):
            trainer.fit(module, ckpt_path=path, weights_only=True)


@contextmanager
def _memory_errors(recipe: Recipe) -> Iterator[None]:
    """Turn torch's out-of-memory errors into one sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not (is_memory or any(words in str(error) for words in NO_MEMORY)):
            raise
        batch_size = recipe.sampling.batch_size
        raise ModelError(
            f"a step of {recipe.model.backbone!r} on {batch_size} segments needs more memory than "
            f"there is; write sampling.batch_size = {max(1, batch_size // 2)} or less, or train "
            "on a machine with more; finished epochs are kept"
        ) from error


def find_lr(module: GenreModule, keeper: callbacks.Keeper) -> None:
    """Find the learning rate, if the recipe requests it, before several processes need it.

    Raises:
        ModelError: see lr_finder.find.
    """
    with process.training(module.recipe):
        _find_lr(module, keeper)


def _find_lr(module: GenreModule, keeper: callbacks.Keeper) -> None:
    if module.recipe.optimiser.lr == "find":
        options = _options(module.recipe) | ONE_DEVICE
        module.lr = lr_finder.find(module, keeper.folder, keeper.report, logger=False, **options)


def _options(recipe: Recipe) -> dict[str, Any]:
    return {
        "precision": precision(recipe),
        "reload_dataloaders_every_n_epochs": 1,
        "num_sanity_val_steps": 0,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }


def _load_best(module: GenreModule, path: Path) -> None:
    if not path.exists():
        raise ModelError(
            'no epoch had a finite validation loss; lower optimiser.lr, or write precision = "fp32"'
        )
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    module.kept_network.cpu().load_state_dict(state)
