"""Write an evaluation down: a folder for people and programs, and the model's own card."""

from __future__ import annotations

import csv
from pathlib import Path

from genrekit.errors import ModelError
from genrekit.evaluation import plots
from genrekit.evaluation.result import EvaluationResult, to_card_metrics
from genrekit.files import write_beside
from genrekit.models import readme
from genrekit.models.registry import CARD, ModelFolder

COLUMNS = ("track_id", "path", "artist_group", "genre", "label", "correct", "probability", "error")


def write_folder(result: EvaluationResult, folder: Path) -> list[Path]:
    """Write metrics.json, predictions.csv and, where matplotlib is, confusion and reliability PNG.

    Args:
        result: an evaluation.
        folder: made if it is missing; older files of these names are replaced.

    Returns:
        The files written.

    Raises:
        OSError: the folder cannot be written.
    """
    paths = [folder / "metrics.json", folder / "predictions.csv"]
    with write_beside(paths[0], "w") as stream:
        stream.write(result.model_dump_json(indent=1) + "\n")
    _write_predictions(result, paths[1])
    if plots.available():
        paths += [folder / "confusion.png", folder / "reliability.png"]
        plots.confusion(result, paths[2])
        plots.reliability(result, paths[3])
    return paths


def update_card(folder: ModelFolder, result: EvaluationResult) -> Path:
    """Write an evaluation into a model's card.json and README.md.

    What the card said of the same data, split and level is replaced; other metrics stay.

    Args:
        folder: the model folder that was evaluated.
        result: its evaluation.

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
            f"{folder.path} holds {card.onnx_sha256[:12]}...; evaluate that folder"
        )
    new = to_card_metrics(result)
    key = (new.data, new.split, new.level)
    kept = tuple(old for old in card.metrics if (old.data, old.split, old.level) != key)
    updated = card.model_copy(update={"metrics": (*kept, new)})
    with write_beside(folder.path / CARD, "w") as stream:
        stream.write(updated.model_dump_json(indent=1) + "\n")
    with write_beside(folder.path / "README.md", "w") as stream:
        stream.write(readme.write(updated))
    return folder.path / CARD


def _write_predictions(result: EvaluationResult, path: Path) -> None:
    with write_beside(path, "w") as stream:
        rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        rows.writeheader()
        for track in result.tracks:
            row = track.model_dump(exclude={"n_segments"})
            rows.writerow({**row, "correct": int(track.correct)})
        rows.writerows(failure.model_dump() for failure in result.failures)
