"""Workers of a scan that log what they analyse, or misbehave; spawned workers import this."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrekit.library import analysis

LOG = "GENREKIT_TEST_LOG"


def start(model: Path) -> Callable[[analysis.AnalysisRequest], Any]:
    """As analysis.start; every file analysed is logged before the result is given."""
    work = analysis.start(model)

    def noting(job: analysis.AnalysisRequest) -> Any:
        result = work(job)
        if job.task == "analyse":
            with open(os.environ[LOG], "ab", buffering=0) as log:  # noqa: PTH123
                log.write(job.file.path + b"\0")
        return result

    return noting


def start_badly(model: Path) -> Callable[[analysis.AnalysisRequest], Any]:
    """As analysis.start; it hangs at files called hang, dies at crash and eats memory at eat."""
    work = analysis.start(model)

    def misbehaving(job: analysis.AnalysisRequest) -> Any:
        name = os.path.basename(job.file.path)  # noqa: PTH119
        if name.startswith(b"hang"):
            time.sleep(600)
        if name.startswith(b"crash") and job.task == "analyse":
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith(b"eat"):
            eaten = b"x" * (1 << 30)
            time.sleep(len(eaten))
        return work(job)

    return misbehaving
