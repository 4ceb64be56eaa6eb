"""Several processes train what one process trains, and none of them can hold up the others."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from genrekit.cli.main import build
from genrekit.errors import GenrekitError, RecipeError
from genrekit.models import registry
from genrekit.training import callbacks, curves, placement, smoke
from genrekit.training import recipe as recipes
from genrekit.training.batches import Batch, Share
from genrekit.training.placement import Placement
from genrekit.training.run import TrainingRun
from waiting import wait_for

DEADLINE_SECONDS = 900.0
# Batch norm, crops, masks, mixup, smoothing and a running average, but no dropout, which each
# process draws for its own rows. Plain gradient steps: Adam would divide rounding by rounding.
OPTIONS = [
    "model.backbone=cnn",
    "model.dropout=0.0",
    "precision=fp32",
    "optimiser.name=sgd",
    "optimiser.lr=0.01",
    "schedule.epochs=2",
    "schedule.ema_decay=0.5",
    "augmentation.random_crops=true",
    "augmentation.time_masks=1",
    "sampling.segments_per_track=3",
    "sampling.batch_size=5",
    "sampling.min_steps=4",
]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("ranks")
    tones = smoke.write_audio(folder / "tones", 4.0)
    return [*OPTIONS, f"data.source={tones}", f"data.cache={folder / 'cache'}"]


@pytest.fixture(scope="module")
def alone(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by one process."""
    folder = tmp_path_factory.mktemp("alone")
    TrainingRun(recipes.load(None, options), folder, print).train()
    return folder


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def say(path: Path, line: str, *, stop_at: str | None = None) -> None:
    """Keep a line; after the one that begins so, never come back."""
    with path.open("a") as stream:
        stream.write(line + "\n")
    while stop_at and line.startswith(stop_at):
        time.sleep(1.0)


