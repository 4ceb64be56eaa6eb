"""Results of reproductions: one small JSON a recipe, with a measurement for every protocol."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from genrekit.errors import RecipeError
from genrekit.evaluation.result import EvaluationResult, Level, LevelScores
from genrekit.files import write_beside
from genrekit.strict import StrictModel
from genrekit.training.recipe.claim import Claim

SOURCE, ARTIST, FAULT_FILTERED = "source", "artist", "fault-filtered"
TRACK, SEGMENT = "track", "segment"
METRICS = "metrics.csv"
STILL_EPOCHS, STILL_SHARE = 3, 0.01


class Curve(StrictModel):
    """The learning curve of one network: a value an epoch."""

    train_loss: tuple[float, ...]
    nll: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def still_falls(self) -> bool:
        """Whether the validation loss was still falling when training stopped.

        It was where the best of the last STILL_EPOCHS epochs lies more than STILL_SHARE below the
        best before them, or where there was no epoch before them.
        """
        before, last = self.nll[:-STILL_EPOCHS], self.nll[-STILL_EPOCHS:]
        return not before or min(last) < (1 - STILL_SHARE) * min(before)


class Training(StrictModel):
    """What training the networks of a protocol took; the share is of the epochs' time."""

    n_networks: int
    n_epochs: int
    seconds: float
    waiting_share: float
    curves: tuple[Curve, ...] = ()

    @property
    def still_falls(self) -> bool:
        """Whether a network's validation loss was still falling; as far as curves were kept."""
        return any(curve.still_falls for curve in self.curves)


def key(protocol: str, seed: int) -> str:
    """Return what a measurement is kept under; the first seed's under the protocol's own name.

    >>> key("artist", 0), key("artist", 1)
    ('artist', 'artist, seed 1')
    """
    return f"{protocol}, seed {seed}" if seed else protocol


class Measurement(StrictModel):
    """One protocol: how the data were divided, on how many tracks, and the scores.

    ``training`` is None where nothing was trained in epochs.
    """

    split: str
    split_sha256: str
    is_leaky: bool
    n_tracks: int
    n_artist_groups: int
    n_failed: int
    levels: dict[Level, LevelScores]
    seconds: float
    training: Training | None = None


class Result(StrictModel):
    """Everything that was measured of one recipe so far; measurements by protocol.

    ``trained_by`` names the recipe whose models these are, where that is another one; ``commit``
    and ``device`` are those of the last measurement.
    """

    name: str
    recipe: dict[str, Any]
    claim: Claim
    seed: int
    commit: str
    device: str
    data: str
    trained_by: str = ""
    measurements: dict[str, Measurement] = Field(default_factory=dict)

    def seeds(self, protocol: str) -> list[Measurement]:
        """Return the measurements of a protocol, one a seed."""
        keys = (key(protocol, seed) for seed in range(self.claim.seeds))
        return [self.measurements[each] for each in keys if each in self.measurements]

    @property
    def seconds(self) -> float:
        """The time of all measurements."""
        return sum(measured.seconds for measured in self.measurements.values())


def training(folder: Path) -> Training | None:
    """Sum up the epochs of every run below a folder; None where none was trained in epochs.

    Raises:
        OSError: a log cannot be read.
    """
    paths = sorted(folder.glob(f"*/{METRICS}"))
    logs = [list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in paths]
    logs = [log for log in logs if log and "waiting_share" in log[0]]
    epochs = [row for log in logs for row in log]
    if not epochs:
        return None
    seconds = [float(row["seconds"]) for row in epochs]
    waited = sum(s * float(row["waiting_share"]) for s, row in zip(seconds, epochs, strict=True))
    return Training(
        n_networks=len(logs),
        n_epochs=len(epochs),
        seconds=round(sum(seconds), 1),
        waiting_share=round(waited / sum(seconds), 4),
        curves=tuple(map(_curve, logs)),
    )


def _curve(log: list[dict[str, str]]) -> Curve:
    values = {key: [round(float(row[key]), 4) for row in log] for key in Curve.model_fields}
    return Curve.model_validate(values)


def measurement(
    result: EvaluationResult, seconds: float, trained: Training | None = None
) -> Measurement:
    """Keep the small part of an evaluation."""
    kept = LevelScores.model_fields
    return Measurement(
        split=result.split_title,
        split_sha256=result.split_sha256,
        is_leaky=result.leaky,
        n_tracks=result.n_tracks,
        n_artist_groups=result.n_artist_groups,
        n_failed=len(result.failures),
        levels={
            level: LevelScores(**{key: getattr(scores, key) for key in kept})
            for level, scores in result.levels.items()
        },
        seconds=round(seconds, 1),
        training=trained,
    )


def save(result: Result, folder: Path) -> None:
    """Write NAME.json.

    Raises:
        OSError: the folder cannot be written.
    """
    with write_beside(folder / f"{result.name}.json", "w") as stream:
        stream.write(result.model_dump_json(indent=1) + "\n")


def load(folder: Path) -> dict[str, Result]:
    """Read every NAME.json of a folder; none where it does not exist.

    Raises:
        RecipeError: a file is no result.
        OSError: a file cannot be read.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = Result.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise RecipeError(
                f"{path} is no result of this version's genrekit reproduce; remove it and "
                "reproduce it again"
            ) from error
    return found
