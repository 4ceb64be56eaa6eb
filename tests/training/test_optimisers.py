"""Rates of backbone and head, one cycle and two, and the learning-rate finder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from genrekit.errors import RecipeError
from genrekit.networks.heads import GenreNetwork, Head
from genrekit.training import fit, optimisers, smoke
from genrekit.training import recipe as recipes
from genrekit.training.callbacks import Keeper
from genrekit.training.recipe import Optimiser, Schedule
from genrekit.training.recipe.schema import EarlyStopping
from genrekit.training.run import TrainingRun


def network() -> GenreNetwork:
    return GenreNetwork(nn.Linear(4, 3), Head(3, 2))


@pytest.mark.parametrize("name", ["adamw", "adam", "adabound", "sgd"])
def test_the_backbone_learns_at_its_own_rate(name: str) -> None:
    settings = Optimiser(name=name, lr=0.1, backbone_lr_ratio=0.01)
    optimiser = optimisers.make(network(), settings, 0.1)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.1, 0.001])
    assert len(optimiser.param_groups[1]["params"]) == 2


def test_a_head_alone_is_one_group() -> None:
    alone = GenreNetwork(nn.Identity(), Head(3, 2))
    assert len(optimisers.make(alone, Optimiser(), 0.1).param_groups) == 1


@pytest.mark.parametrize("name", ["adamw", "adam", "adabound", "sgd"])
def test_every_optimiser_goes_downhill(name: str) -> None:
    torch.manual_seed(0)
    learner = GenreNetwork(nn.Identity(), Head(2, 2))
    inputs = torch.randn(64, 2)
    targets = (inputs[:, 0] > 0).long()
    optimiser = optimisers.make(learner, Optimiser(name=name, weight_decay=0.0), 0.05)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(learner(inputs)[0], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_a_fused_step_is_the_same_step(name: str) -> None:
    learners = []
    for is_fused in (False, True):
        torch.manual_seed(0)
        learner = GenreNetwork(nn.Identity(), Head(2, 2))
        optimiser = optimisers.make(learner, Optimiser(name=name), 0.05, is_fused)
        for _ in range(5):
            optimiser.zero_grad()
            learner(torch.ones(4, 2))[0].square().sum().backward()
            optimiser.step()
        learners.append(torch.cat([weight.flatten() for weight in learner.parameters()]))
    torch.testing.assert_close(*learners)


def test_a_constant_rate_stays() -> None:
    schedule = Schedule(shape="constant", epochs=2, frozen_epochs=1)
    assert rates(schedule, 3) == [1.0] * 9


def test_patience_waits_for_the_least_epochs(tmp_path: Path) -> None:
    stopping = EarlyStopping(patience=2, least_epochs=4)
    keeper = Keeper(tmp_path, stopping, lambda line: None)
    gave_up = []
    for epoch in range(5):
        keeper.rows.append({"epoch": epoch})
        keeper.n_worse = epoch
        gave_up.append(keeper.gave_up)
    assert gave_up == [False, False, False, True, True]


def rates(schedule: Schedule, n_steps: int) -> list[float]:
    optimiser = optimisers.make(network(), Optimiser(name="sgd"), 1.0)
    cycle = optimisers.cycles(optimiser, schedule, n_steps)
    found = []
    for _ in range(schedule.n_epochs * n_steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        cycle.step()
    return found


def test_one_cycle_rises_and_falls() -> None:
    found = rates(Schedule(epochs=4, warm_up=0.25), 10)
    top = int(np.argmax(found))
    assert found[top] == pytest.approx(1.0, rel=0.02)
    assert top == pytest.approx(10, abs=1)
    assert np.all(np.diff(found[: top + 1]) > 0)
    assert np.all(np.diff(found[top:]) < 0)


def test_frozen_epochs_have_a_cycle_of_their_own() -> None:
    both = rates(Schedule(epochs=3, frozen_epochs=2, warm_up=0.3), 10)
    assert both[:20] == pytest.approx(rates(Schedule(epochs=2, warm_up=0.3), 10))
    assert both[20:] == pytest.approx(rates(Schedule(epochs=3, warm_up=0.3), 10))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smoke.write_audio(tmp_path_factory.mktemp("tones"), 4.0)


def run(tones: Path, folder: Path, *options: str) -> TrainingRun:
    small = [
        "model.backbone=cnn",
        "model.head=linear",
        "precision=fp32",
        "sampling.segments_per_track=1",
        "sampling.batch_size=4",
        "sampling.min_steps=1",
        f"data.source={tones}",
        f"data.cache={tones.parent / 'cache'}",
    ]
    return TrainingRun(recipes.load(None, [*small, *options]), folder, lambda line: None)


def test_a_frozen_backbone_keeps_its_weights_and_then_learns(tones: Path, tmp_path: Path) -> None:
    """After the frozen epochs alone, only the head differs from a network that never learnt."""
    kept = weights_by_epoch(run(tones, tmp_path, "schedule.frozen_epochs=1", "schedule.epochs=1"))
    untrained = {k: v for k, v in kept[0].items() if "running" not in k and "batches" not in k}
    for name, tensor in untrained.items():
        is_head = name.startswith("head.layers")
        assert torch.equal(kept[1][name], tensor) == (not is_head or "running" in name), name
    assert any(
        not torch.equal(kept[2][name], tensor)
        for name, tensor in untrained.items()
        if name.startswith("backbone.")
    )


def weights_by_epoch(first: TrainingRun) -> dict[int, dict[str, torch.Tensor]]:
    """Train two epochs; return copies of the weights before them and after each."""
    from genrekit.training.module import GenreModule

    original, kept = GenreModule.on_train_epoch_start, {}

    def spy(module: GenreModule) -> None:
        kept.setdefault(module.current_epoch, copy(module))
        original(module)

    def copy(module: GenreModule) -> dict[str, torch.Tensor]:
        return {k: v.clone() for k, v in module.network.state_dict().items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GenreModule, "on_train_epoch_start", spy)
        patch.setattr(GenreModule, "on_train_end", lambda module: kept.setdefault(2, copy(module)))
        first.train()
    return kept


@pytest.mark.slow
@pytest.mark.untraced
def test_the_finder_keeps_its_suggestion_and_its_curve(tones: Path, tmp_path: Path) -> None:
    short = ("features.segment_seconds=0.5", "features.segment_hop_seconds=0.5")
    found = run(tones, tmp_path, "optimiser.lr=find", "schedule.epochs=1", *short)
    found.train()
    kept = json.loads((tmp_path / "lr.json").read_text())
    assert 1e-6 < kept["lr"] < 1
    assert len(kept["tried"]["lr"]) > 10
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents*"))


def test_half_precision_needs_a_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RecipeError, match='"fp16" needs a GPU; write "auto"'):
        fit.precision(recipes.load(None, ["precision=fp16"]))


@pytest.mark.parametrize("value", ["-1", "fast", "true"])
def test_a_wrong_rate_is_named_in_one_sentence(value: str) -> None:
    with pytest.raises(RecipeError, match=r"^optimiser\.lr = .*: Input should .*, or: Input"):
        recipes.load(None, [f"optimiser.lr={value}"])


def test_a_backbone_frozen_for_good_has_no_frozen_epochs() -> None:
    with pytest.raises(RecipeError, match=r"always frozen; omit schedule\.frozen_epochs"):
        recipes.load(None, ["schedule.frozen_epochs=3"])
