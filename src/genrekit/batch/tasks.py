"""What a run does with each file: the functions that the other verbs call, and the rows they give.

A row is a dictionary that JSON can hold. Every file gives at least one; one that failed gives a row
with its path, its error and nothing else but the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, Protocol

from genrekit import audio, prediction
from genrekit.batch import feature_tables, sources
from genrekit.batch.sources import BatchSource
from genrekit.errors import ModelError
from genrekit.inference.classifier import Classifier
from genrekit.inference.segments import SegmentChoice
from genrekit.models import registry
from genrekit.workers import Failure

Row = dict[str, Any]


class Work(Protocol):
    """A verb, with its options, as a run needs it."""

    @property
    def verb(self) -> str:
        """The verb's name."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return whatever decides what the rows say, as JSON: another run differs in it."""
        ...

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Make a worker ready; what is returned turns a source into rows."""
        ...

    def failed(self, failure: Failure[BatchSource]) -> Row:
        """Return the row of a file that failed."""
        ...

    def columns(self) -> dict[str, str]:
        """Return the columns of a table of rows and their types; see ``parts``."""
        ...

    def flat(self, row: Row) -> Row:
        """Turn a row into one of such a table."""
        ...


@dataclass(frozen=True)
class Predict:
    """``genrekit predict``.

    Attributes:
        model: the model's name or folder; None is the default model.
        sha256: of its network: a worker that finds another one refuses to start.
        version, name, labels: from its card.
        segments, min_precision: as for Classifier.
        top: genres in a row of JSON; None is all.
    """

    model: str | None
    name: str
    version: str
    sha256: str
    labels: tuple[str, ...]
    segments: SegmentChoice = None
    min_precision: float | None = None
    top: int | None = None
    verb: Literal["predict"] = "predict"

    @classmethod
    def of(
        cls,
        model: str | None,
        segments: SegmentChoice = None,
        min_precision: float | None = None,
        top: int | None = None,
    ) -> Predict:
        """Look a model up, and check that it can do what is asked for.

        Raises:
            ModelError: the model is missing or broken, or cannot reach min_precision.
            ValueError: segments or min_precision out of range.
        """
        card = Classifier(model, segments=segments, min_precision=min_precision).card
        place = None if model is None else str(registry.find(model).path)
        return cls(
            place,
            card.name,
            card.version,
            card.onnx_sha256,
            card.labels,
            segments,
            min_precision,
            top,
        )

    def facts(self) -> dict[str, Any]:
        """Return what decides what the rows say; where the model lies does not."""
        fields = asdict(self)
        del fields["model"]
        return fields | {"labels": list(self.labels)}

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Load the model."""
        _ready()
        classifier = Classifier(
            self.model, segments=self.segments, min_precision=self.min_precision
        )
        if classifier.card.onnx_sha256 != self.sha256:
            raise ModelError(
                f"model {self.name!r} is another one on this worker (sha256 "
                f"{classifier.card.onnx_sha256[:12]} instead of {self.sha256[:12]}); install the "
                "same genrekit and the same model on every machine"
            )
        return partial(_predict, classifier, self.top)

    def failed(self, failure: Failure[BatchSource]) -> Row:
        """Return path, error and the model."""
        model = {"name": self.name, "version": self.version, "sha256": self.sha256}
        return {"path": failure.item.name, "error": failure.message, "model": model}

    def columns(self) -> dict[str, str]:
        """Return the columns, with a probability for each label."""
        return prediction.columns(self.labels)

    def flat(self, row: Row) -> Row:
        """Leave the segments out and give each label a column."""
        return prediction.row(row)


@dataclass(frozen=True)
class Features:
    """``genrekit features extract``.

    Attributes:
        segment_seconds: as for extraction.rows.
    """

    segment_seconds: float | None = None
    verb: Literal["features extract"] = "features extract"

    def facts(self) -> dict[str, Any]:
        """Return what decides what the rows say."""
        return asdict(self)

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Return the function that computes a file's rows."""
        _ready()
        return partial(_extract, self.segment_seconds)

    def failed(self, failure: Failure[BatchSource]) -> Row:
        """Return path and error."""
        return {"path": failure.item.name, "error": failure.message}

    def columns(self) -> dict[str, str]:
        """Return the columns: the place in the file, the published ones, and what went wrong."""
        values = dict.fromkeys(feature_tables.HEADER[2:-1], "double")
        first = {"path": "string", "start_seconds": "double", "length": "int"}
        return first | values | {"warnings": "list", "error": "string"}

    def flat(self, row: Row) -> Row:
        """Return the row: it is flat."""
        return row


def _ready() -> None:
    audio.silence_decoders()
    sources.sweep()


def _predict(classifier: Classifier, top: int | None, source: BatchSource) -> list[Row]:
    with sources.at_hand(source) as path:
        row = classifier.predict_file(path).to_dict(top)
    return [row | {"path": source.name}]


def _extract(segment_seconds: float | None, source: BatchSource) -> list[Row]:
    with sources.at_hand(source) as path:
        found = feature_tables.rows(path, segment_seconds)
    names = feature_tables.HEADER[2:-1]
    return [
        {
            "path": source.name,
            "start_seconds": index * (segment_seconds or 0.0),
            "length": length,
            **dict(zip(names, values, strict=True)),
            "warnings": found["warnings"],
        }
        for index, (length, values) in enumerate(found["rows"])
    ]
