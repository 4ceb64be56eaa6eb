"""report.html: it shows what was measured, and a browser opens it without any request."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_evaluation import CARD, TINY, dataset, measured

from browser import MAY_HANG, opened
from genrekit.cli import tables
from genrekit.evaluation import html_report, report
from genrekit.evaluation.result import EvaluationResult
from genrekit.models import registry
from genrekit.models.card import (
    AudioChange,
    Interval,
    LeakMeter,
    LeakRow,
    PrecisionPoint,
    Robustness,
)

HALF = Interval(value=0.5, low=0.25, high=0.75)
METER = LeakMeter(
    data="made",
    recipe="nets",
    honest="artist",
    rows=(
        LeakRow(
            split="segment (LEAKY)",
            n_tracks=5,
            n_artist_groups=4,
            segment_accuracy=HALF,
            accuracy=HALF,
            difference=HALF,
        ),
    ),
)
CHANGES = Robustness(
    data="made",
    split="track test",
    changes=(AudioChange(name="MP3 32 kbit/s", n_tracks=5, accuracy=HALF, agreement=HALF),),
)
FEW = (
    "an interval from 5 tracks of 4 artist groups means little: below 30 groups it is mostly chance"
)
EPOCHS = [
    {"epoch": n, "train_loss": 2 / n, "nll": 1 + 1 / n, "accuracy": 1 - 1 / n} for n in (1, 2, 3)
]


@pytest.fixture
def whole(tmp_path: Path) -> EvaluationResult:
    """A result with everything in it; one of its two mistakes lies on the disk, oddly named."""
    result = measured().model_copy(update={"leak_meter": METER, "robustness": CHANGES})
    there = tmp_path / '<b>2 & "more".wav'
    soundfile.write(there, np.zeros(800), 8000)
    tracks = [
        track.model_copy(update={"path": str(there), "track_id": "<b>2"})
        if track.track_id == "b2"
        else track
        for track in result.tracks
    ]
    return result.model_copy(update={"tracks": tuple(tracks)})


def test_the_page_shows_what_was_measured(whole: EvaluationResult) -> None:
    text = html_report.write(whole, EPOCHS)
    for words in (
        "tiny 1 on made",
        "track test &middot; 5 tracks of 4 artist groups",
        "60.0 %",
        "segment (LEAKY)",
        "MP3 32 kbit/s",
        "Learning curves",
        "All 2 misclassified tracks",
        "no file",
        f"Few tracks, segment (LEAKY): {FEW}.",
        "&lt;b&gt;2",
    ):
        assert words in text, words
    assert text.count("<audio") == 1
    assert "<b>2" not in text
    assert "http" not in text
    assert "<script" not in text


def test_what_was_not_measured_is_left_out() -> None:
    text = html_report.write(measured())
    for words in ("Leak meter", "Changed audio", "Learning curves", "LEAKY"):
        assert words not in text
    assert text.count("Few tracks") == 1
    leaky = measured().model_copy(update={"split_is_leaky": True})
    assert "LEAKY: parts of the test tracks were trained on" in html_report.write(leaky)


def test_the_terminal_shows_a_caution_for_each_split_of_few_artist_groups(
    whole: EvaluationResult, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.show(whole)
    assert f"FEW TRACKS, segment (LEAKY): {FEW}\n" in capsys.readouterr().out


def test_the_models_readme_shows_it_too(whole: EvaluationResult, tmp_path: Path) -> None:
    folder = registry.find(shutil.copytree(TINY, tmp_path / "tiny"))
    point = PrecisionPoint(threshold=0.65, precision=0.9, coverage=0.4)
    card = CARD.model_copy(update={"precision_curve": (point,)})
    result = measured(card).model_copy(
        update={"leak_meter": whole.leak_meter, "robustness": whole.robustness}
    )
    report.update_card(folder, result, dataset())
    text = (folder.path / "README.md").read_text(encoding="utf-8")
    for words in (
        "| made | track test | 5 of 4 artist groups | mean probability | 60.0 % [",
        "Recall per label on track test: blues 50 % of 2, jazz 50 % of 2, rock 100 % of 1. "
        "Weakest: blues (50 %), jazz (50 %), rock (100 %).",
        "Expected calibration error on track test, n = 5: ",
        "| 90 % | 0.65 | 100.0 % [100.0, 100.0] | 40.0 % [",
        "| segment (LEAKY) | 5 of 4 artist groups | 50.0 % [25.0, 75.0] | 50.0 % [25.0, 75.0] | "
        "+50.0 points [+25.0, +75.0] |",
        f"segment (LEAKY): {FEW}.",
        "| MP3 32 kbit/s | 50.0 % [25.0, 75.0] | 50.0 % [25.0, 75.0] |",
    ):
        assert words in text, words
    # What was not measured this time stays.
    report.update_card(registry.find(folder.path), measured(card), dataset())
    assert registry.find(folder.path).card.leak_meter == METER


@MAY_HANG
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_a_browser_shows_it_without_requests(
    browser: object, whole: EvaluationResult, tmp_path: Path, scheme: str, width: int
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html_report.write(whole, EPOCHS), encoding="utf-8")
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, path.as_uri(), **options) as (page, seen):
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen.problems == seen.messages == []
    assert seen.requests == [path.as_uri()]
    assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(17, 21, 27)"}[scheme]
