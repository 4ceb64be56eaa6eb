"""What is freed while a network trains stays with the process."""

from __future__ import annotations

import os
import platform
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
