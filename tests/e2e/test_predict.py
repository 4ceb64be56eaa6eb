"""genrekit predict: what it writes, where, in which order, with which exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from genrekit import Prediction, demo
from in_process import Done, genrekit

TINY = Path(__file__).parents[1] / "golden" / "tiny"
GENREKIT = [sys.executable, "-m", "genrekit"]


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the made tracks, one of them in a folder below, and what is no audio."""
    folder = tmp_path_factory.mktemp("audio")
    demo.write(folder)
    (folder / "below").mkdir()
    shutil.copy(folder / "drums.flac", folder / "below" / "träume.flac")
    (folder / "notes.txt").write_text("no audio", encoding="utf-8")
    (folder / ".hidden.flac").write_bytes(b"")
    return folder


def predict(*arguments: str | Path, cwd: Path, **options: Any) -> Done:
    """Run the verb in this process; stdin and environment variables may be given."""
    return genrekit("predict", "--model", TINY, *arguments, cwd=cwd, **options)


def predict_in_a_process(
    *arguments: str | Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GENREKIT, "predict", "--model", str(TINY), *map(os.fspath, arguments)],
        cwd=cwd,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
    )


def lines(done: Done | subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_file_on_a_terminal(audio: Path) -> None:
    done = predict_in_a_process("drums.flac", cwd=audio, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()
    assert shown[0] == "drums.flac  0:12.0"
    assert len(shown) == 4
    assert all("█" in line and line.endswith(" %") for line in shown[1:])
    shares = [float(line.split()[-2]) for line in shown[1:]]
    assert shares == sorted(shares, reverse=True)


def test_bars_where_only_ascii_can_be_shown(audio: Path) -> None:
    done = predict_in_a_process("drums.flac", cwd=audio, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "###" in done.stdout


@pytest.mark.parametrize("model", [TINY, "fast"])
def test_timeline_and_top(audio: Path, model: str | Path) -> None:
    options = ["--timeline", "--top", "1", "--model", model]
    done = predict("drums.flac", *options, cwd=audio)
    shown = done.stdout.splitlines()
    assert len(shown) == 1 + 1 + 1
    assert shown[2].split()[:3] == ["0:00.0", "-", "0:12.0"]
    assert shown[2].split()[3] == shown[1].split()[0]
    assert shown[2].split()[-2:] == shown[1].split()[-2:], "one span has the track's probability"


def test_timeline_forms(audio: Path, tmp_path: Path) -> None:
    for name in ("drums.csv", "drums.json", "drums.txt", "drums.png", "drums.svg"):
        done = predict("drums.flac", "--timeline", "-o", tmp_path / name, cwd=audio)
        assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "drums.csv").read_text(encoding="utf-8"))))
    assert [float(row["start_seconds"]) for row in rows] == [1.5 * index for index in range(8)]
    assert {row["path"] for row in rows} == {"drums.flac"}
    (predicted,) = json.loads((tmp_path / "drums.json").read_text(encoding="utf-8"))
    assert len(predicted["timeline"]["cells"]) == len(rows)
    labels = (tmp_path / "drums.txt").read_text(encoding="utf-8").split("\t")
    assert labels == ["0.000000", "12.000000", predicted["label"] + "\n"]
    assert (tmp_path / "drums.png").read_bytes().startswith(b"\x89PNG")


def test_a_timeline_of_several_files_needs_a_form_that_holds_them(audio: Path) -> None:
    done = predict(".", "--timeline", "-o", "out.png", cwd=audio, COLUMNS="200")
    assert done.returncode == 2
    assert "got 4 files" in done.stderr
    rest = predict(".", "--timeline", "--csv", cwd=audio)
    rows = list(csv.DictReader(io.StringIO(rest.stdout)))
    assert len({row["path"] for row in rows}) == 4


def test_a_folder_as_json_lines(audio: Path) -> None:
    done = predict(".", "--json", cwd=audio)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["below/träume.flac", "drums.flac", "guitar.flac", "strings.flac"]
    assert [line["path"] for line in lines(done)] == names
    for line in done.stdout.splitlines():
        predicted = Prediction.from_json(line)
        assert predicted.to_json() == line
        assert len(predicted.genres) == 10
        assert predicted.model.name == "tiny"


def test_patterns_lists_and_repeated_names(audio: Path) -> None:
    names = b"guitar.flac\nmissing.flac\n\ndrums.flac\n"
    done = predict("**/tr*.flac", "-", "drums.flac", "--json", cwd=audio, stdin=names)
    assert done.returncode == 1
    found = lines(done)
    paths = ["below/träume.flac", "guitar.flac", "missing.flac", "drums.flac"]
    assert [line["path"] for line in found] == paths
    assert found[2].keys() == {"path", "error"}
    nul = predict("-", "--json", cwd=audio, stdin=b"drums.flac\0guitar.flac\0")
    assert [line["path"] for line in lines(nul)] == ["drums.flac", "guitar.flac"]


