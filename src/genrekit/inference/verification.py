"""Verify a model on synthetic audio, in a process with limited time and memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from genrekit import demo
from genrekit.errors import ModelError
from genrekit.models.registry import ModelFolder
from genrekit.models.runtime import silence
from genrekit.workers import Failure, Pool

LIMIT_SECONDS = 60.0
MEMORY_BYTES = 4 << 30
_SUM_TOLERANCE = 1e-3  # probabilities are rounded to six digits


def verify(folder: ModelFolder) -> None:
    """Run a model on synthetic audio or, if it does not take audio, on features of zeros.

    Raises:
        ModelError: it cannot be loaded, does not fit its card, takes more than a minute or 4 GB,
            or returns probabilities that are not finite or do not sum to one.
    """
    start = partial(_start, folder.path)
    with Pool(start, 1, item_seconds=LIMIT_SECONDS, memory_bytes=MEMORY_BYTES) as pool:
        (found,) = pool.map([None])
    if isinstance(found, Failure):
        raise ModelError(f"{folder.path} cannot be verified: {found.message}")


def _start(folder: Path) -> Callable[[None], None]:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    return partial(_predict, folder)


def _predict(folder: Path, _: None) -> None:
    from genrekit.inference.classifier import Classifier

    classifier = Classifier(folder)
    if classifier.card.images == "other":
        rows = classifier.segment_probabilities(silence(classifier.card.views)).tolist()
    else:
        found = classifier.predict(demo.synthesise("drums"), demo.SAMPLE_RATE)
        rows = [list(found.probabilities.values())]
        rows += [list(segment.probabilities.values()) for segment in found.segments]
    for row in rows:
        if not all(0 <= value <= 1 for value in row) or abs(math.fsum(row) - 1) > _SUM_TOLERANCE:
            raise ModelError(f"its probabilities sum to {math.fsum(row)}; expected 1")
