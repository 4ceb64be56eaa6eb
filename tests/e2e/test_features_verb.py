"""``genrekit features extract`` on made audio: rows, labels, bad files, kills."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from genrekit import datasets
from genrekit.batch import feature_task, parts
from genrekit.batch.sources import BatchSource
from genrekit.cli import main
from genrekit.errors import AudioError
from genrekit.features import handcrafted

RATE = 22050


def write(path: Path, seconds: float, seed: int = 0) -> np.ndarray:
    """Write made audio and return what a reader finds in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    soundfile.write(path, samples.astype(np.float32), RATE, subtype="PCM_16")
    return soundfile.read(path, dtype="float32")[0]


def extract(*arguments: object) -> tuple[int, str]:
    command = ["features", "extract", *map(str, arguments)]
    result = CliRunner().invoke(main.build(), command)
    return result.exit_code, result.output


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def numbers(row: dict[str, str]) -> list[float]:
    return [float(row[name]) for name in handcrafted.COLUMNS]


def test_one_row_a_file(tmp_path: Path) -> None:
    samples = write(tmp_path / "in" / "Hip-Hop" / "a.wav", 0.7, seed=1)
    write(tmp_path / "in" / "my own" / "b.flac", 0.5, seed=2)
    table = tmp_path / "out" / "t.csv"
    code, output = extract(tmp_path / "in", "-o", table)
    assert (code, output.partition(" in ")[0]) == (0, f"{table}: 2 files, 2 rows")
    first, second = read(table)
    assert tuple(first) == feature_task.HEADER
    assert (first["filename"], first["length"], first["label"]) == ("a.wav", "15435", "hiphop")
    assert (second["filename"], second["label"]) == ("b.flac", "")
    assert numbers(first) == handcrafted.values(samples).tolist()
    assert list(table.parent.iterdir()) == [table]
    assert extract(tmp_path / "in", "-o", table, "--label-by-folder")[0] == 0
    assert [row["label"] for row in read(table)] == ["Hip-Hop", "my own"]
    assert datasets.open_dataset(str(table)).labels == ("Hip-Hop", "my own")


def test_one_row_a_segment(tmp_path: Path) -> None:
    samples = write(tmp_path / "rock" / "song.wav", 1.3)
    table = tmp_path / "t.csv"
    code, output = extract(tmp_path / "rock", "-o", table, "--segment-seconds", 0.5, "--json")
    assert code == 0
    summary = json.loads(output)
    assert summary.pop("seconds") > 0
    counts = {"n_files": 1, "n_rows": 3, "n_resumed": 0, "n_failed": 0}
    assert summary == {"output": str(table), **counts, "warnings": {}, "failures": {}}
    rows = read(table)
    assert [row["filename"] for row in rows] == [f"song.{index}.wav" for index in range(3)]
    assert {(row["length"], row["label"]) for row in rows} == {("11025", "rock")}
    assert numbers(rows[1]) == handcrafted.values(samples[11025:22050]).tolist()
    assert numbers(rows[2]) == handcrafted.values(samples[-11025:]).tolist()


def test_json_lines_and_parquet_hold_where_each_row_begins(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    song = tmp_path / "song.wav"
    write(song, 1.3)
    options = ("--segment-seconds", 0.5)
    assert extract(song, "-o", tmp_path / "t.jsonl", *options)[0] == 0
    assert extract(song, "-o", tmp_path / "t", *options)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["start_seconds"] for line in lines] == pytest.approx([0.0, 0.5, 0.8], abs=1e-4)
    rows = parquet.read_table(tmp_path / "t").to_pylist()
    assert [{k: v for k, v in row.items() if k != "error"} for row in rows] == lines


def test_a_bad_file_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    write(tmp_path / "good.wav", 0.5)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    table = tmp_path / "t.csv"
    code, output = extract(tmp_path, "-o", table)
    assert code == 1
    assert "bad.wav" in output
    assert "2 files, 1 failed, 1 rows" in output
    assert [row["filename"] for row in read(table)] == ["good.wav"]


