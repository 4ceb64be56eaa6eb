"""genrekit explain as a process: what it says, what it writes, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from genrekit import demo
from in_process import Done, genrekit

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.write(tmp_path_factory.mktemp("audio"))[0]


def explain(*arguments: str | Path) -> Done:
    return genrekit("explain", "--model", TINY, *arguments, COLUMNS="200")


def test_it_says_which_seconds_and_bands(drums: Path) -> None:
    done = explain(drums, "--genre", "jazz")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("jazz  ")
    assert "deciding seconds" in done.stdout
    assert "Hz" in done.stdout
    assert re.search(r"times the odds \(\+\d\.\d\d nats\)|hardly matters", done.stdout)
    assert re.search(r"check: this evidence (holds|does NOT hold)\. Masking", done.stdout)


def test_json_and_html(drums: Path, tmp_path: Path) -> None:
    done = explain(drums, "--json", "-o", tmp_path / "why.html")
    assert done.returncode == 0
    fields = json.loads(done.stdout)
    assert fields["genre"] == fields["prediction"]["label"]
    assert (tmp_path / "why.html").stat().st_size > 100_000


def test_wrong_usage_and_failures(drums: Path, tmp_path: Path) -> None:
    wrong = explain(drums, "--genre", "jaz")
    assert wrong.returncode == 2
    assert "did you mean 'jazz'" in wrong.stderr
    assert explain(drums, "-o", "why.doc").returncode == 2
    missing = explain(tmp_path / "missing.mp3")
    assert missing.returncode == 1
    assert "missing.mp3" in missing.stderr
