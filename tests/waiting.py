"""Wait for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_SECONDS = 300  # for anything: the machine may be busy with other tests


def wait_for(condition: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Ask every 20 ms whether a condition holds; fail where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
