"""Train one network in several processes: lightning's DDP in ranks that this process supervises.

This process prepares everything and sends each rank the network and the location of its inputs;
the ranks step together over the same batches as a single process would, and the first writes
checkpoints. If one dies, all are ended and the reason is reported; the last complete epoch is on
the disk.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed, nn
from torch.distributed import FileStore, PrefixStore, TCPStore  # type: ignore[attr-defined]

from genrekit.errors import GenrekitError, RecipeError
from genrekit.networks import torchvision_shim  # noqa: F401 - lightning imports torchvision
from genrekit.training import batch_norm, callbacks, fit
from genrekit.training.batches import Share, TrainingBatches, ValidationTracks
from genrekit.training.module import GenreModule, of_all_ranks
from genrekit.training.placement import Placement
from genrekit.workers import Failure, Pool

from lightning.fabric.plugins.environments.lightning import LightningEnvironment  # isort: skip
from lightning.pytorch.strategies import DDPStrategy  # isort: skip

if TYPE_CHECKING:
    from genrekit.training.recipe import Recipe

# How long a rank waits for the others, at the start and in every step.
TIMEOUT = timedelta(minutes=30)
# A rank that loses the others waits, so that the one that died is reported first.
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class RankJob:
    """What a rank trains, and where the ranks meet: at a store's file, or without one at a port."""

    network: nn.Module
    recipe: Recipe
    batches: TrainingBatches
    validation: ValidationTracks
    folder: Path
    report: Callable[[str], None]
    placement: Placement
    n_threads: int
    meeting: str

    @property
    def digest(self) -> str:
        """What all machines must agree on: the recipe without its paths, and the tracks' labels."""
        fields = self.recipe.model_dump_json(exclude={"data"})
        targets = self.batches.targets.tobytes() + self.validation.targets.tobytes()
        return hashlib.sha256(fields.encode() + targets).hexdigest()


def train(module: GenreModule, keeper: callbacks.Keeper, placement: Placement) -> None:
    """Train with this machine's processes; afterwards the checkpoints are in the keeper's folder.

    Args:
        module: what to train; it is not changed.
        keeper: names the run's folder. Its report is called in the first rank.
        placement: the number of processes, and which of them are on this machine.

    Raises:
        RecipeError: more processes than GPUs, segments in a batch, or validation tracks.
        GenrekitError: a rank failed or died, with the reason.
        KeyboardInterrupt: after Ctrl-C.
    """
    _check(module, placement)
    if not placement.node_rank:
        fit.find_lr(module, keeper)
    try:
        with ExitStack() as stack:
            job = RankJob(
                module.network,
                module.recipe,
                module.batches,
                module.validation,
                keeper.folder,
                keeper.report,
                placement,
                max(1, torch.get_num_threads() // placement.n_devices),
                _meet(placement, stack),
            )
            pool = Pool(
                partial(_start, job),
                placement.n_devices,
                item_seconds=math.inf,
                start_seconds=TIMEOUT.total_seconds(),
            )
            for outcome in stack.enter_context(pool).map(placement.ranks, in_order=False):
                if isinstance(outcome, Failure):
                    raise GenrekitError(_sentence(outcome, placement, keeper.folder))
    finally:
        for part in (keeper.folder / callbacks.LAST).parent.glob(".*.part"):
            part.unlink(missing_ok=True)  # a rank was ended while writing it


def _check(module: GenreModule, placement: Placement) -> None:
    n_ranks, n_gpus = placement.n_ranks, torch.cuda.device_count()
    if n_gpus and placement.n_devices > n_gpus:
        raise RecipeError(f"--devices is {placement.n_devices}; this machine has {n_gpus} GPUs")
    for what, n_there in (
        ("segments in the smallest batch (sampling.batch_size)", module.batches.n_fewest),
        ("validation tracks", len(module.validation.targets)),
    ):
        if n_there < n_ranks:
            raise RecipeError(
                f"{n_ranks} processes need as many {what}, but there are {n_there}; use fewer "
                "processes"
            )


def _meet(placement: Placement, stack: ExitStack) -> str:
    """Open the store where the ranks meet, while the stack is open; return its file."""
    if placement.n_nodes == 1:  # so that no port is open to the network
        return str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "store")
    if not (placement.is_hosted or placement.node_rank):
        try:
            store = _port(placement, is_host=True)
        except RuntimeError as error:
            raise GenrekitError(
                f"port {placement.port} of this machine cannot be opened: {error}"
            ) from error
        stack.callback(lambda: store)  # lives as long as the stack
    return ""


def _port(placement: Placement, is_host: bool = False) -> Any:
    return TCPStore(
        placement.address, placement.port, None, is_host, TIMEOUT, wait_for_workers=False
    )


def _sentence(failure: Failure[int], placement: Placement, folder: Path) -> str:
    return (
        f"process {failure.item + 1} of {placement.n_ranks}: {failure.message}; the last complete "
        f"epoch is kept: to resume, genrekit train --resume {folder} with the same options"
    )


def _start(job: RankJob) -> Callable[[int], None]:
    return partial(_live, job)


def _live(job: RankJob, rank: int) -> None:
    """Run one rank, from joining the others to the last epoch."""
    try:
        _join(job, rank)
        keeper = fit.keeper_of(job.recipe, job.folder, job.report)
        fit.restore(keeper, job.recipe.schedule.n_epochs)
        if len(set(of_all_ranks([(job.digest, len(keeper.rows))]))) > 1:
            raise RecipeError(
                "the machines have different recipes, tracks or checkpoints; give all the same "
                "ones, and a run folder that all of them share"
            )
        _train(job, keeper, Share(rank, job.placement.n_ranks))
    except RuntimeError as error:  # raised by torch when another rank is gone, among others
        time.sleep(GRACE_SECONDS)
        raise GenrekitError(" ".join(f"{type(error).__name__}: {error}".split())) from error


def _join(job: RankJob, rank: int) -> None:
    """Join the other ranks."""
    placement = job.placement
    local_rank = rank - placement.ranks.start
    os.environ |= {"LOCAL_RANK": str(local_rank), "NODE_RANK": str(placement.node_rank)}
    torch.set_num_threads(job.n_threads)
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl"
    if job.meeting:
        store: Any = FileStore(job.meeting, placement.n_ranks)
    else:
        store = PrefixStore(f"genrekit-{placement.attempt}", _port(placement))
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=placement.n_ranks, timeout=TIMEOUT
    )


def _train(job: RankJob, keeper: callbacks.Keeper, share: Share) -> None:
    recipe, placement = job.recipe, job.placement
    module = GenreModule(
        batch_norm.spread(job.network),
        recipe,
        replace(job.batches, share=share),
        replace(job.validation, share=share),
    )
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(),
        timeout=TIMEOUT,
        # The running statistics of the global batch norms are already equal in all ranks.
        broadcast_buffers=False,
        find_unused_parameters=bool(recipe.schedule.frozen_epochs),
    )
    fit.train_here(
        module,
        keeper,
        strategy=strategy,
        devices=placement.n_devices,
        num_nodes=placement.n_nodes,
        use_distributed_sampler=False,
    )
