"""A block of memory shared by this process and its decoder process."""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES = 1 << 20  # a call costs more than to have less of them at hand
_N_BYTES = 4 * BLOCK_SAMPLES


class SharedBlock:
    """Samples that one process writes and the other reads, without a copy between them."""

    def __init__(self, descriptor: int) -> None:
        """Map the block that ``create`` made, here or in the other process."""
        self._floats = np.frombuffer(mmap.mmap(descriptor, _N_BYTES), np.float32)

    def rows(self, n_channels: int, n_samples: int) -> NDArray[np.float32] | None:
        """Return the block as shape (n_channels, n_samples); None where that does not fit."""
        if n_channels * n_samples > len(self._floats):
            return None
        return self._floats[: n_channels * n_samples].reshape(n_channels, n_samples)


def create() -> int | None:
    """Return the file descriptor of a new block; None where the system has no such memory.

    Raises:
        OSError: there is no memory for it.
    """
    if not hasattr(os, "memfd_create"):  # Windows and macOS, where samples go through the pipe
        return None
    import fcntl

    descriptor = os.memfd_create("genrekit-samples", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, _N_BYTES)
        # A block that the other process makes shorter would end this one.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
