"""A model's prediction for one file, and its JSON form, from which all other forms are derived."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr, ValidationError

from genrekit.strict import StrictModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The annotations in the JSON form that have a column in a table, and the column's type.
_COLUMN_TYPES: dict[Any, str] = {
    str | None: "string",
    float: "double",
    bool: "bool",
    list[str]: "list",
}


NOT_MUSIC = "not music"  # the start of the warning for a track that is not, or only partly, music


def not_music(warnings: Iterable[str]) -> str | None:
    """Return the warning that a track, or a part of it, is not music, or None."""
    return next((warning for warning in warnings if warning.startswith(NOT_MUSIC)), None)


def is_undecided(probabilities: Collection[float]) -> bool:
    """Return whether all labels are equally probable, as stored for silence and what is not music.

    >>> is_undecided([0.5, 0.5]), is_undecided([0.4, 0.6])
    (True, False)
    """
    return len(set(probabilities)) < 2


def percent(probability: float) -> str:
    """Format a probability for people, the same everywhere: per cent with one decimal.

    >>> percent(0.9994), percent(1), percent(0.0301), percent(0.0001), percent(0.0)
    ('99.9 %', '100.0 %', '3.0 %', '< 0.1 %', '0.0 %')
    """
    return f"{100 * probability:.1f} %" if is_shown(probability) or not probability else "< 0.1 %"


def is_shown(probability: float) -> bool:
    """Return whether a probability, in per cent with one decimal, does not round to 0.0.

    >>> is_shown(0.0004), is_shown(0.0006)
    (False, True)
    """
    return f"{100 * probability:.1f}" != "0.0"


class SegmentPrediction(StrictModel):
    """Probabilities of one segment of a track, with its position in seconds."""

    start_seconds: float
    end_seconds: float
    probabilities: dict[str, float]


class ModelReference(StrictModel):
    """The model that predicted: name, version and the SHA-256 of its network."""

    name: str
    version: str
    sha256: str


class GenreProbability(StrictModel):
    """A label and its calibrated probability."""

    label: str
    probability: float


class PredictionDocument(StrictModel):
    """The JSON form of a Prediction; ``label`` is null if the model abstained."""

    path: str | None
    label: str | None
    probability: float
    abstained: bool
    threshold: float
    duration_seconds: float
    genres: list[GenreProbability]
    segments: list[SegmentPrediction]
    model: ModelReference
    warnings: list[str]


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be predicted, and why, in one sentence."""

    path: str
    error: str

    def to_dict(self, top: int | None = None) -> dict[str, str]:
        """Return the JSON form: path and error, whatever top is."""
        del top
        return asdict(self)


class Prediction(StrictModel):  # noqa: PLW1641 - pydantic gives frozen models a hash
    """Genre probabilities of one track.

    ``probabilities`` maps every label of the model to the calibrated probability of the track, the
    mean over its segments; they sum to one. ``abstained`` is true if the top probability is below
    ``threshold``, and for a track without segments: those that are silent, or not music, are
    left out. Then ``label`` is None and the prediction is "I don't know".
    """

    path: str | None
    probabilities: dict[str, float]
    segments: tuple[SegmentPrediction, ...]
    model: ModelReference
    duration_seconds: float
    threshold: float = 0.0
    warnings: tuple[str, ...] = ()
    _logits: Any = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Compare the JSON forms; logits are not part of them."""
        return isinstance(other, Prediction) and self.model_dump() == other.model_dump()

    @property
    def logits(self) -> NDArray[np.float32] | None:
        """The segments' logits, shape (n_segments, n_labels); None if read back from JSON."""
        logits: NDArray[np.float32] | None = self._logits
        return logits

    def with_logits(self, logits: NDArray[np.float32]) -> Prediction:
        """Return this prediction with the logits of its segments' probabilities.

        Args:
            logits: shape (n_segments, n_labels).
        """
        copied = self.model_copy()
        copied._logits = logits
        return copied

    @property
    def genres(self) -> list[tuple[str, float]]:
        """(label, probability) pairs, most probable first; ties in the model's label order."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])

    @property
    def probability(self) -> float:
        """Probability of the most probable label."""
        return max(self.probabilities.values())

    @property
    def abstained(self) -> bool:
        """Whether the track is silent or not music, or its top probability below the threshold."""
        return not self.segments or self.probability < self.threshold

    @property
    def label(self) -> str | None:
        """The most probable label, or None when abstaining."""
        return None if self.abstained else self.genres[0][0]

    def document(self, top: int | None = None) -> PredictionDocument:
        """Return the JSON form as a pydantic model.

        Args:
            top: keep only this many of the most probable genres; None keeps all of them.
        """
        fields = {name: getattr(self, name) for name in PredictionDocument.model_fields}
        genres = [{"label": label, "probability": p} for label, p in self.genres[:top]]
        return PredictionDocument.model_validate(fields | {"genres": genres})

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the JSON form as a dictionary; top as in document."""
        return self.document(top).model_dump()

    def to_json(self, top: int | None = None) -> str:
        """Return one line of JSON; ``from_json(p.to_json())`` equals ``p``."""
        # Not by pydantic, which refuses bytes of a file name that are not text.
        return json.dumps(self.to_dict(top), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Prediction:
        """Read the output of to_json with all genres.

        Raises:
            ValueError: the text is not the JSON form of a Prediction.
        """
        try:
            document = PredictionDocument.model_validate(json.loads(text))
        except ValidationError as error:
            raise ValueError(f"not the JSON form of a Prediction: {error}") from error
        fields = {name: value for name, value in document if name in cls.model_fields}
        return cls(probabilities={g.label: g.probability for g in document.genres}, **fields)


def columns(labels: Iterable[str]) -> dict[str, str]:
    """Return the columns of a table of predictions, for CSV and Parquet, and their types.

    Args:
        labels: the model's labels; the probability of each has a column, p_LABEL.

    Returns:
        "string", "double", "bool" or "list" (of strings) by the column's name.
    """
    fields = PredictionDocument.model_fields.items()
    kinds = {name: _COLUMN_TYPES.get(field.annotation) for name, field in fields}
    found = {name: kind for name, kind in kinds.items() if kind} | {"error": "string"}
    found |= {f"model_{name}": "string" for name in ModelReference.model_fields}
    return found | {f"p_{label}": "double" for label in labels}


def row(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn the JSON form of a Prediction, or of a failed file, into a row of such a table."""
    found = {name: fields.get(name) for name in columns(())}
    found |= {f"model_{name}": value for name, value in fields.get("model", {}).items()}
    return found | {f"p_{g['label']}": g["probability"] for g in fields.get("genres", [])}
