"""What a worker process does with an uploaded file: hear it by the one road, answer in JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genrekit import audio
from genrekit.errors import GenrekitError
from genrekit.explain import explain
from genrekit.explain.spectrogram import Spectrogram
from genrekit.inference import timeline
from genrekit.inference.classifier import Classifier
from genrekit.inference.segments import SegmentChoice

INCLUDABLE = ("spectrogram", "timeline")


@dataclass(frozen=True)
class Task:
    """One uploaded file and what to say of it.

    Args:
        path: where it lies.
        name: what the answer calls it.
        model: the position in the server's list of models.
        max_seconds: longer audio is refused.
        job_from_seconds: longer audio is not heard now; the answer says that it needs a job.
        threshold: below it the answer is "I don't know".
        segments: as Classifier takes it.
        include: what of INCLUDABLE the answer holds beside the Prediction's own keys.
        explain: explain this genre instead, "" for the most probable one; None predicts.
    """

    path: Path
    name: str
    model: int
    max_seconds: float
    job_from_seconds: float
    threshold: float = 0.0
    segments: SegmentChoice = None
    include: frozenset[str] = frozenset()
    explain: str | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a file: JSON, or an error's status and sentence, or that it needs a job."""

    body: str = ""
    status: int = 200
    error: str = ""
    needs_job: bool = False


Hear = Callable[[Task | None], Answer]


def start(models: tuple[Path, ...]) -> Hear:
    """Load the models in a worker; return what hears a file there.

    Raises:
        ModelError: a model is missing or broken.
    """
    audio.silence_decoders()
    classifiers = [Classifier(model) for model in models]

    def hear(task: Task | None) -> Answer:
        return Answer() if task is None else _attempt(classifiers[task.model], task)

    return hear


def _attempt(classifier: Classifier, task: Task) -> Answer:
    try:
        return _hear(classifier, task)
    except (GenrekitError, OSError) as error:
        return Answer(status=422, error=_sentence(error, task))


def _hear(classifier: Classifier, task: Task) -> Answer:
    info = audio.probe(task.path)
    seconds = info.duration_seconds
    if seconds > task.max_seconds:
        limit = f"{task.max_seconds:g} s are allowed; cut it"
        return Answer(status=413, error=f"{task.name}: is {seconds:.0f} s long; {limit}")
    if seconds > task.job_from_seconds:
        return Answer(needs_job=True)
    if task.explain is not None:
        found = explain(classifier, info, task.explain or None).to_dict()
        found["prediction"]["path"] = task.name
        return Answer(json.dumps(found, ensure_ascii=False))
    picture = Spectrogram(classifier.card.features)
    on_segments = picture.add if "spectrogram" in task.include else None
    prediction = classifier.hearing(task.segments).predict_file(info, on_segments)
    named = prediction.model_copy(update={"path": task.name, "threshold": task.threshold})
    answer = named.to_dict()
    if "spectrogram" in task.include:
        answer["spectrogram"] = picture.to_dict()
    if "timeline" in task.include:
        answer["timeline"] = timeline.of(named).to_dict()
    return Answer(json.dumps(answer, ensure_ascii=False))


def _sentence(error: Exception, task: Task) -> str:
    """Return an error's sentence with the file's own name in place of its path here."""
    text = " ".join(str(error).split()).replace(os.fspath(task.path), task.name)
    return text if task.name in text else f"{task.name}: {text}"
