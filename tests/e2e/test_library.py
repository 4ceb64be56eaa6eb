"""The library verbs as a user runs them, over a small library with odd names and broken files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import odd_tags
from genrekit import demo
from in_process import genrekit

TINY = Path(__file__).parents[1] / "golden" / "tiny"
ODD = os.fsdecode(b"caf\xe9 \n'\"\xf0\x9f\x8e\xb5.wav")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for path in demo.write(folder):
        path.rename(folder / ODD if path.stem == "drums" else path)
    (folder / "text.mp3").write_text("no audio")
    (folder / "empty.mp3").touch()
    os.mkfifo(folder / "pipe.mp3")
    (folder / "loop").symlink_to(folder)
    return folder


@pytest.fixture(scope="module")
def scanned(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a first scan, checked on the way."""
    db = tmp_path_factory.mktemp("db") / "l.sqlite3"
    dry = genrekit("library", "scan", music, "--db", db, "--dry-run", "--json")
    assert dry.returncode == 0
    assert json.loads(dry.stdout)["n_new"] == 5
    done = genrekit("library", "scan", music, "--db", db, "--model", TINY, "--nice", 5)
    assert done.returncode == 1
    assert "5 files: 5 new" in done.stdout
    assert "3 analysed" in done.stdout
    assert "2 failed\n" in done.stdout
    complaints = done.stderr.splitlines()
    assert len(complaints) == 3
    assert any("pipe.mp3: left out: a pipe" in line for line in complaints)
    assert any("text.mp3: no audio can be found" in line for line in complaints)
    assert any("empty.mp3: is empty (0 bytes)" in line for line in complaints)
    return db


def test_a_second_scan_finds_nothing_to_do(music: Path, scanned: Path) -> None:
    done = genrekit("library", "scan", music, "--db", scanned, "--model", TINY, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["n_files"], report["n_new"], report["n_analysed"]) == (5, 0, 0)
    assert report["problems"] == [f"{music}/pipe.mp3: left out: a pipe or a device, not a file"]


def test_list_show_status_similar_and_export(music: Path, scanned: Path, tmp_path: Path) -> None:
    listed = genrekit("library", "list", "--db", scanned, "--json")
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {entry["path"] for entry in entries} == {
        str(music / name) for name in ("guitar.flac", "strings.flac", ODD)
    }
    done = genrekit("library", "list", "--db", scanned, "--missing-tag", cwd=music)
    lines = done.stdout.splitlines()
    assert lines.pop(0).split() == ["genre", "sure", "tag", "file"]
    assert len(lines) == 3  # also the one with a line break in its name
    assert {line[46:] for line in lines} == {
        "guitar.flac",
        "strings.flac",
        "caf\\udce9 \\n'\"🎵.wav",
    }
    failed = genrekit("library", "list", "--db", scanned, "--failed").stdout.splitlines()
    assert [line.partition(": ")[0] for line in failed] == [
        str(music / "empty.mp3"),
        str(music / "text.mp3"),
    ]
    shown = genrekit("library", "show", music / ODD, "--db", scanned).stdout
    assert "caf\\udce9 \\n" in shown
    assert "audio" in shown
    music_bytes = (music / ODD).read_bytes()
    tags = odd_tags.ape([(b"Genre", 0, b"Rock")]) + b"TAG" + bytes(124) + b"\x08"
    (music / ODD).write_bytes(music_bytes + tags)
    shown = genrekit("library", "show", music / ODD, "--db", scanned).stdout
    (music / ODD).write_bytes(music_bytes)
    assert "  but          ID3v1: Jazz\n" in shown
    status = json.loads(genrekit("library", "status", "--db", scanned, "--json").stdout)
    assert (status["n_files"], status["n_failed"], status["n_untagged"]) == (5, 2, 5)
    found = genrekit("library", "similar", music / "guitar.flac", "--db", scanned, "--json")
    assert len(json.loads(found.stdout)) == 2
    done = genrekit(
        "library", "export", "-o", tmp_path / "lists", "--format", "m3u", "--db", scanned
    )
    assert done.returncode == 1
    assert "a playlist cannot hold a name with a line break" in done.stderr
    assert "2 tracks written" in done.stdout


def test_without_a_library_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = genrekit("library", "list", "--db", tmp_path / "l.sqlite3")
    assert done.returncode == 1
    assert "make one with `genrekit library scan FOLDER`" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(scanned: Path) -> None:
    done = genrekit("library", "scan", "/absent", "--db", scanned)
    assert done.returncode == 1
    assert done.stderr == (
        "genrekit: error: /absent: No such file or directory; give a folder that is there\n"
    )
