"""Memory that is freed and asked for again in every step stays with the process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
ALWAYS_KEEP, NEVER_MAP = -1, 0
DEFAULT_TRIM_BYTES, DEFAULT_MMAP_MAX = 128 * 1024, 65536


@contextmanager
def kept() -> Iterator[None]:
    """Let malloc keep what is freed, where it is glibc's.

    By default glibc maps every large block anew and gives it back to the system when it is freed. A
    network's activations are such blocks: the system fills them with zeros in each step, which took
    more than half of the time of training a CNN over spectrograms of 30 s.

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
    """Return glibc's, or one that does nothing where the system has another C library."""
    try:
        libc = ctypes.CDLL(None)
        found: Callable[[int, int], int] = libc.mallopt
        _ = libc.gnu_get_libc_version
    except (AttributeError, OSError, TypeError):
        return lambda parameter, value: 0
    return found
