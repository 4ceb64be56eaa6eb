"""Every verb on the core install: it works, or one sentence says how to get what it needs.

By default the packages of the extras are hidden from a process; with GENREKIT_FULL=1 the core is
installed from a wheel into a virtual environment of its own, and the same commands are run there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

import made_music
from genrekit import extras
from verb_commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "golden" / "tiny"
DB = ["--db", "music.db"]
# Each verb's arguments, and which package it lacks; None: it needs none beyond the core.
# A verb that needs one has a second line where it works without.
CASES: list[tuple[str, list[str], str | None]] = [
    ("batch status", ["out.jsonl"], None),
    ("compare", ["out/metrics.json", "out/metrics.json"], None),
    ("datasets audit", ["music", "--min-seconds", "1"], None),
    ("datasets check", ["music"], None),
    ("datasets get", ["fma-small", "--dry-run"], None),
    ("datasets info", ["music"], None),
    ("datasets list", [], None),
    ("demo", ["-o", "tracks"], None),
    ("doctor", [], None),
    ("evaluate", [str(TINY), "--data", "music", "--split", "track", "-o", "out"], "matplotlib"),
    ("evaluate", ["cnn.toml", "--data", "music", "--split", "track"], "torch"),
    ("explain", ["song.flac", "--model", str(TINY)], None),
    ("explain", ["song.flac", "--model", str(TINY), "-o", "why.png"], "matplotlib"),
    ("explain", ["song.flac", "--model", str(TINY), "--method", "gradcam"], "torch"),
    ("features extract", ["song.flac", "-o", "song.csv"], None),
    ("features extract", ["song.flac", "-o", "song.parquet"], "pyarrow"),
    ("genres add", ["new", "song.flac", *DB], "onnx"),
    ("library correct", ["music/jazz/0.wav", "--genre", "rock", *DB], None),
    ("library corrections", DB, None),
    ("library duplicates", DB, None),
    ("library export", [*DB, "-o", "all.csv"], None),
    ("library export", [*DB, "-o", "all.parquet"], "pyarrow"),
    ("library list", DB, None),
    ("library scan", ["music", "--model", str(TINY), *DB], None),
    ("library show", ["music/jazz/0.wav", *DB], None),
    ("library similar", ["music/jazz/0.wav", *DB], None),
    ("library status", DB, None),
    ("library uncertain", DB, None),
    ("models export", [str(TINY), "-o", "tiny.zip"], None),
    ("models install", ["hub:owner/name"], "huggingface_hub"),
    ("models install", [str(TINY)], None),
    ("models list", [], None),
    ("models show", ["fast"], None),
    ("models verify", [str(TINY)], None),
    ("models weights", ["--help"], None),
    ("predict", ["song.flac", "--engine", "local", "-o", "out.jsonl"], None),
    ("predict", ["song.flac", "--timeline", "-o", "song.png"], "matplotlib"),
    ("predict", ["song.flac", "--engine", "ray", "-o", "ray.jsonl"], "ray"),
    ("predict", ["s3://bucket/a.mp3", "-o", "x.jsonl", "--engine", "local"], "fsspec"),
    ("reproduce", ["--list"], None),
    ("library serve", ["--port", "0", *DB], "fastapi"),
    ("serve", ["--port", "0"], "fastapi"),
    ("spectrogram", ["song.flac", "-o", "song.png"], "matplotlib"),
    ("tag apply", ["plan.jsonl", *DB], None),
    ("tag plan", ["music", "--model", str(TINY), *DB, "-o", "plan.jsonl"], None),
    ("tag normalise", ["music", "-o", "normal.jsonl"], None),
    ("tag runs", DB, None),
    ("tag undo", ["--dry-run", *DB], None),
    ("tag verify", ["plan.jsonl"], None),
    ("train", ["--data", "music"], "torch"),
]
ENDLESS = {"watch"}  # it needs what `library scan` needs
HIDE = f"import sys; sys.modules.update(dict.fromkeys({sorted(extras.EXTRAS)!r}))"
# Text files have an encoding of their own, not the system's, which is another on Windows.
ENCODING = "import warnings; warnings.filterwarnings('error', '', EncodingWarning, 'genrekit')"
RUN = """
import contextlib, io, json, os, sys
from genrekit.cli import main

def run(arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.build()(arguments, prog_name="genrekit")
        except SystemExit as error:
            code = error.code or 0
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    return code, out.getvalue(), err.getvalue()

if __name__ == "__main__":
    print(json.dumps([run(each) for each in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    soundfile.write(folder / "song.flac", made_music.song(0, 3), made_music.SAMPLE_RATE)
    for index, genre in enumerate(("jazz", "jazz", "jazz", "rock", "rock", "rock")):
        path = folder / "music" / genre / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        made_music.write(path, made_music.song(index, 4))
    shutil.copytree(TINY, folder / "models" / "tiny")
    return folder


def ordered() -> list[tuple[str, list[str], str | None]]:
    """Return the cases so that each finds what an earlier one wrote."""
    first = ["library scan", "tag plan", "tag apply", "evaluate", "predict"]
    return sorted(CASES, key=lambda case: first.index(case[0]) if case[0] in first else 99)


def answers(python: str | Path, place: Path, before: str = "", **environment: str) -> list[Any]:
    """Run every case in one process of an interpreter; return exit codes and what was written."""
    (place / "run.py").write_text(f"{before}\n{RUN}", encoding="utf-8")
    done = subprocess.run(
        [python, "run.py"],
        input=json.dumps([[*verb.split(), *arguments] for verb, arguments, _ in ordered()]),
        env={**os.environ, **environment},
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


def check(found: list[Any]) -> None:
    for (verb, arguments, lacks), (code, out, err) in zip(ordered(), found, strict=True):
        case = f"{verb} {' '.join(arguments)}: {code}\n{out}{err}"
        if lacks is None:
            assert code == 0, case
            continue
        assert code == 1, case
        line = next((its for its in err.splitlines() if "pip install" in its), "")
        assert "which is not installed" in line or lacks == "fsspec", case
        extra = {"fsspec": "ray,s3"}.get(lacks, extras.EXTRAS[lacks])
        assert f"[{extra}]'" in line, case


def test_every_verb_is_tried() -> None:
    assert {verb for verb, _, _ in CASES} | ENDLESS == set(COMMANDS)


@pytest.mark.slow
def test_every_verb_where_the_packages_of_the_extras_are_hidden(place: Path) -> None:
    strict = {"PYTHONWARNDEFAULTENCODING": "1"}
    found = answers(sys.executable, place, f"{HIDE}\n{ENCODING}", **strict)
    check(found)
    audit = next(its for case, its in zip(ordered(), found, strict=True) if "audit" in case[0])
    assert "note: labels were not ranked: that needs cleanlab" in audit[2]


@pytest.mark.full
def test_every_verb_in_a_core_only_environment(place: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True
    )
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    check(answers(python, place, PYTHONPATH=""))
