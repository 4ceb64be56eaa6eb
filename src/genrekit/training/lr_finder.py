"""The learning-rate finder: raise the rate step by step and find where the loss falls fastest.

Source: Smith (2017), Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186,
section 3.3, as lightning implements it.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrekit import plotting
from genrekit.errors import ModelError
from genrekit.files import write_beside
from genrekit.networks import torchvision_shim  # noqa: F401 - lightning imports torchvision

import lightning.pytorch as pl  # isort: skip
from lightning.pytorch.tuner.tuning import Tuner  # isort: skip

if TYPE_CHECKING:
    from genrekit.training.module import GenreModule

LOWEST_LR, HIGHEST_LR = 1e-6, 1.0
N_STEPS = 100
FOUND, PLOT = "lr.json", "lr.png"


def find(
    module: GenreModule, folder: Path, report: Callable[[str], None], **trainer_options: Any
) -> float:
    """Return the suggested rate, and keep it with its curve in the run folder.

    The network is not changed. A folder that already has a rate keeps it, so that a resumed run
    continues with the rate it began with.

    Args:
        module: what will be trained.
        folder: where to write lr.json and lr.png.
        report: called with a line about the result.
        trainer_options: precision, gradient clipping and verbosity, as for the training.

    Raises:
        ModelError: the loss falls at no rate.
        OSError: the folder cannot be written.
    """
    kept = folder / FOUND
    if kept.exists():
        return float(json.loads(kept.read_text(encoding="utf-8"))["lr"])
    with tempfile.TemporaryDirectory(prefix="genrekit-") as scratch, _bar_on_a_terminal_only():
        trainer = pl.Trainer(
            max_epochs=-1, limit_val_batches=0, default_root_dir=scratch, **trainer_options
        )
        found = Tuner(trainer).lr_find(
            module, min_lr=LOWEST_LR, max_lr=HIGHEST_LR, num_training=N_STEPS, update_attr=False
        )
    lr = found.suggestion() if found else None
    if found is None or lr is None:
        raise ModelError(
            "the learning-rate finder found no rate at which the loss falls; write a number for "
            'optimiser.lr = "find"'
        )
    _draw(folder / PLOT, found.results, lr)
    with write_beside(kept, "w") as stream:
        json.dump({"lr": lr, "tried": found.results}, stream)
    report(f"the learning-rate finder suggests {lr:.2g} ({folder / PLOT})")
    return float(lr)


@contextmanager
def _bar_on_a_terminal_only() -> Iterator[None]:
    """Remove lightning's progress bar where it would be lines in a log."""
    if sys.stderr.isatty():
        yield
    else:
        with redirect_stderr(io.StringIO()):
            yield


def _draw(path: Path, results: dict[str, list[float]], lr: float) -> None:
    drawn = plotting.figure(5, 3.5)
    axes = drawn.subplots()
    axes.semilogx(results["lr"], results["loss"])
    axes.axvline(lr, color="tab:red", linestyle="--", label=f"suggestion {lr:.2g}")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("smoothed training loss")
    axes.legend()
    plotting.save(drawn, path, 110)
