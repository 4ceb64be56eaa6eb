"""What a worker process does with an uploaded file: predict or explain it, and give JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from genrekit import audio
from genrekit.errors import GenrekitError
from genrekit.explain.explanation import explain
from genrekit.explain.spectrogram import Spectrogram
from genrekit.inference import timeline
from genrekit.inference.classifier import Classifier
from genrekit.server.worker_queue import FileTask, RunTask, TaskResult


def start(models: tuple[Path, ...]) -> RunTask:
    """Load the models in a worker; return what does a task there.

    Raises:
        ModelError: a model is missing or broken.
    """
    audio.silence_decoders()
    classifiers = [Classifier(model) for model in models]

    def run(task: FileTask | None) -> TaskResult:
        if task is None:
            return TaskResult()
        try:
            return _run(classifiers[task.options.model], task)
        except (GenrekitError, OSError) as error:
            return TaskResult(status=422, error=_sentence(error, task))

    return run


def _run(classifier: Classifier, task: FileTask) -> TaskResult:
    info = audio.probe(task.path)
    seconds = info.duration_seconds
    if seconds > task.max_seconds:
        limit = f"{task.max_seconds:g} s are allowed; cut it"
        return TaskResult(status=413, error=f"{task.name}: is {seconds:.0f} s long; {limit}")
    if seconds > task.job_from_seconds:
        return TaskResult(needs_job=True)
    if task.options.explain is None:
        fields = _predict(classifier, info, task)
    else:
        fields = explain(classifier, info, task.options.explain or None).to_dict()
        fields["prediction"]["path"] = task.name
    return TaskResult(json.dumps(fields, ensure_ascii=False))


def _predict(classifier: Classifier, info: audio.AudioInfo, task: FileTask) -> dict[str, Any]:
    """Return the JSON form of a PredictionResult."""
    options = task.options
    spectrogram = Spectrogram(classifier.card.views)
    on_segments = spectrogram.add if "spectrogram" in options.include else None
    prediction = classifier.with_segments(options.segments).predict_file(info, on_segments)
    named = prediction.model_copy(update={"path": task.name, "threshold": options.threshold})
    fields = named.to_dict()
    if "spectrogram" in options.include:
        fields["spectrogram"] = spectrogram.to_dict()
    if "timeline" in options.include:
        fields["timeline"] = timeline.of(named, classifier.card).to_dict()
    return fields


def _sentence(error: Exception, task: FileTask) -> str:
    """Return an error's sentence with the file's own name in place of its path here."""
    text = " ".join(str(error).split()).replace(os.fspath(task.path), task.name)
    return text if task.name in text else f"{task.name}: {text}"
