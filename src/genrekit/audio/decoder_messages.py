"""Keep messages of C libraries about damaged files off the terminal."""

from __future__ import annotations

import os
import sys


def silence_decoders() -> None:
    """Discard the standard error of C libraries; Python's still reaches the terminal.

    libmpg123 prints notes about damaged MP3s to file descriptor 2 and offers libsndfile no way to
    turn that off. Call this once at the start of a program or of a worker; a library should not.
    Does nothing where sys.stderr is not the process's standard error.
    """
    try:
        is_standard = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return
    if not is_standard:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
