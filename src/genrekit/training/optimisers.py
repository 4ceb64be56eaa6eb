"""Optimisers with separate rates for backbone and head, and their one-cycle schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR, SequentialLR

from genrekit.networks.heads import GenreNetwork

if TYPE_CHECKING:
    from genrekit.training.recipe import Optimiser, Schedule

MOMENTUM = 0.9


def make(
    network: nn.Module, settings: Optimiser, lr: float, is_fused: bool = False
) -> torch.optim.Optimizer:
    """Return the optimiser: one group for the head, one for a backbone that is trained.

    Args:
        network: what to train.
        settings: the recipe's.
        lr: the head's highest rate; the backbone's is settings.backbone_lr_ratio times it.
        is_fused: let Adam and AdamW step in one pass over the weights, in a third of the time.
    """
    groups: list[dict[str, Any]] = [{"params": list(network.parameters()), "lr": lr}]
    if isinstance(network, GenreNetwork) and any(True for _ in network.backbone.parameters()):
        groups = [
            {"params": list(network.head.parameters()), "lr": lr},
            {
                "params": list(network.backbone.parameters()),
                "lr": lr * settings.backbone_lr_ratio,
            },
        ]
    common: dict[str, Any] = {"lr": lr, "weight_decay": settings.weight_decay}
    if settings.name == "sgd":
        return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, **common)
    if settings.name == "adabound":
        from pytorch_optimizer import AdaBound

        optimiser: torch.optim.Optimizer = AdaBound(groups, weight_decouple=True, **common)
        return optimiser
    if settings.name == "adam":
        return torch.optim.Adam(groups, fused=is_fused, **common)
    return torch.optim.AdamW(groups, fused=is_fused, **common)


def cycles(optimiser: torch.optim.Optimizer, schedule: Schedule, n_steps: int) -> LRScheduler:
    """Return one cycle over all epochs, or one over the frozen epochs and one over the rest.

    With the constant shape every step has the highest rates.

    Args:
        optimiser: its groups have their highest rates.
        schedule: the recipe's.
        n_steps: per epoch.
    """
    rates = [group["lr"] for group in optimiser.param_groups]

    def cycle(n_epochs: int) -> LRScheduler:
        if schedule.shape == "constant":
            return ConstantLR(optimiser, factor=1.0)
        return OneCycleLR(
            optimiser,
            max_lr=rates,
            total_steps=n_epochs * n_steps,
            pct_start=schedule.warm_up,
        )

    if not schedule.frozen_epochs:
        return cycle(schedule.epochs)
    return SequentialLR(
        optimiser,
        [cycle(schedule.frozen_epochs), cycle(schedule.epochs)],
        milestones=[schedule.frozen_epochs * n_steps],
    )
