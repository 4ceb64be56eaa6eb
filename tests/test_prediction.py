"""Prediction: its label, and its JSON form, of which every other form is made."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from genrekit.batch.prediction_task import PredictFiles
from genrekit.cli import writers
from genrekit.models import registry
from genrekit.prediction import (
    ModelReference,
    Prediction,
    PredictionDocument,
    SegmentPrediction,
)

TINY = Path(__file__).parent / "golden" / "tiny"


def prediction(path: str | None = "a.mp3", threshold: float = 0.0) -> Prediction:
    return Prediction(
        path=path,
        probabilities={"blues": 0.1, "jazz": 0.6, "rock": 0.3},
        segments=(
            SegmentPrediction(
                start_seconds=0.0,
                end_seconds=3.0,
                probabilities={"blues": 0.1, "jazz": 0.6, "rock": 0.3},
            ),
        ),
        model=ModelReference(name="tiny", version="1", sha256="ab"),
        duration_seconds=3.5,
        threshold=threshold,
        warnings=("silent",),
    )


def test_the_most_probable_comes_first() -> None:
    assert prediction().label == "jazz"
    assert prediction().probability == 0.6
    assert prediction().genres == [("jazz", 0.6), ("rock", 0.3), ("blues", 0.1)]


def test_a_tie_keeps_the_models_order() -> None:
    tied = prediction().model_copy(update={"probabilities": {"rock": 0.5, "blues": 0.5}})
    assert tied.genres == [("rock", 0.5), ("blues", 0.5)]


@pytest.mark.parametrize(("threshold", "label"), [(0.6, "jazz"), (0.6001, None)])
def test_it_abstains_below_the_threshold_only(threshold: float, label: str | None) -> None:
    found = prediction(threshold=threshold)
    assert found.label == label
    assert found.abstained == (label is None)
    assert json.loads(found.to_json())["label"] == label


@pytest.mark.parametrize("path", [None, "a.mp3", "träume/夢.flac", "bad\udcff.mp3", 'q"\n.wav'])
def test_json_is_one_line_and_comes_back(path: str | None) -> None:
    found = prediction(path, threshold=0.7)
    text = found.to_json()
    assert "\n" not in text
    assert Prediction.from_json(text) == found


def test_the_json_form_is_the_documented_one() -> None:
    assert json.loads(prediction().to_json(top=1)) == {
        "path": "a.mp3",
        "label": "jazz",
        "probability": 0.6,
        "abstained": False,
        "threshold": 0.0,
        "duration_seconds": 3.5,
        "genres": [{"label": "jazz", "probability": 0.6}],
        "segments": [
            {
                "start_seconds": 0.0,
                "end_seconds": 3.0,
                "probabilities": {"blues": 0.1, "jazz": 0.6, "rock": 0.3},
            }
        ],
        "model": {"name": "tiny", "version": "1", "sha256": "ab"},
        "warnings": ["silent"],
    }


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        prediction().path = "b.mp3"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"path": 1}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not the JSON form"):
        Prediction.from_json(text)


def test_every_form_is_made_of_the_one_model() -> None:
    document = set(PredictionDocument.model_fields)
    assert set(json.loads(prediction().to_json())) == document
    stream = io.StringIO()
    card = registry.find(TINY).card.model_copy(update={"labels": ("blues", "jazz", "rock")})
    write = writers.writer("csv", stream, card, None, timeline=False)
    write(prediction())
    [csv_row] = csv.DictReader(io.StringIO(stream.getvalue()))
    work = PredictFiles(None, "tiny", "1", "ab", ("blues", "jazz", "rock"))
    parquet_row = work.flat(prediction().to_dict())
    assert list(csv_row) == list(work.columns())
    assert parquet_row.keys() == work.columns().keys()
    nested = {"genres": "p_jazz", "segments": None, "model": "model_sha256"}
    for field in document:
        column = nested.get(field, field)
        assert column is None or column in csv_row
    assert csv_row["p_jazz"] == str(parquet_row["p_jazz"]) == "0.6"
    assert csv_row["warnings"] == "silent"
    assert parquet_row["warnings"] == ["silent"]
