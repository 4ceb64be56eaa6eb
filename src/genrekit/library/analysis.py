"""What a scan's worker does with a file: find out which audio it is, and hear it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from genrekit import audio
from genrekit.audio import packets
from genrekit.errors import AudioError, TagError
from genrekit.inference.classifier import Classifier
from genrekit.library.walk import Found
from genrekit.tags import formats
from genrekit.tags.formats.contents import TagContents

_HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class AnalysisRequest:
    """One thing to do with one file; ``audio`` is the id of its audio, where that is known."""

    task: Literal["identify", "hear"]
    file: Found
    audio: int | None = None


@dataclass(frozen=True)
class Identity:
    """Which audio a file holds, and what its tags say."""

    file: Found
    digest: str
    tags: TagContents


@dataclass(frozen=True)
class Analysis:
    """What a model said of audio, as the database keeps it.

    ``probabilities`` is little-endian float32, one a label; ``embedding`` little-endian float16.
    """

    audio: int | None
    probabilities: bytes
    embedding: bytes | None
    duration_seconds: float
    warnings: tuple[str, ...]


def start(model: Path, niceness: int) -> Callable[[AnalysisRequest], Identity | Analysis]:
    """Make a worker ready.

    Args:
        model: the model's folder.
        niceness: how far to step back behind other programs, from 0 to 19; without effect where
            the system knows no such thing.

    Raises:
        ModelError: the model cannot be loaded.
    """
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    audio.silence_decoders()
    classifier = Classifier(model)

    def work(job: AnalysisRequest) -> Identity | Analysis:
        path = Path(os.fsdecode(job.file.path))
        return _identify(path, job) if job.task == "identify" else _hear(classifier, path, job)

    return work


def _identify(path: Path, job: AnalysisRequest) -> Identity:
    digest = packets.digest(path)
    try:
        return Identity(job.file, digest, formats.read(path))
    except TagError:  # it can be heard all the same
        return Identity(job.file, digest, TagContents())


def _hear(classifier: Classifier, path: Path, job: AnalysisRequest) -> Analysis:
    prediction, embedding = classifier.analyse_file(path)
    status, file = path.stat(), job.file
    if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
        raise AudioError(f"{path}: changed while it was heard; scan again when it rests")
    probabilities = [prediction.probabilities[label] for label in classifier.labels]
    return Analysis(
        job.audio,
        np.array(probabilities, "<f4").tobytes(),
        None
        if embedding is None
        else embedding.clip(-_HALF_MAX, _HALF_MAX).astype("<f2").tobytes(),
        prediction.duration_seconds,
        prediction.warnings,
    )
