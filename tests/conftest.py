"""What every test may use: made signals, made audio, the shared data where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

# Scripts that make golden files: they need librosa and hold no tests.
collect_ignore_glob = ["golden/make_*.py"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The third-party data beside the checkout; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED


@pytest.fixture
def tone() -> np.ndarray:
    """Five seconds of a 440 Hz tone at 22,050 Hz, shape (1, samples)."""
    time = np.arange(5 * 22050) / 22050
    return (0.5 * np.sin(2 * np.pi * 440 * time))[None].astype(np.float32)
