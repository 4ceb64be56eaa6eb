"""What could differ on Windows and macOS, faked: no such machine runs these tests."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import genrekit as package
from genrekit import demo, files
from genrekit.batch import rendering
from genrekit.errors import DatasetError
from genrekit.library import exporting
from genrekit.library.query import LibraryEntry

TINY = Path(__file__).parent / "golden" / "tiny"
SOURCE = Path(package.__file__).parent
# Python starts it in every process, those of the workers too: for genrekit, resource and fcntl are
# not there, no process is forked, and what else of os is POSIX's own is missing.
WINDOWS = """
import builtins, os

for name in ("nice", "sched_getaffinity", "getuid", "memfd_create"):
    delattr(os, name)

def fork():
    raise OSError("no process is forked here")

os.fork = fork
plain = builtins.__import__

def without(name, globals=None, locals=None, fromlist=(), level=0):
    importer = str((globals or {}).get("__name__", ""))
    if name in ("resource", "fcntl", "pwd", "grp") and importer.partition(".")[0] == "genrekit":
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return plain(name, globals, locals, fromlist, level)

builtins.__import__ = without
"""


@pytest.fixture
def windows(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that lacks what Windows lacks."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WINDOWS, encoding="utf-8")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(SOURCE.parent)]),
    }


def run(environment: dict[str, str], folder: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "genrekit", *map(str, arguments)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_verbs_run_without_what_posix_alone_has(
    windows: dict[str, str], tmp_path: Path
) -> None:
    demo.write(tmp_path / "demo")
    lacks = "import os, genrekit.cli.main; print(hasattr(os, 'nice'))"
    checked = [sys.executable, "-c", lacks]
    done = subprocess.run(checked, env=windows, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    model = ["--model", TINY]
    predicted = run(windows, tmp_path, "predict", "demo", "--jobs", 2, "--json", *model)
    assert len(predicted.splitlines()) == len(demo.NAMES)
    assert ": ok (" in run(windows, tmp_path, "models", "verify", TINY)
    scan = ["--db", "music.db", "--jobs", 1, "--nice", 5, "--json"]
    report = json.loads(run(windows, tmp_path, "library", "scan", "demo", *scan, *model))
    assert report["n_analysed"] == 3


def test_a_file_that_another_program_holds_open_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to rename over a file that is open elsewhere."""
    target = tmp_path / "table.csv"
    target.write_text("old", encoding="utf-8")

    def refuse(source: object, to: object) -> None:
        raise PermissionError(13, "The process cannot access the file", str(to))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=r"table\.csv"), files.write_beside(target) as stream:
        stream.write(b"new")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target], "nothing is left beside it"


def test_names_that_differ_by_case_alone_do_not_replace_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and macOS take Song.png and song.png for one file."""
    for name in ("Song.wav", "song.wav"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    assert len(rendering.targets(str(tmp_path / "in"), tmp_path / "out")) == 2
    monkeypatch.setattr(os.path, "normcase", lambda path: os.fspath(path).lower())
    with pytest.raises(DatasetError, match="would have one image"):
        rendering.targets(str(tmp_path / "in"), tmp_path / "out")


def test_playlists_have_names_that_every_system_takes(tmp_path: Path) -> None:
    labels = ["Rock", "rock", "R&B/Soul", 'a\\b:c*?"<>|', "con", "Drum & Bass.", ".."]
    known = {"tags": {"artist": None, "title": None}, "duration_seconds": None}
    entries = [
        cast(LibraryEntry, SimpleNamespace(path=Path(f"{index}.mp3"), label=label, **known))
        for index, label in enumerate(labels)
    ]
    assert exporting.write("m3u", cast(Iterable[LibraryEntry], entries), (), tmp_path) == (7, [])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len({name.casefold() for name in names}) == len(labels)
    assert not [name for name in names if set(name) & set('\\/:*?"<>|')]
    assert not [name for name in names if name.removesuffix(".m3u8").rstrip(". ") + ".m3u8" != name]
    assert "con_.m3u8" in names
    assert {"Rock.m3u8", "rock (2).m3u8"} <= set(names)


@pytest.mark.untraced
def test_processes_are_spawned_and_never_forked() -> None:
    """Windows cannot fork and macOS must not: every process is a fresh interpreter."""
    forks = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            if name in ("os.fork", "os.forkpty", "ProcessPoolExecutor", "multiprocessing.Process"):
                forks.append(f"{path.name}: {name}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_context"):
                method = ast.literal_eval(node.args[0])
                forks += [] if method == "spawn" else [f"{path.name}: {method}"]
    assert forks == []
