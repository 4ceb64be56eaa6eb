"""genrekit models as a user has it: list, show, verify, install, export, weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from genrekit.cli import main

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("GENREKIT_MODELS", str(TINY))
    return tmp_path / "home"


def models(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.build(), ["models", *map(str, arguments)])


def rows() -> dict[str, dict]:
    done = models("list", "--json")
    assert done.exit_code == 0
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_list_and_show() -> None:
    assert rows()["tiny"]["path"] == str(TINY)
    assert rows()["tiny"]["labels"] == 10
    assert "tiny" in models("list").stdout
    assert models("show", "tiny").stdout == (TINY / "README.md").read_text(encoding="utf-8")
    card = json.loads(models("show", "tiny", "--json").stdout)
    assert card == json.loads((TINY / "card.json").read_text(encoding="utf-8"))


def test_export_install_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "tiny.zip"
    assert models("export", "tiny", "-o", archive).exit_code == 0
    monkeypatch.delenv("GENREKIT_MODELS")
    done = models("install", archive)
    assert (done.exit_code, done.stdout.split()[:2]) == (0, ["installed", "tiny"])
    assert models("verify", "tiny").stdout.startswith("tiny: ok")
    again = models("install", archive)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert models("install", archive, "--overwrite").exit_code == 0


def test_a_broken_model_is_listed_verified_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(TINY, tmp_path / "broken"))
    (broken / "model.onnx").write_bytes(b"edited")
    monkeypatch.setenv("GENREKIT_MODELS", str(broken))
    assert "was edited" in rows()["broken"]["problem"]
    done = models("verify")
    assert done.exit_code == 1
    assert "was edited" in done.stderr
    for arguments in (
        ["show", "broken"],
        ["install", broken],
        ["export", "broken", "-o", tmp_path / "x"],
    ):
        done = models(*arguments)
        assert done.exit_code == 1
        assert done.stderr.startswith("genrekit: error: ")
    assert not (tmp_path / "x").exists()


def test_unknown_names() -> None:
    for arguments in (["show", "tinny"], ["export", "tinny", "-o", "x"], ["weights", "musican"]):
        done = models(*arguments)
        assert done.exit_code == 1
        assert "did you mean" in done.stderr


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    done = models("install", "hub:not a valid id")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "genrekit[hub]" in done.stderr or "cannot be downloaded" in done.stderr
