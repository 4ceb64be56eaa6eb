"""What a training step costs beside the bare network, and how much of it waits for data.

    python benchmarks/training.py [--epochs 4] [--steps 12] [--threads 1]

A CNN, ResNet18 and EfficientNet-lite0 are trained from random weights over 3-s mel spectrograms of
made audio, with the crops, masks and mixup of recipes/cnn.toml, by the trainer of `genrekit train`;
in turn with every epoch, as many bare passes of the same network are taken: forward, loss and
backward, on one batch, in the same precision and memory layout. The table has the median step of
all epochs but the first, by the process's own time, which other processes do not change, and the
share of the wall time that a step waits for its batch. A step has the optimiser and the batch, too.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from genrekit.training import data, fit, process, smoke
from genrekit.training import recipe as recipes
from genrekit.training.batches import Batch, ValidationTracks
from genrekit.training.callbacks import Keeper
from genrekit.training.methods import RunContext
from genrekit.training.module import GenreModule, distillation_loss
from genrekit.training.network_method import NetworkMethod
from genrekit.training.recipe import Recipe

NETWORKS = ("cnn", "resnet18", "tf_efficientnet_lite0")
BATCH_SIZE = 32
LARGEST_RATIO, LARGEST_WAIT = 1.1, 0.05


class Clock(Keeper):
    """A keeper that also keeps every step's times, and takes bare passes after each epoch."""

    def __init__(self, *settings: Any, module: GenreModule) -> None:
        super().__init__(*settings)
        self.bare_network: Any = copy.deepcopy(module.network)
        self.bare_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps: list[list[float]] = []
        self.bare: list[list[float]] = []
        self.waits: list[float] = []
        self._cpu = self._wall = self._ready = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Start the epoch's lists."""
        super().on_train_epoch_start(trainer, module)
        self.steps.append([])
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def on_train_batch_start(self, *arguments: Any) -> None:
        """Note when the batch had come."""
        super().on_train_batch_start(*arguments)
        self._ready = time.perf_counter()

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Note what the step took, its batch included."""
        super().on_train_batch_end(*arguments)
        cpu, wall = time.process_time(), time.perf_counter()
        self.steps[-1].append(cpu - self._cpu)
        self.waits.append((self._ready - self._wall) / (wall - self._wall))
        self._cpu, self._wall = cpu, wall

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Take as many bare passes as the epoch had steps."""
        super().on_train_epoch_end(trainer, module)
        batch = next(iter(module.batches.epoch(0)))
        self.bare.append([self._pass(batch, module.recipe) for _ in self.steps[-1]])

    def _pass(self, batch: Batch, recipe: Recipe) -> float:
        network = self.bare_network.train()
        network.zero_grad()
        began = time.process_time()
        is_bf16 = fit.precision(recipe) == "bf16-mixed"
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            logits = network(batch.inputs)[0]
        loss: Any = distillation_loss(logits.float(), batch, recipe.teacher.temperature)
        loss.backward()
        return time.process_time() - began


def measure(recipe: Recipe, folder: Path) -> tuple[float, float, float]:
    """Return a step's and a bare pass's seconds, and the share of waiting."""
    method = NetworkMethod(RunContext(recipe, folder, lambda line: None))
    prepared = data.prepare(recipe)
    method.prepare(prepared)
    validation = ValidationTracks(
        method.source(prepared.validation), prepared.targets(prepared.validation)
    )
    module = GenreModule(method.network, recipe, method.batches(prepared), validation)
    clock = Clock(folder, recipe.early_stopping, lambda line: None, module=module)
    with process.training(recipe):
        fit.train_here(module, clock)
    later = [value for epoch in clock.steps[1:] for value in epoch]
    bare = [value for epoch in clock.bare[1:] for value in epoch]
    waits = clock.waits[len(clock.steps[0]) :]
    return statistics.median(later), statistics.median(bare), statistics.mean(waits)


def main() -> int:
    """Print the table; 1 where a step is too slow or waits too long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=Path("recipes/cnn.toml"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    failed = False
    print("| network | precision | step, ms | bare pass, ms | ratio | waiting |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        audio = smoke.write_audio(Path(scratch) / "audio", 30.0)
        for network in NETWORKS:
            values = {
                "model.backbone": network,
                "data.source": str(audio),
                "data.cache": str(Path(scratch) / "cache"),
                "data.validation": "cut",
                "schedule.epochs": options.epochs,
                "sampling.batch_size": BATCH_SIZE,
                "sampling.min_steps": options.steps,
                "sampling.segments_per_track": 1,
            }
            recipe = recipes.with_values(recipes.load(options.recipe), values)
            step, bare, wait = measure(recipe, Path(scratch) / network)
            failed |= step > LARGEST_RATIO * bare or wait > LARGEST_WAIT
            cells = (1e3 * step, 1e3 * bare, step / bare, 100 * wait)
            shown = "| {:.1f} | {:.1f} | {:.2f} | {:.1f} % |".format(*cells)
            print(f"| {network} | {fit.precision(recipe)} {shown}", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
