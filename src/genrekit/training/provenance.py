"""The provenance of a result: versions, the commit of the source tree, the device, the time."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path

import torch

import genrekit


def describe() -> dict[str, str]:
    """Return the versions, the commit and the device that a run records."""
    return {
        "genrekit": genrekit.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "device": device(),
    }


def one_fit(began: float) -> str:
    """Return the cost of a fit without epochs that began at this value of time.perf_counter()."""
    return f"one fit of {time.perf_counter() - began:.1f} s on {device()}"


def commit() -> str:
    """Return the commit of the source tree; empty if it is not a checkout."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False
        )
    except OSError:  # git is not installed
        return ""
    return done.stdout.strip()


def device() -> str:
    """Return the device that computes, for cards and results."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()})"
