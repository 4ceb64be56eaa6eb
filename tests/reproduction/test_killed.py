"""kill -9 at any point: the same command goes on to the result of a run that nothing stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrekit.cli.main import build
from genrekit.training import smoke
from waiting import wait_for

SECONDS = 120
CLAIM = """# Made for tests.
name = "made"
description = "Made."

[claim]
source = "Somebody"
method = "Something."
split = "track"
level = "segment"
seeds = 2
"""
TABULAR = """
[features]
kind = "handcrafted"
segment_seconds = 1.0
segment_hop_seconds = 1.0

[model]
backbone = "tabular:logistic"
"""
NETWORK = """
[features]
sample_rate = 8000
n_fft = 512
hop_length = 256
n_mels = 32
segment_seconds = 1.0
segment_hop_seconds = 1.0

[model]
backbone = "cnn"
head = "linear"
{model}
[schedule]
epochs = 3
{schedule}
[sampling]
balance = "none"
every_segment = true
batch_size = 8

[early_stopping]
patience = 0
keep = "last"
{optimiser}"""
PHASES = '\n[optimiser]\nname = "adabound"\nlr = "find"\n'
RECIPES = {
    "tabular": TABULAR,
    "frozen": NETWORK.format(model="freeze = true\n", schedule="", optimiser=""),
    "network": NETWORK.format(model="", schedule='shape = "constant"\n', optimiser=""),
    "phases": NETWORK.format(model="", schedule="frozen_epochs = 1\n", optimiser=PHASES),
}
# What is there when the kill comes: in the middle of the first protocol, or between two.
BY_KIND = {
    "tabular": "results/made.json",
    "frozen": "runs/*/source/*/checkpoints/last.ckpt",
    "network": "runs/*/source/*/checkpoints/last.ckpt",
    "phases": "runs/*/source/*/lr.json",
}


def command(folder: Path, data: Path) -> list[str]:
    places = [f"--{key}={folder / key}" for key in ("recipes", "runs")]
    places += [f"--output={folder / 'results'}", f"--page={folder / 'page.md'}", f"--data={data}"]
    return [sys.executable, "-m", "genrekit", "reproduce", "made", *places]


def started(folder: Path, data: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command(folder, data), stdout=log, stderr=log, env=environment)


def finish(folder: Path, data: Path, kind: str) -> None:
    """Run the command to its end: in this process, where no network has to have its one thread."""
    if kind == "tabular":
        done = CliRunner().invoke(build(), command(folder, data)[3:])
        assert done.exit_code == 0, done.output
    else:
        assert started(folder, data).wait(SECONDS) == 0, (folder / "log").read_text()


def scores(folder: Path) -> dict[str, object]:
    """The result without what differs from run to run: the time."""
    content = json.loads((folder / "results/made.json").read_text(encoding="utf-8"))
    for measured in content["measurements"].values():
        del measured["seconds"]
        for key in ("seconds", "waiting_share"):
            (measured["training"] or {}).pop(key, None)
    return dict(content)


def with_recipe(folder: Path, kind: str) -> Path:
    (folder / "recipes").mkdir(parents=True)
    cache = f'\n[data]\ncache = "{folder.parent / "cache"}"\n'
    (folder / "recipes/made.toml").write_text(CLAIM + cache + RECIPES[kind], encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["tabular", *(pytest.param(k, marks=pytest.mark.full) for k in RECIPES if k != "tabular")],
)
def test_a_killed_reproduction_goes_on_to_the_same_result(kind: str, tmp_path: Path) -> None:
    data = smoke.write_audio(tmp_path / "data", 3.0)
    killed, whole = (with_recipe(tmp_path / name, kind) for name in ("killed", "whole"))
    process = started(killed, data)
    wait_for(lambda: process.poll() is not None or list(killed.glob(BY_KIND[kind])), SECONDS, 0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (killed / "log").read_text()
    done = killed / "results/made.json"
    if done.exists():
        assert len(json.loads(done.read_text())["measurements"]) < 2
    for folder in (killed, whole):
        finish(folder, data, kind)
    assert list(scores(whole)["measurements"]) == ["source", "source, seed 1"]  # type: ignore[call-overload]
    assert scores(killed) == scores(whole)