def has(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


def numbers(folder: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Loss, nll, accuracy and rate of each epoch."""
    return np.loadtxt(folder / curves.METRICS, delimiter=",", skiprows=1, ndmin=2)[:, 1:5]


def same_model(folder: Path, other: Path) -> None:
    """Equal but for the order in which float32 numbers are added."""
    np.testing.assert_allclose(numbers(folder), numbers(other), rtol=1e-4)
    ours, theirs = (torch.load(run / callbacks.BEST) for run in (folder, other))
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_ranks_train_the_model_of_one(options: list[str], alone: Path, tmp_path: Path) -> None:
    recipe, log = recipes.load(None, options), tmp_path / "log"
    TrainingRun(recipe, tmp_path / "run", partial(say, log), placement=Placement(2)).train()
    epochs = [line[:12] for line in log.read_text().splitlines() if line.startswith("epoch")]
    assert epochs == ["epoch 1 of 2", "epoch 2 of 2"]
    check_two_ranks(tmp_path / "run", alone)


def check_two_ranks(out: Path, alone: Path) -> None:
    same_model(out, alone)
    card = registry.read(out / "model").card
    assert "by 2 processes on" in card.model_dump_json()
    assert json.loads((out / "run.json").read_text())["processes"] == 2
    assert not [path for path in out.rglob("*") if path.name.endswith(".part")]


@pytest.mark.full
def test_a_killed_rank_ends_the_run_and_two_ranks_go_on_to_the_model_of_one(
    options: list[str], alone: Path, tmp_path: Path
) -> None:
    recipe, log, out = recipes.load(None, options), tmp_path / "log", tmp_path / "run"

    def kill() -> None:
        wait_for(lambda: has(log, "epoch 1"), DEADLINE_SECONDS)
        ranks = set(multiprocessing.active_children()) - before
        os.kill(max(ranks, key=lambda process: process.pid or 0).pid or 0, signal.SIGKILL)

    before = set(multiprocessing.active_children())
    killer = threading.Thread(target=kill)
    killer.start()
    stuck = TrainingRun(recipe, out, partial(say, log, stop_at="epoch 1"), placement=Placement(2))
    with pytest.raises(
        GenrekitError, match=r"^process [12] of 2: .*SIGKILL; the last complete epoch"
    ):
        stuck.train()
    killer.join()
    assert not set(multiprocessing.active_children()) - before
    assert len(numbers(out)) == 1
    assert not (out / "model").exists()

    TrainingRun(recipe, out, partial(say, log), placement=Placement(2)).train()
    assert log.read_text().count("epoch 1 of 2") == 1
    assert log.read_text().count("epoch 2 of 2") == 1
    check_two_ranks(out, alone)


def test_the_ranks_rows_are_the_batch_and_weigh_as_the_batch() -> None:
    rows = torch.arange(7.0)
    batch = Batch(rows, rows, rows, rows)
    parts = [Share(rank, 3).of(batch) for rank in range(3)]
    assert torch.cat([part.inputs for part in parts]).tolist() == rows.tolist()
    mean = sum(float(part.hard.mean()) * part.weight for part in parts) / 3
    assert mean == pytest.approx(3.0)
    assert Share().of(batch) is batch


TORCHRUN = {
    "MASTER_ADDR": "first",
    "MASTER_PORT": "29500",
    "GROUP_RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "1",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RESTART_COUNT": "3",
}
BY_HAND = {"MASTER_ADDR": "first", "MASTER_PORT": "29500", "NODE_RANK": "2"}


def test_the_machines_are_known_by_torchruns_environment_or_by_hand() -> None:
    found = placement.find(4, environment=TORCHRUN)
    assert found == Placement(4, 2, 1, "first", 29500, is_hosted=True, attempt="3")
    assert (found.n_ranks, found.ranks) == (8, range(4, 8))
    assert str(found) == "8 processes on 2 machines"
    assert placement.find(1, 3, BY_HAND) == Placement(1, 3, 2, "first", 29500)
    # Variables of a job that is not ours do not make one machine several.
    assert placement.find(2, environment=BY_HAND | {"WORLD_SIZE": "8"}) == Placement(2)


@pytest.mark.parametrize(
    ("n_nodes", "environment", "sentence"),
    [
        (2, {}, "needs MASTER_ADDR, MASTER_PORT, NODE_RANK in the environment"),
        (3, TORCHRUN, "--nodes is 3, but torchrun runs on 2 machines"),
        (None, TORCHRUN | {"LOCAL_WORLD_SIZE": "8"}, "write --nproc-per-node 1"),
        (2, BY_HAND, "NODE_RANK is 2"),
        (
            2,
            BY_HAND | {"NODE_RANK": "0", "MASTER_PORT": "http"},
            "MASTER_PORT is 'http'; expected a number",
        ),
    ],
)
def test_a_contradicting_environment_is_refused(
    n_nodes: int | None, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        placement.find(1, n_nodes, environment)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--devices", "2"], "is frozen"),
        (["--devices", "2", "recipes/tabular"], "is frozen"),
        (["--devices", "2", "--folds", "3"], "omit --devices and --nodes"),
        (["--devices", "3", *OPTIONS], "3 processes need as many validation tracks"),
        (
            ["--devices", "2", *OPTIONS, "sampling.batch_size=1"],
            "2 processes need as many segments in the smallest batch",
        ),
        (["--nodes", "2"], "needs MASTER_ADDR"),
    ],
)
def test_what_several_processes_cannot_do_ends_in_one_sentence_and_2(
    arguments: list[str], sentence: str, options: list[str], tmp_path: Path
) -> None:
    if "recipes/tabular" in arguments:
        arguments = [*arguments[:-1], "model.backbone=tabular:svm", "features.kind=handcrafted"]
    done = CliRunner().invoke(
        build(), ["train", *arguments, *options[-2:], "-o", str(tmp_path / "run")]
    )
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert not (tmp_path / "run" / "model").exists()


def command(options: list[str], *more: str) -> list[str]:
    return [sys.executable, "-m", "genrekit", "train", *options, *more]


@pytest.mark.full
def test_ctrl_c_ends_all_ranks_and_says_how_to_go_on(options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command([*options, "schedule.epochs=500"], "-o", str(out), "--devices", "2"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    wait_for(lambda: has(out / curves.METRICS, "\n1,"), DEADLINE_SECONDS)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, printed = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert f"interrupted; to resume: genrekit train --resume {out}" in printed
    assert "Traceback" not in printed
    with pytest.raises(ProcessLookupError):
        wait_for(lambda: os.killpg(process.pid, 0) is not None, DEADLINE_SECONDS)
    assert not list(out.rglob("*.part"))


@pytest.mark.full
def test_two_machines_under_torchrun_train_what_one_process_trains(
    options: list[str], alone: Path, tmp_path: Path
) -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    out = tmp_path / "run"
    machines = [
        subprocess.Popen(
            command(options, "-o", str(out), "--nodes", "2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | TORCHRUN
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "GROUP_RANK": rank}
            | {"OMP_NUM_THREADS": "1"},
        )
        for rank in ("0", "1")
    ]
    printed = [machine.communicate(timeout=DEADLINE_SECONDS) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], printed
    assert printed[0][0].strip() == str(out / "model")
    assert not printed[1][0]
    same_model(out, alone)
