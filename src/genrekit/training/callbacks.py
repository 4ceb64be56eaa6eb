"""Callbacks of the training loop: checkpoints, early stopping, the log, the progress bar."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from genrekit.files import write_beside
from genrekit.networks import torchvision_shim  # noqa: F401 - lightning imports torchvision
from genrekit.progress import progress
from genrekit.training import curves

import lightning.pytorch as pl  # isort: skip
from lightning.pytorch.plugins.io import TorchCheckpointIO  # isort: skip

if TYPE_CHECKING:
    from genrekit.training.module import GenreModule
    from genrekit.training.recipe.schema import EarlyStopping

LAST = "checkpoints/last.ckpt"
BEST = "checkpoints/best.pt"
COLUMNS = ("epoch", "train_loss", "nll", "accuracy", "lr", "seconds", "waiting_share")


class WriteBeside(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file, then renames it, so that none is ever partial."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint of tensors and plain values."""
        del storage_options
        save(checkpoint, Path(path))


def save(content: Any, path: Path) -> None:
    """Write a file for torch.load(weights_only=True).

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()  # torch's writer hides a full disk behind a RuntimeError
    torch.save(content, buffer)
    with write_beside(path) as stream:
        stream.write(buffer.getbuffer())


class Keeper(pl.Callback):
    """Keeps the best weights, stops early, logs each epoch and writes the checkpoint to resume."""

    def __init__(
        self, folder: Path, stopping: EarlyStopping, report: Callable[[str], None]
    ) -> None:
        """Prepare for a run.

        Args:
            folder: the run folder.
            stopping: when to stop, and which epoch's weights to keep.
            report: called with one line per epoch.
        """
        self.folder = folder
        self.stopping = stopping
        self.report = report
        self.best = -math.inf
        self.n_worse = 0
        self.rows: list[dict[str, float]] = []
        self._epoch_started = self._step_ended = self._waited = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {"best": self.best, "n_worse": self.n_worse, "rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by state_dict."""
        self.best, self.n_worse = state["best"], state["n_worse"]
        self.rows = list(state["rows"])

    @property
    def gave_up(self) -> bool:
        """Whether patience has run out, after the minimum number of epochs."""
        patience = self.stopping.patience
        is_long_enough = len(self.rows) >= self.stopping.least_epochs
        return bool(patience) and self.n_worse >= patience and is_long_enough

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        del trainer, module
        self._epoch_started = self._step_ended = time.perf_counter()
        self._waited = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Count the time since the end of the last step as waiting for data."""
        self._waited += time.perf_counter() - self._step_ended

    def on_train_batch_end(self, *_: Any) -> None:
        """Start waiting."""
        self._step_ended = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch's row, its weights if they are the best, and the checkpoint."""
        row = self._row(trainer)
        self.rows.append(row)
        monitor = self.stopping.monitor
        value = row[monitor] if monitor == "accuracy" else -row[monitor]
        is_best = value > self.best
        self.best, self.n_worse = (value, 0) if is_best else (self.best, self.n_worse + 1)
        is_kept = is_best or (self.stopping.keep == "last" and math.isfinite(value))
        if is_kept and trainer.is_global_zero:
            save(cast("GenreModule", module).kept_network.state_dict(), self.folder / BEST)
        trainer.should_stop = trainer.should_stop or self.gave_up
        if trainer.is_global_zero:
            curves.write(self.folder / curves.METRICS, self.rows, COLUMNS)
        trainer.save_checkpoint(self.folder / LAST)  # all take part, the first writes
        if trainer.is_global_zero:
            self.report(_line(row, trainer.max_epochs or 0, is_best))

    def _row(self, trainer: pl.Trainer) -> dict[str, float]:
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k in COLUMNS}
        seconds = time.perf_counter() - self._epoch_started
        return {
            "epoch": trainer.current_epoch + 1,
            **metrics,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "seconds": round(seconds, 2),
            "waiting_share": round(self._waited / seconds, 3),
        }


def _line(row: dict[str, float], n_epochs: int, is_best: bool) -> str:
    return (
        f"epoch {row['epoch']:.0f} of {n_epochs}: loss {row['train_loss']:.3f}, validation nll "
        f"{row['nll']:.3f}, accuracy {100 * row['accuracy']:.1f} %, {row['seconds']:.0f} s"
        + (" (best)" if is_best else "")
    )


class Bar(pl.Callback):
    """A progress bar over all epochs with the time left, on a terminal and in one process only."""

    def __init__(self) -> None:
        self._shown = ExitStack()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the bar, from where a resumed run starts."""
        total = (trainer.max_epochs or 0) * cast("GenreModule", module).batches.n_steps
        bar = progress("training", total, shown=trainer.is_global_zero)
        self._advance = self._shown.enter_context(bar)
        self._advance(trainer.global_step)

    def on_train_batch_end(self, *_: Any) -> None:
        """Advance by one step."""
        self._advance()

    def on_train_end(self, *_: Any) -> None:
        """Remove the bar."""
        self._shown.close()

    def on_exception(self, *_: Any) -> None:
        """Remove the bar."""
        self._shown.close()
