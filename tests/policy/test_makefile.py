"""`make predict` hands a file's name on as it was typed, and makes tracks when it gets none."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW_ARGUMENTS = """#!/bin/sh
printf '<%s>' "$@"
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and a ready environment whose genrekit shows its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    genrekit = tmp_path / ".venv" / "bin" / "genrekit"
    genrekit.parent.mkdir(parents=True)
    genrekit.write_text(SHOW_ARGUMENTS)
    genrekit.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(checkout: Path, *arguments: str) -> str:
    own = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "FILE"}  # of the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run(
        ["make", "--silent", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize(
    "name",
    ["song.mp3", "a song.mp3", "it's.mp3", 'say "hi".mp3', "100$HOME.mp3", "-x;ls.mp3", "ü.ogg"],
)
def test_predict_hands_the_name_on_as_it_was_typed(checkout: Path, name: str) -> None:
    assert make(checkout, "predict", f"FILE={name}") == f"<predict><--><{name}>"


def test_predict_without_a_file_makes_tracks_and_predicts_them(checkout: Path) -> None:
    assert make(checkout, "predict") == "<demo><predict><demo>"


def test_help_names_every_target(checkout: Path) -> None:
    shown = make(checkout, "help")
    for target in ("predict", "test", "system", "bench", "mutations", "clean"):
        assert f"make {target} " in shown


def test_clean_removes_what_make_made_and_nothing_else(checkout: Path) -> None:
    (checkout / "demo").mkdir()
    (checkout / "song.mp3").touch()
    make(checkout, "clean")
    assert sorted(path.name for path in checkout.iterdir()) == [
        "Makefile",
        "pyproject.toml",
        "song.mp3",
    ]


def test_every_mutation_of_make_mutations_can_be_applied() -> None:
    for mutation in runpy.run_path(str(ROOT / "scripts" / "mutations.py"))["MUTATIONS"]:
        assert (ROOT / mutation.path).read_text(encoding="utf-8").count(mutation.old) == 1
        assert all((ROOT / name).exists() for name in mutation.tests)
