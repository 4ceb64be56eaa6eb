"""Write an evaluation to a folder, and into the model's own card."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from genrekit.datasets import Dataset
from genrekit.errors import ModelError
from genrekit.evaluation import html_report, plots
from genrekit.evaluation.result import EvaluationResult, to_card_metrics
from genrekit.files import write_beside
from genrekit.models import registry
from genrekit.models.card import TrainingData
from genrekit.models.registry import ModelFolder
from genrekit.tables import csv_file

COLUMNS = ("track_id", "path", "artist_group", "genre", "label", "correct", "probability", "error")


def write_folder(result: EvaluationResult, folder: Path, curves: Path | None = None) -> list[Path]:
    """Write metrics.json, predictions.csv, report.html and, with matplotlib, PNGs.

    Args:
        result: an evaluation.
        folder: created if it is missing; older files of these names are replaced.
        curves: the run's metrics.csv, one line per epoch, if there is one.

    Returns:
        The files written.

    Raises:
        OSError: the folder cannot be written.
    """
    paths = [folder / "metrics.json", folder / "predictions.csv"]
    with write_beside(paths[0], "w") as stream:
        stream.write(result.model_dump_json(indent=1) + "\n")
    _write_predictions(result, paths[1])
    paths.append(folder / "report.html")
    with write_beside(paths[-1], "w") as stream:
        stream.write(html_report.write(result, _epochs(curves)))
    if plots.available():
        drawn = {"confusion": plots.confusion, "reliability": plots.reliability}
        if result.robustness:
            drawn["robustness"] = plots.robustness
        for name, draw in drawn.items():
            paths.append(folder / f"{name}.png")
            draw(result, paths[-1])
    return paths


def update_card(folder: ModelFolder, result: EvaluationResult, dataset: Dataset) -> Path:
    """Write an evaluation into a model's card.json and README.md.

    The card's metrics of the same data, split and level are replaced, and so are leak meter and
    robustness if they were measured; the rest is kept.

    Args:
        folder: the model folder that was evaluated.
        result: its evaluation.
        dataset: what it was evaluated on; used to count the training tracks of each genre if they
            are from the same data.

    Returns:
        The card's path.

    Raises:
        ModelError: the evaluation is of another network than the folder's.
        OSError: the folder cannot be written.
    """
    card = folder.card
    if result.model.sha256 != card.onnx_sha256:
        raise ModelError(
            f"the evaluation is of a network with sha256 {result.model.sha256[:12]}..., but "
            f"{folder.path} has {card.onnx_sha256[:12]}...; evaluate that folder"
        )
    new = to_card_metrics(result)
    key = (new.data, new.split, new.level)
    kept = tuple(old for old in card.metrics if (old.data, old.split, old.level) != key)
    changes = {
        "metrics": (*kept, new),
        "training_data": _counted(card.training_data, dataset),
        "leak_meter": result.leak_meter or card.leak_meter,
        "robustness": result.robustness or card.robustness,
    }
    return registry.write_card(folder.path, card.model_copy(update=changes))


def _counted(data: TrainingData | None, dataset: Dataset) -> TrainingData | None:
    """Count the training tracks of each genre, if the dataset has all of them."""
    if data is None or data.n_per_class or data.dataset != dataset.name:
        return data
    genres = {track.track_id: track.genre for track in dataset.tracks}
    if not set(data.track_ids) <= set(genres):
        return data
    counts = Counter(genres[track_id] for track_id in data.track_ids)
    return data.model_copy(update={"n_per_class": dict(sorted(counts.items()))})


def _epochs(path: Path | None) -> list[dict[str, float]]:
    """Read a run's metrics.csv; without one there are no rows."""
    if path is None or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(stream)]


def _write_predictions(result: EvaluationResult, path: Path) -> None:
    tracks = [track.model_dump() | {"correct": int(track.correct)} for track in result.tracks]
    with csv_file(path) as write_row:
        write_row(COLUMNS)
        for row in (*tracks, *(failure.model_dump() for failure in result.failures)):
            write_row(row.get(name) for name in COLUMNS)
