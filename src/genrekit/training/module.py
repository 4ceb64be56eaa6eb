"""The lightning module: loss, optimiser, and validation computed as in inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genrekit.networks import torchvision_shim  # noqa: F401 - lightning imports torchvision

import lightning.pytorch as pl  # isort: skip

from genrekit import metrics
from genrekit.inference.aggregation import segment_probabilities, track_probabilities
from genrekit.training import optimisers

if TYPE_CHECKING:
    from genrekit.training.batches import (
        Batch,
        Epoch,
        TrainingBatches,
        ValidationTrack,
        ValidationTracks,
    )
    from genrekit.training.recipe import Recipe


class GenreModule(pl.LightningModule):
    """Trains any network that maps inputs to (logits, embedding)."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        batches: TrainingBatches,
        validation: ValidationTracks,
    ) -> None:
        """Train this network in place."""
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.batches = batches
        self.validation = validation
        lr = recipe.optimiser.lr
        self.lr = 1.0 if lr == "find" else lr  # the finder sets it before training
        decay = recipe.schedule.ema_decay
        self.average = (
            AveragedModel(network, multi_avg_fn=_ema(decay), use_buffers=True) if decay else None
        )
        if self.average:
            self.average.requires_grad_(False)
        self._predictions: list[tuple[NDArray[np.float64], int]] = []

    @property
    def kept_network(self) -> nn.Module:
        """The network to validate and export: the running average if there is one."""
        return self.average.module if self.average else self.network

    def train_dataloader(self) -> Epoch:
        """Return this epoch's batches; the trainer calls this every epoch."""
        return self.batches.epoch(self.current_epoch)

    def val_dataloader(self) -> ValidationTracks:
        """Return the validation tracks."""
        return self.validation

    def on_train_epoch_start(self) -> None:
        """Make dropout a function of the seed and the epoch, so that a resumed run repeats it.

        During schedule.frozen_epochs only the head is trained. Each of several processes has its
        own dropout.
        """
        frozen_epochs = self.recipe.schedule.frozen_epochs
        if frozen_epochs:
            self.network.backbone.requires_grad_(self.current_epoch >= frozen_epochs)
        own = (self.global_rank,) if self.global_rank else ()
        seeds = np.random.SeedSequence((self.recipe.seed, self.current_epoch, *own))
        torch.manual_seed(seeds.generate_state(1)[0])

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of one batch, or of this process's rows of it."""
        del index
        logits, _ = self.network(batch.inputs)
        loss = distillation_loss(logits.float(), batch, self.recipe.teacher.temperature)
        self.log(
            "train_loss",
            loss,
            on_step=False,
            on_epoch=True,
            batch_size=len(logits),
            sync_dist=self.batches.share.n_ranks > 1,
        )
        return loss * batch.weight

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the running average."""
        if self.average:
            self.average.update_parameters(self.network)

    def validation_step(self, track: ValidationTrack, index: int) -> None:
        """Predict one track from all its segments and keep its probabilities."""
        del index
        logits = self.kept_network(track.inputs)[0].float().cpu().numpy()
        rows = segment_probabilities(logits)
        self._predictions.append(
            (track_probabilities(rows, self.recipe.aggregation), int(track.target))
        )

    def on_validation_epoch_end(self) -> None:
        """Log the negative log-likelihood and accuracy of all processes' tracks."""
        predictions = of_all_ranks(self._predictions)
        probabilities = np.stack([predicted for predicted, _ in predictions])
        true = np.array([target for _, target in predictions])
        self._predictions.clear()
        self.log("nll", float(metrics.log_losses(probabilities, true).mean()))
        self.log("accuracy", float((probabilities.argmax(1) == true).mean()))

    def configure_optimizers(self) -> Any:
        """Return the optimiser with its one cycle, or two if the backbone is frozen at first.

        Source: Smith & Topin (2018), Super-Convergence, arXiv:1708.07120.
        """
        # A fused optimiser undoes fp16's scaling itself, so gradients cannot be clipped before.
        is_fused = self.recipe.precision != "fp16"
        optimiser = optimisers.make(self.network, self.recipe.optimiser, self.lr, is_fused)
        schedule, n_steps = self.recipe.schedule, self.batches.n_steps
        cycle = optimisers.cycles(optimiser, schedule, n_steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip the gradient's norm; lightning's method refuses fused optimisers."""
        clip = self.recipe.optimiser.clip
        if clip:
            weights = [w for group in optimizer.param_groups for w in group["params"]]
            nn.utils.clip_grad_norm_(weights, clip, foreach=True)


def of_all_ranks(values: list[Any]) -> list[Any]:
    """Return the values of all processes, in the order of their ranks."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return list(values)
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def _ema(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]


def distillation_loss(logits: Tensor, batch: Batch, temperature: float) -> Tensor:
    """Return the mean loss against the labels and, with the remaining weight, the teacher.

    Args:
        logits: shape (batch, n_labels).
        batch: its soft targets are the teacher's probabilities at this temperature.
        temperature: the teacher's part is multiplied by its square, which preserves the size of
            its gradient.

    Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network, arXiv:1503.02531.
    """
    hard = -(batch.hard * functional.log_softmax(logits, 1)).sum(1)
    log_soft = functional.log_softmax(logits / temperature, 1)
    # Kullback-Leibler divergence; with xlogy 0 ln 0 is zero.
    soft = (torch.xlogy(batch.soft, batch.soft) - batch.soft * log_soft).sum(1)
    weighted = batch.hard_weight * hard + (1 - batch.hard_weight) * temperature**2 * soft
    return weighted.mean()