def test_no_table_where_every_file_failed(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    code, output = extract(tmp_path / "bad.wav", "-o", tmp_path / "t.csv")
    assert code == 1
    assert "is not written" in output
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.wav"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for genre in ("rock", "jazz"):
        write(tmp_path / genre / "song.wav", 0.2)
    code, output = extract(tmp_path, "-o", tmp_path / "t.csv")
    assert code == 1
    assert "two files are called 'song'" in output


@pytest.mark.parametrize("seconds", ["0.05", "601", "nan"])
def test_segments_of_impossible_length_are_wrong_usage(tmp_path: Path, seconds: str) -> None:
    code, output = extract(tmp_path, "--segment-seconds", seconds)
    assert code == 2
    assert "0.1 to 600" in output


def test_a_file_too_long_for_one_row_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_task, "MAX_ROW_SECONDS", 1.0)
    write(tmp_path / "long.wav", 1.2)
    extract_file = feature_task.ExtractFeatures().start()
    with pytest.raises(AudioError, match="request a row a segment"):
        extract_file(BatchSource(str(tmp_path / "long.wav")))


def full_disk(path: Path) -> None:
    raise OSError(28, "No space left on device", str(path))


def test_a_table_that_could_not_be_written_resumes_but_for_changed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        write(tmp_path / "in" / f"{index}.wav", 0.3, seed=index)
    table = tmp_path / "t.csv"
    with monkeypatch.context() as patch:
        patch.setattr(parts, "csv_file", full_disk)
        code, output = extract(tmp_path / "in", "-o", table)
    assert code == 1
    assert "No space left" in output
    code, output = extract(tmp_path / "in", "-o", table, "--segment-seconds", 0.2)
    assert code == 1
    assert "holds another batch job (its segment_seconds is None, not 0.2)" in output
    changed = write(tmp_path / "in" / "1.wav", 0.4, seed=9)
    code, output = extract(tmp_path / "in", "-o", table, "--label-by-folder")
    assert (code, output.partition(" in ")[0]) == (0, f"{table}: 3 files, 2 done before, 3 rows")
    assert numbers(read(table)[1]) == handcrafted.values(changed).tolist()
    assert [row["label"] for row in read(table)] == ["in", "in", "in"]


def kill_and_resume(folder: Path, expected: bytes, rng: random.Random, n_parts: int) -> int:
    """Kill a job once it has some parts; run it again. Return the files resumed."""
    table = folder / "killed.csv"
    written = folder / "killed.csv.job"
    command = [sys.executable, "-m", "genrekit", "features", "extract"]
    command += [str(folder / "in"), "-o", str(table), "--jobs", "1", "--json"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while len(list(written.glob("part-*"))) < n_parts:
        assert run.poll() is None
        time.sleep(0.002)
    time.sleep(0.02 * rng.random())
    run.kill()
    run.wait()
    assert not table.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert table.read_bytes() == expected
    assert not written.exists()
    table.unlink()
    return int(json.loads(done.stdout)["n_resumed"])


@pytest.mark.slow
@pytest.mark.parametrize("n_rounds", [1, pytest.param(40, marks=pytest.mark.full)])
def test_a_killed_job_resumes(tmp_path: Path, n_rounds: int) -> None:
    rng = random.Random(n_rounds)
    for index in range(12):
        write(tmp_path / "in" / f"{index:02}.wav", 3.0, seed=index)
    assert extract(tmp_path / "in", "-o", tmp_path / "whole.csv")[0] == 0
    expected = (tmp_path / "whole.csv").read_bytes()
    for _ in range(n_rounds):
        n_parts = rng.randint(1, 5)
        assert n_parts <= kill_and_resume(tmp_path, expected, rng, n_parts) < 12
