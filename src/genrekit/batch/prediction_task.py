"""Bulk prediction: a row for each file, as ``genrekit predict --json`` writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from genrekit import prediction
from genrekit.batch import sources
from genrekit.batch.engines import Limits
from genrekit.errors import ModelError
from genrekit.models import registry

if TYPE_CHECKING:
    from genrekit.batch.parts import Row
    from genrekit.batch.sources import BatchSource
    from genrekit.inference.classifier import Classifier
    from genrekit.inference.segments import SegmentChoice
    from genrekit.workers import Failure


@dataclass(frozen=True)
class PredictFiles:
    """``genrekit predict``.

    Attributes:
        model: the model's folder; None is the default model.
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
    verb: ClassVar[str] = "predict"
    limits: ClassVar[Limits] = Limits()
    csv_table: ClassVar[None] = None

    @classmethod
    def of(
        cls,
        model: str | None,
        segments: SegmentChoice = None,
        min_precision: float | None = None,
        top: int | None = None,
    ) -> PredictFiles:
        """Find a model, and check that it can do what is requested.

        Raises:
            ModelError: the model is missing or broken, or cannot reach min_precision.
            ValueError: segments or min_precision out of range.
        """
        from genrekit.inference.classifier import Classifier

        card = Classifier(model, segments=segments, min_precision=min_precision).card
        folder = None if model is None else str(registry.find(model).path)
        fixed = (folder, card.name, card.version, card.onnx_sha256, card.labels)
        return cls(*fixed, segments, min_precision, top)

    def parameters(self) -> dict[str, Any]:
        """Return all that decides the rows; the model's folder does not."""
        fields = asdict(self)
        del fields["model"]
        return fields | {"labels": list(self.labels)}

    def start(self) -> Callable[[BatchSource], list[Row]]:
        """Load the model."""
        from genrekit.inference.classifier import Classifier

        sources.delete_abandoned()
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


def _predict(classifier: Classifier, top: int | None, source: BatchSource) -> list[Row]:
    with sources.local_copy(source) as path:
        row = classifier.predict_file(path).to_dict(top)
    return [row | {"path": source.name}]