def test_csv(audio: Path) -> None:
    done = predict("drums.flac", "notes.txt", "--csv", cwd=audio)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert rows[0]["path"] == "drums.flac"
    labels = [column for column in rows[0] if column.startswith("p_")]
    assert len(labels) == 10
    assert sum(float(rows[0][label]) for label in labels) == pytest.approx(1, abs=1e-5)
    assert float(rows[0]["probability"]) == max(float(rows[0][label]) for label in labels)
    assert rows[1]["label"] == ""
    assert "notes.txt" in rows[1]["error"]


def test_the_batch_goes_on_and_names_the_failures(audio: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    bad = [tmp_path / "empty.mp3", tmp_path / "nothing", audio / "notes.txt", "no such.mp3"]
    done = predict(*bad, "drums.flac", cwd=audio)
    assert done.returncode == 1
    assert done.stdout.startswith("drums.flac")
    sentences = done.stderr.splitlines()
    assert len(sentences) == len(bad) + 1
    for line, path in zip(sentences, bad, strict=False):
        assert line.startswith(f"genrekit: {path}: ")
        assert line.count(str(path)) == 1
    assert sentences[-1] == "genrekit: 4 of 5 files failed"


@pytest.mark.parametrize("kind", ["--json", "--csv"])
def test_output_appears_whole(audio: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "predictions"
    done = predict("drums.flac", kind, "-o", target, cwd=audio)
    assert (done.returncode, done.stdout) == (0, "")
    assert target.read_bytes() == predict("drums.flac", kind, cwd=audio).stdout_bytes
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of raw bytes")
@pytest.mark.parametrize("kind", ["--json", "--csv", "--top=1"])
def test_a_name_that_is_no_text(audio: Path, tmp_path: Path, kind: str) -> None:
    name = b"caf\xe9\x1b[31m.flac"
    shutil.copy(audio / "drums.flac", os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118
    done = predict_in_a_process(".", kind, cwd=tmp_path, LC_ALL="C.UTF-8")
    assert (done.returncode, done.stderr) == (0, "")
    if kind == "--json":
        assert os.fsencode(lines(done)[0]["path"]) == name
    else:
        assert r"caf\udce9" in done.stdout
    if kind == "--top=1":
        assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.flac", "--json", "--csv"],
        ["a.flac", "--segments", "0"],
        ["a.flac", "--segments", "many"],
        ["a.flac", "--jobs", "0"],
        ["a.flac", "--top", "0"],
        ["a.flac", "--min-precision", "1.5"],
    ],
)
def test_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    done = predict(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere/model"], "is not a folder"),
        (["--model", "tinny"], "unknown model 'tinny'"),
        (["--min-precision", "0.99"], "cannot reach a precision of 0.99"),
    ],
)
def test_a_model_that_will_not_do(audio: Path, arguments: list[str], message: str) -> None:
    done = predict("drums.flac", *arguments, cwd=audio)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("genrekit: error: ")
    assert message in done.stderr


def test_abstaining_says_so(audio: Path) -> None:
    done = predict("drums.flac", "--min-precision", "0.9", cwd=audio)
    predicted = lines(predict("drums.flac", "--min-precision", "0.9", "--json", cwd=audio))[0]
    assert predicted["threshold"] == 0.5
    assert (
        predicted["abstained"] == (predicted["label"] is None) == (predicted["probability"] < 0.5)
    )
    assert ("I don't know" in done.stdout) == predicted["abstained"]


def test_workers_give_what_one_process_does(audio: Path) -> None:
    alone, workers = (predict(".", "--json", "--jobs", n, cwd=audio) for n in ("1", "2"))
    assert (alone.returncode, workers.returncode) == (0, 0), workers.stderr
    assert workers.stdout == alone.stdout


def test_each_prediction_is_written_as_soon_as_it_is_ready(audio: Path, tmp_path: Path) -> None:
    """The reader of a pipe gets the first line while the second file is still being processed."""
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, 16000 * 600), 16000)
    command = [*GENREKIT, "predict", "--model", str(TINY), "--json", "--segments", "all"]
    names = [str(audio / "drums.flac"), str(tmp_path / "long.wav")]
    with subprocess.Popen([*command, *names], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        assert process.poll() is None
        assert len(process.stdout.readlines()) == 1
    assert process.returncode == 0


def test_a_reader_that_leaves_is_no_error(audio: Path) -> None:
    command = [*GENREKIT, "predict", "--model", str(TINY), "--json", "drums.flac"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command, cwd=audio, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, 16000 * 1200), 16000)
    names = [str(tmp_path / "long.wav"), str(tmp_path / "x.wav")]
    command = [*GENREKIT, "predict", "--model", str(TINY), "--segments", "all", "-o", "out", *names]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".out*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    # CPython ends by the signal itself where Ctrl-C met an exec of text (a dataclass imported).
    assert process.returncode in {130, -signal.SIGINT}
    assert printed == b""
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]
