"""genrekit datasets, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from genrekit.cli import main
from genrekit.datasets import layouts


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main.build(), ["datasets", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tracks each of polka and ska, one second each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    root = tmp_path / "music"
    for number in range(6):
        path = root / ("polka", "ska")[number % 2] / f"{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.5 * np.sin(0.01 * (number + 5) * np.arange(16000)), 16000)
    return root


def test_list_names_every_layout_with_its_splits() -> None:
    code, output, _ = run("list", "--json")
    rows = json.loads(output)
    assert code == 0
    assert [row["name"] for row in rows] == list(layouts())
    assert all("segment (LEAKY)" in row["splits"] for row in rows)
    code, output, _ = run("list")
    assert code == 0
    assert "get it with `genrekit datasets get fma-small`" in output
    assert "splits: segment (LEAKY), track, artist, fault-filtered\n" in output


def test_info_shows_genres_splits_and_what_was_left_out(music: Path) -> None:
    shutil.copy(music / "ska/1.flac", music / "loose.flac")
    code, output, errors = run("info", music)
    assert code == 0
    assert "6 tracks of 2 genres, no artists known" in output
    assert re.search(r"polka +3\nska +3\n", output)
    assert re.search(r"track +2 +2 +2", output)
    assert "loose.flac: skipped, it lies in no genre's folder" in errors


def test_info_as_json_and_a_split_that_cannot_be_made(music: Path) -> None:
    (music / "ska/1.flac").unlink()
    code, output, _ = run("info", music, "--json")
    facts = json.loads(output)
    assert code == 0
    assert facts["genres"] == {"polka": 3, "ska": 2}
    assert facts["n_artists"] == 0
    assert "genre 'ska' has 2 tracks" in facts["splits"]["track"]["problem"]
    code, output, _ = run("info", music)
    assert code == 0
    assert "genre 'ska' has 2 tracks" in output


def test_check_passes_whole_files(music: Path) -> None:
    code, output, errors = run("check", music)
    assert (code, output) == (0, "6 tracks, 0.00 hours: 0 bad\n")
    assert errors == ""


def test_check_names_each_bad_file_and_ends_in_1(music: Path) -> None:
    (music / "ska/1.flac").write_bytes((music / "ska/3.flac").read_bytes()[:2000])
    (music / "polka/0.flac").write_text("not audio")
    code, output, errors = run("check", music, "--jobs", "1")
    assert code == 1
    assert "2 bad" in output
    assert re.search(r"bad: polka/0: .*0\.flac", errors)
    assert re.search(r"bad: ska/1: .*1\.flac: cut short", errors)
    code, output, errors = run("check", music, "--json")
    report = json.loads(output)
    assert code == 1
    assert set(report["bad"]) == {"polka/0", "ska/1"}
    assert report["n_tracks"] == 6
    assert report["duration_seconds"] == pytest.approx(4.0)


def test_audit_names_what_it_found_and_lists_what_to_leave_out(music: Path) -> None:
    shutil.copy(music / "ska/3.flac", music / "polka/copy.flac")
    listed = music.parent / "out.tsv"
    code, output, errors = run("audit", music, "--no-labels", "-o", listed, "--min-seconds", "0.5")
    assert (code, errors) == (0, f"wrote {listed}\n")
    assert "exact repetition (1)\n  polka/copy, ska/3  the decoded audio is the same\n" in output
    assert "two labels (1)\n  polka/copy, ska/3  one recording is called polka and ska\n" in output
    assert output.endswith("7 tracks, 0.00 hours: 2 findings, 2 tracks to leave out\n")
    assert "polka/copy\ttwo labels: one recording is called polka and ska\tska/3" in (
        listed.read_text()
    )
    code, output, _ = run("audit", music, "--json", "--split", "track")
    found = json.loads(output)
    assert code == 0
    assert [its["check"] for its in found["findings"]].count("too short") == 7
    assert found["published"] is None
    assert found["notes"][0].startswith("labels were not ranked: genre 'polka' has tracks of 4")


def test_check_works_where_nothing_can_be_written(music: Path) -> None:
    blocked = music.parent / "blocked"
    blocked.write_text("a file in the place of a folder")
    environment = {**os.environ, "HOME": str(blocked), "XDG_CACHE_HOME": str(blocked / "cache")}
    command = [sys.executable, "-m", "genrekit", "datasets", "check", str(music)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 bad" in done.stdout


def test_get_shows_what_it_would_download(music: Path, tmp_path: Path) -> None:
    (tmp_path / "to/fma_metadata").mkdir(parents=True)
    code, output, _ = run("get", "fma-small", "-o", tmp_path / "to", "--dry-run")
    assert code == 0
    metadata, audio = output.splitlines()
    assert metadata.endswith("fma_metadata, which exists")
    assert audio.endswith(f"-> {tmp_path / 'to/fma_small'}")
    assert "(sha1:ade154f733639d52e35e32f5593efe5be76c6d70)" in audio
    code, output, _ = run("get", "gtzan", "--dry-run")
    assert str(tmp_path / "data/genrekit/datasets/gtzan/genres") in output


def test_get_does_nothing_where_everything_is_there(tmp_path: Path) -> None:
    (tmp_path / "genres").mkdir()
    assert run("get", "gtzan", "-o", tmp_path)[:2] == (0, f"{tmp_path}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "gtzam"], "unknown dataset 'gtzam'; did you mean 'gtzan'"),
        (["get", "folder"], "unknown dataset 'folder'"),
        (["info", "/no/such/folder"], "/no/such/folder does not exist"),
        (["audit", "/no/such/folder"], "/no/such/folder does not exist"),
        (["check", "/no/such/folder"], "/no/such/folder does not exist"),
        (["info", "gtzan"], "run `genrekit datasets get gtzan`"),
    ],
)
def test_errors_are_one_sentence_and_exit_code_1(
    arguments: list[str], message: str, music: Path
) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (1, "")
    assert message in errors
    assert errors.startswith("genrekit: error: ")
    assert errors.count("\n") == 1


@pytest.mark.shared
def test_info_of_gtzan_says_how_much_of_each_split_is_there(shared_data: Path) -> None:
    code, output, _ = run("info", shared_data / "gtzan")
    assert code == 0
    assert "703 tracks of 10 genres" in output
    assert re.search(r"fault-filtered +358 +154 +142 +of 443/197/290", output)
