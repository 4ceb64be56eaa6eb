"""The setup of the process while a network trains: memory, threads, Ctrl-C and warnings."""

from __future__ import annotations

import ctypes
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from genrekit.training.recipe import Recipe

# glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
ALWAYS_KEEP, NEVER_MAP = -1, 0
DEFAULT_TRIM_BYTES, DEFAULT_MMAP_MAX = 128 * 1024, 65536


@contextmanager
def training(recipe: Recipe) -> Iterator[None]:
    """Set the process up to train a recipe, and restore it afterwards."""
    n_threads = 1 if recipe.model.is_frozen else torch.get_num_threads()
    with _quiet(), _interruptible(), _threads(n_threads), kept_memory():
        yield


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let glibc's malloc keep freed memory.

    By default glibc maps every large block and returns it to the system when it is freed. A
    network's activations are such blocks: the system fills them with zeros in every step, which
    took more than half of the time of training a CNN on spectrograms of 30 s.

    Source: mallopt(3).
    """
    mallopt = _mallopt()
    mallopt(M_TRIM_THRESHOLD, ALWAYS_KEEP)
    mallopt(M_MMAP_MAX, NEVER_MAP)
    try:
        yield
    finally:
        mallopt(M_MMAP_MAX, DEFAULT_MMAP_MAX)
        mallopt(M_TRIM_THRESHOLD, DEFAULT_TRIM_BYTES)


def _mallopt() -> Callable[[int, int], int]:
    """Return glibc's mallopt, or a function that does nothing with another C library."""
    try:
        libc = ctypes.CDLL(None)
        found: Callable[[int, int], int] = libc.mallopt
        _ = libc.gnu_get_libc_version
    except (AttributeError, OSError, TypeError):
        return lambda parameter, value: 0
    return found


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C: lightning makes it SystemExit, and ignores the next."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """Compute with this many threads: for a head alone, synchronising them costs more."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress lightning's warnings about deliberate choices."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*TensorBoard support.*")
            warnings.filterwarnings("ignore", message=".*broadcast_buffers.*")
            # Every process already has the same validation numbers.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
