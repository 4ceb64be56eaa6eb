"""The work of a scan's worker on a file: identify its audio, and predict its genre."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from genrekit.errors import AudioError, TagError
from genrekit.library.walk import Found
from genrekit.tags.formats.contents import TagContents

if TYPE_CHECKING:
    from genrekit.inference.classifier import Classifier

_HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class AnalysisRequest:
    """One task for one file; ``audio`` is the id of its audio, if known."""

    task: Literal["identify", "analyse"]
    file: Found
    audio: int | None = None


@dataclass(frozen=True)
class Identity:
    """The audio of a file, and its tags."""

    file: Found
    digest: str
    tags: TagContents


@dataclass(frozen=True)
class Analysis:
    """A model's prediction for audio, in the database's form.

    ``probabilities`` is little-endian float32, one per label; ``embedding`` little-endian float16.
    """

    audio: int | None
    probabilities: bytes
    embedding: bytes | None
    duration_seconds: float
    warnings: tuple[str, ...]


def start(model: Path) -> Callable[[AnalysisRequest], Identity | Analysis]:
    """Prepare a worker.

    Args:
        model: the model's folder.

    Raises:
        ModelError: the model cannot be loaded.
    """
    from genrekit.inference.classifier import Classifier

    return partial(_process, Classifier(model))


def _process(classifier: Classifier, request: AnalysisRequest) -> Identity | Analysis:
    path = Path(os.fsdecode(request.file.path))
    if request.task == "identify":
        return _identify(path, request.file)
    return _analyse(classifier, path, request)


def _identify(path: Path, file: Found) -> Identity:
    from genrekit.audio import packets
    from genrekit.tags import formats

    digest = packets.digest(path)
    try:
        return Identity(file, digest, formats.read(path))
    except TagError:  # it can still be analysed
        return Identity(file, digest, TagContents())


def _analyse(classifier: Classifier, path: Path, request: AnalysisRequest) -> Analysis:
    prediction, embedding = classifier.analyse_file(path)
    status, file = path.stat(), request.file
    if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
        raise AudioError(f"{path}: changed while it was analysed; scan again when it is complete")
    probabilities = [prediction.probabilities[label] for label in classifier.labels]
    half = None if embedding is None else embedding.clip(-_HALF_MAX, _HALF_MAX).astype("<f2")
    return Analysis(
        request.audio,
        np.array(probabilities, "<f4").tobytes(),
        None if half is None else half.tobytes(),
        prediction.duration_seconds,
        prediction.warnings,
    )
