"""The doctor: finds what is really broken, and names what to do."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from click import unstyle as strip_styles

from genrekit import doctor
from genrekit.cli.doctor import command
from genrekit.models import registry

ROOT = Path(__file__).resolve().parents[1]
EMBEDDED = [
    name for name in registry.names() if registry.locate(name).parent == registry.embedded_folder()
]
needs_model = pytest.mark.skipif(
    not registry.embedded_folder().is_dir(), reason="no model is embedded in this checkout"
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "genrekit", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )


def of(check: str) -> list[doctor.Check]:
    return list(doctor.CHECKS[check](check))


def test_both_decoders_read_every_sample_of_the_made_flac() -> None:
    for check in ("libsndfile", "ffmpeg"):
        findings = of(check)
        assert findings[0].status == "ok"
        assert "44,100 samples decoded" in findings[0].text


def test_a_check_that_cannot_run_is_a_problem_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as where its shared library is missing
    for slow in ("golden prediction", "gpu"):
        monkeypatch.delitem(doctor.CHECKS, slow)
    findings = list(doctor.examine())
    assert [f.status for f in findings if f.check == "ffmpeg"] == ["problem"]
    assert [f.status for f in findings if f.check == "libsndfile"] == ["ok"]
    assert {f.check for f in findings} == set(doctor.CHECKS)


def test_a_folder_that_cannot_be_written_is_named_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where the folder should be stops everyone, root too.
    (tmp_path / "home").write_text("not a folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    problem = of("folders")[0]
    assert problem.status == "problem"
    assert str(tmp_path) in problem.text
    assert "set XDG_DATA_HOME" in problem.text


def test_looking_at_the_folders_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert {finding.status for finding in of("folders")} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_recorded_predictions_are_compared_label_by_label() -> None:
    recorded = {"drums": {"jazz": 0.7, "rock": 0.3}}
    near = {"drums": {"jazz": 0.69, "rock": 0.31}}
    swapped = {"drums": {"rock": 0.7, "jazz": 0.3}}
    other_track = {"strings": {"jazz": 0.7, "rock": 0.3}}
    assert doctor.compare_predictions("golden", "m", recorded, near).status == "ok"
    assert "off by 0.400" in doctor.compare_predictions("golden", "m", recorded, swapped).text
    assert doctor.compare_predictions("golden", "m", recorded, other_track).status == "problem"


def test_an_edited_model_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    (folder / "model.onnx").write_bytes(b"")
    monkeypatch.setenv("GENREKIT_MODELS", str(folder.parent))
    problems = [finding.text for finding in of("models") if finding.status == "problem"]
    assert any(str(folder) in text for text in problems)


@needs_model
def test_the_golden_prediction_of_every_embedded_model_holds() -> None:
    findings = of("golden prediction")
    assert [finding.status for finding in findings] == ["ok"] * len(EMBEDDED), findings


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as if it were embedded, with its predictions recorded by the script."""
    place = tmp_path_factory.mktemp("recorded")
    shutil.copytree(ROOT / "tests" / "golden" / "tiny", place / "models" / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        as_embedded(place, patch)
        runpy.run_path(str(ROOT / "scripts" / "make_golden.py"), run_name="__main__")
    return place


def as_embedded(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "embedded_folder", lambda: place / "models")
    patch.setattr(doctor, "GOLDEN", place / "golden.json")


@pytest.fixture
def embedded_tiny(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded model that a test may change."""
    place = shutil.copytree(recorded, tmp_path / "place")
    as_embedded(place, monkeypatch)
    return place / "models" / "tiny"


def test_a_recorded_prediction_holds(embedded_tiny: Path) -> None:
    finding = of("golden prediction")[0]
    assert finding.status == "ok"
    assert "3 synthetic tracks within 0.0000" in finding.text


def test_two_swapped_labels_are_noticed(embedded_tiny: Path) -> None:
    card = registry.read_card(embedded_tiny / "card.json")
    first, second, *others = card.labels
    swapped = card.model_copy(update={"labels": (second, first, *others)})
    registry.write_card(embedded_tiny, swapped)
    assert of("golden prediction")[0].status == "problem"


def test_another_network_than_the_recorded_one_is_noticed(embedded_tiny: Path) -> None:
    recorded = json.loads(doctor.GOLDEN.read_text(encoding="utf-8"))
    recorded["tiny"]["onnx_sha256"] = "0" * 64
    doctor.GOLDEN.write_text(json.dumps(recorded))
    assert "has no predictions of tiny" in of("golden prediction")[0].text


@pytest.mark.slow
def test_the_verb_says_whether_all_is_well_even_without_a_home(tmp_path: Path) -> None:
    home = tmp_path / "no" / "home"
    done = run("--json", HOME=str(home), XDG_DATA_HOME="", XDG_CACHE_HOME="")
    report = json.loads(done.stdout)
    problems = [f["text"] for f in report["findings"] if f["status"] == "problem"]
    assert report["ok"] == (not problems)
    assert done.returncode == (1 if problems else 0), problems
    assert {f["check"] for f in report["findings"]} == set(doctor.CHECKS) - (
        set() if EMBEDDED else {"golden prediction"}
    )
    assert not home.exists()


def test_the_verb_prints_one_line_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for slow in ("golden prediction", "gpu"):
        monkeypatch.delitem(doctor.CHECKS, slow)
    with pytest.raises(typer.Exit) as ended:
        command(as_json=False)
    assert ended.value.exit_code == 1
    lines = [strip_styles(line) for line in capsys.readouterr().out.splitlines()]
    assert re.fullmatch(r"\d+ problems? found\.", lines[-1])
    assert {line.split()[0] for line in lines[:-1]} == {"ok", "problem"}
    assert len([line for line in lines if line.startswith("problem  ffmpeg: ")]) == 1
