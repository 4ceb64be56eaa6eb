"""What is freed while a network trains stays with the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genrekit.training import process

N_BYTES = 256 * 2**20

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kept_after_use() -> int:
    before = resident_bytes()
    block = np.ones(N_BYTES, np.uint8)
    del block
    return resident_bytes() - before


@glibc
def test_freed_memory_is_kept_inside_alone() -> None:
    assert kept_after_use() < N_BYTES / 2
    with process.kept_memory():
        assert kept_after_use() > N_BYTES / 2
        assert kept_after_use() < N_BYTES / 2  # the same block again
    assert kept_after_use() < N_BYTES / 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: object())
    with process.kept_memory():
        pass


TOO_LARGE = """
import resource
from pathlib import Path
from genrekit.errors import ModelError
from genrekit.training import recipe as recipes, smoke
from genrekit.training.run import TrainingRun

folder = Path("{folder}")
audio = smoke.write_audio(folder / "audio", 3.0)
values = ["model.backbone=cnn", "model.head=linear", "features.n_mels=512"]
recipe = recipes.load(None, values, str(audio))
run = TrainingRun(recipe, folder / "run", lambda line: None)
run.method  # imports torch before the limit
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20),) * 2)
try:
    run.train()
except ModelError as error:
    print(error)
"""


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts the memory by /proc")
def test_too_little_memory_is_a_sentence(tmp_path: Path) -> None:
    script = TOO_LARGE.format(folder=tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(
        "a step of 'cnn' on 64 segments needs more memory than there is; write "
        "sampling.batch_size = 32 or less"
    ), done.stdout + done.stderr
