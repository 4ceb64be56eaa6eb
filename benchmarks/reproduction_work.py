"""Count what training each reproduction on the full data takes, and what one core does of it.

    python benchmarks/reproduction_work.py [--recipes recipes/reproductions] [--output results]

The operations of a segment's forward pass are counted on the recipe's own network with random
weights; a backward pass counts twice as much. GTZAN has 1000 tracks and FMA-small 8000, 30 s each,
of which 7 in 10 train. A core's speed is that of the forward and backward pass of a CNN, ResNet18
and EfficientNet-lite0 by the process's own time, so that other processes do not count.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from genrekit.files import write_beside
from genrekit.reproduction import costs
from genrekit.training import fit, network_method, provenance
from genrekit.training import recipe as recipes
from genrekit.training.recipe import Recipe

TRAINING_SHARE, TRACK_SECONDS = 0.7, 30.0
N_TRACKS = {"fma_small": 8000}
N_GTZAN_TRACKS = 1000
N_GENRES = 10
N_STEPS, BATCH = 8, 16
# Recipes whose network's speed is measured.
MEASURED = {
    "cnn": "s3-cnn",
    "resnet18": "s3-resnet18",
    "tf_efficientnet_lite0": "s4-lite0-3s-mel-prob",
}


def forward_gflop(recipe: Recipe) -> float:
    """Count one segment's forward pass."""
    plain = recipe.model.model_copy(update={"weights": "none"})
    spec = recipe.features
    network = network_method.build(recipe.model_copy(update={"model": plain}), spec, N_GENRES)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(torch.zeros(1, spec.n_bins, spec.n_frames))
    return counter.get_total_flops() / 1e9


def work(recipe: Recipe) -> costs.Work:
    """Return what all networks of a recipe take."""
    claim, schedule, spec = recipe.claim, recipe.schedule, recipe.features
    n_tracks = next((N_TRACKS[name] for name in claim.data if name in N_TRACKS), N_GTZAN_TRACKS)
    used = spec.used_seconds(TRACK_SECONDS)
    n_segments = n_tracks * max(1, round(used / spec.segment_hop_seconds))
    is_leaky = recipe.data.validation == "test"
    n_networks = claim.seeds * (1 if is_leaky else 3 + (claim.split == "segment"))
    forward = forward_gflop(recipe)
    n_epochs = recipe.early_stopping.least_epochs or schedule.epochs
    per_segment = 1.0 if recipe.model.is_frozen else schedule.frozen_epochs + 3.0 * n_epochs
    share = 1.0 if recipe.model.is_frozen else TRAINING_SHARE
    backbone = recipe.model.backbone
    return costs.Work(
        measured=backbone if backbone in MEASURED else "resnet18",
        n_networks=n_networks,
        n_epochs=schedule.frozen_epochs + n_epochs,
        n_segments=n_segments,
        pflop=round(forward * per_segment * share * n_segments * n_networks / 1e6, 4),
    )


def gflops_a_core(recipe: Recipe) -> float:
    """Measure a network's training step by the process's own time."""
    spec = recipe.features
    plain = recipe.model.model_copy(update={"weights": "none"})
    network = network_method.build(recipe.model_copy(update={"model": plain}), spec, N_GENRES)
    network.train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.randn(BATCH, spec.n_bins, spec.n_frames)
    is_bf16 = fit.precision(recipe) == "bf16-mixed"
    began = 0.0
    for step in range(N_STEPS + 1):
        if step == 1:  # the first one compiles
            began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            loss = network(inputs)[0].float().square().mean()
        loss.backward()
    seconds = time.process_time() - began
    return 3 * forward_gflop(recipe) * BATCH * N_STEPS / seconds


def main() -> None:
    """Count, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", type=Path, default=Path("recipes/reproductions"))
    parser.add_argument("--output", type=Path, default=Path("results"))
    options = parser.parse_args()
    loaded = [recipes.load(path) for path in sorted(options.recipes.glob("*.toml"))]
    networks = [recipe for recipe in loaded if not recipe.model.is_tabular]
    counted = costs.Counted(
        gflops_a_core={
            backbone: round(gflops_a_core(recipes.load(options.recipes / f"{name}.toml")), 1)
            for backbone, name in MEASURED.items()
        },
        machine=provenance.device(),
        work={recipe.name: work(recipe) for recipe in networks},
    )
    path = options.output / costs.FILE
    with write_beside(path, "w") as stream:
        stream.write(counted.model_dump_json(indent=1) + "\n")
    for name, its in counted.work.items():
        print(f"{name}: {its.n_networks} networks, {its.pflop:.3g} PFLOP")
    print(f"GFLOP/s a core: {counted.gflops_a_core}; wrote {path}")


if __name__ == "__main__":
    main()
