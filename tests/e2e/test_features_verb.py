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
from genrekit.batch import feature_tables
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
    heard = write(tmp_path / "in" / "Hip-Hop" / "a.wav", 0.7, seed=1)
    write(tmp_path / "in" / "my own" / "b.flac", 0.5, seed=2)
    table = tmp_path / "out" / "t.csv"
    code, output = extract(tmp_path / "in", "-o", table)
    assert (code, output) == (0, f"{table}: 2 rows of 2 files\n")
    first, second = read(table)
    assert tuple(first) == feature_tables.HEADER
    assert (first["filename"], first["length"], first["label"]) == ("a.wav", "15435", "hiphop")
    assert (second["filename"], second["label"]) == ("b.flac", "")
    assert numbers(first) == handcrafted.values(heard).tolist()
    assert list(table.parent.iterdir()) == [table]
    assert extract(tmp_path / "in", "-o", table, "--label-by-folder")[0] == 0
    assert [row["label"] for row in read(table)] == ["Hip-Hop", "my own"]
    assert datasets.open_dataset(str(table)).labels == ("Hip-Hop", "my own")


def test_one_row_a_segment(tmp_path: Path) -> None:
    heard = write(tmp_path / "rock" / "song.wav", 1.3)
    table = tmp_path / "t.csv"
    code, output = extract(tmp_path / "rock", "-o", table, "--segment-seconds", 0.5, "--json")
    assert code == 0
    facts = {"files": 1, "rows": 3, "resumed": 0, "warnings": {}, "failures": {}}
    assert json.loads(output) == {"output": str(table), **facts}
    rows = read(table)
    assert [row["filename"] for row in rows] == [f"song.{index}.wav" for index in range(3)]
    assert {(row["length"], row["label"]) for row in rows} == {("11025", "rock")}
    assert numbers(rows[1]) == handcrafted.values(heard[11025:22050]).tolist()
    assert numbers(rows[2]) == handcrafted.values(heard[-11025:]).tolist()


def test_a_bad_file_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    write(tmp_path / "good.wav", 0.5)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    table = tmp_path / "t.csv"
    code, output = extract(tmp_path, "-o", table)
    assert code == 1
    assert "bad.wav" in output
    assert "1 of 2 files failed" in output
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
    monkeypatch.setattr(feature_tables, "MAX_ROW_SECONDS", 1.0)
    write(tmp_path / "long.wav", 1.2)
    with pytest.raises(AudioError, match="ask for a row a segment"):
        feature_tables.rows(tmp_path / "long.wav")


def test_a_journal_of_other_segments_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 0.5)
    journal = tmp_path / "t.csv.journal"
    journal.write_text('{"format": 1, "segment_seconds": 3.0}\n{"key": "a", "rows"')
    code, output = extract(tmp_path / "a.wav", "-o", tmp_path / "t.csv")
    assert (code, output) == (0, f"{tmp_path / 't.csv'}: 1 rows of 1 files\n")
    assert not journal.exists()


def test_a_table_that_could_not_be_written_resumes_but_for_changed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        write(tmp_path / "in" / f"{index}.wav", 0.3, seed=index)
    table = tmp_path / "t.csv"

    def full_disk(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(feature_tables, "write_beside", full_disk)
        code, output = extract(tmp_path / "in", "-o", table)
    assert code == 1
    assert "No space left" in output
    changed = write(tmp_path / "in" / "1.wav", 0.4, seed=9)
    assert (
        extract(tmp_path / "in", "-o", table)[1]
        == f"{table}: 3 rows of 3 files, 2 of them before\n"
    )
    assert numbers(read(table)[1]) == handcrafted.values(changed).tolist()


def kill_and_resume(folder: Path, expected: bytes, rng: random.Random, n_lines: int) -> int:
    """Kill a run once its journal has some lines; run again. Return the files resumed."""
    table = folder / "killed.csv"
    journal = folder / "killed.csv.journal"
    command = [sys.executable, "-m", "genrekit.cli.main", "features", "extract"]
    command += [str(folder / "in"), "-o", str(table), "--jobs", "1", "--json"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (journal.exists() and journal.read_bytes().count(b"\n") > n_lines):
        assert run.poll() is None
        time.sleep(0.002)
    time.sleep(0.02 * rng.random())
    run.kill()
    run.wait()
    assert not table.exists()
    with journal.open("ab") as stream:
        stream.write(b'{"key": "cut sho')
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert table.read_bytes() == expected
    assert not journal.exists()
    table.unlink()
    return int(json.loads(done.stdout)["resumed"])


@pytest.mark.parametrize("n_rounds", [1, pytest.param(40, marks=pytest.mark.full)])
def test_a_killed_run_goes_on(tmp_path: Path, n_rounds: int) -> None:
    rng = random.Random(n_rounds)
    for index in range(12):
        write(tmp_path / "in" / f"{index:02}.wav", 3.0, seed=index)
    assert extract(tmp_path / "in", "-o", tmp_path / "whole.csv")[0] == 0
    expected = (tmp_path / "whole.csv").read_bytes()
    for _ in range(n_rounds):
        n_lines = rng.randint(1, 5)
        assert n_lines <= kill_and_resume(tmp_path, expected, rng, n_lines) < 12
