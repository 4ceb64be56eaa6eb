"""Batch jobs by the local engine: what is listed, written, resumed and refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

import made_music
from genrekit import Classifier
from genrekit.batch import job, sources, status, storage
from genrekit.batch.engines import LocalEngine
from genrekit.batch.feature_task import ExtractFeatures
from genrekit.batch.prediction_task import PredictFiles
from genrekit.cli import main
from genrekit.errors import BatchError

TINY = str(Path(__file__).parents[1] / "golden" / "tiny")
GENREKIT = [sys.executable, "-c", "from genrekit.cli.main import main; main()"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short songs, and a file that is none."""
    folder = tmp_path_factory.mktemp("songs")
    for seed in range(3):
        made_music.write(folder / f"{seed}.wav", made_music.song(seed, 2.0))
    (folder / "text.mp3").write_bytes(b"no audio" * 100)
    return folder


def genrekit(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main.build(), [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(arguments: list[object]) -> list[str]:
    return [Path(source.name).name for source in sources.list_sources([str(a) for a in arguments])]


def test_json_lines_hold_what_predict_writes(songs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    code, shown = genrekit(
        "predict", songs, "--model", TINY, "--engine", "local", "--jobs", 2, "-o", output
    )
    assert code == 1
    assert "4 files, 1 failed" in shown
    *rows, last = lines(output)
    classifier = Classifier(TINY)
    expected = [classifier.predict_file(songs / f"{seed}.wav").to_dict() for seed in range(3)]
    assert rows == expected
    assert last["path"] == str(songs / "text.mp3")
    assert "text.mp3" in last["error"]
    assert last["model"]["sha256"] == classifier.card.onnx_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl"]
    code, shown = genrekit("batch", "status", output)
    assert (code, shown) == (0, f"{output}: 4 of 4 files done (100.0 %), 1 failed")


def test_parquet_holds_the_same(songs: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "out.parquet"
    assert genrekit("predict", songs, "--model", TINY, "-o", output)[0] == 1
    rows = parquet.read_table(output).to_pylist()
    classifier = Classifier(TINY)
    for row in rows[:3]:
        prediction = classifier.predict_file(row["path"])
        assert row["label"] == prediction.label
        assert {k: row[f"p_{k}"] for k in classifier.labels} == prediction.probabilities
        assert row["error"] is None
    assert rows[3]["label"] is None
    assert "text.mp3" in rows[3]["error"]
    assert {row["model_sha256"] for row in rows} == {classifier.card.onnx_sha256}
    code, shown = genrekit("batch", "status", output, "--json")
    assert code == 0
    found = json.loads(shown)
    assert found["verb"] == "predict"
    assert (found["n_files"], found["n_done"], found["n_failed"]) == (4, 4, 1)


def test_features_by_segment(songs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    report = job.run(ExtractFeatures(1.0), [str(songs)], str(output), LocalEngine(1))
    assert (report.n_files, report.n_failed) == (4, 1)
    rows = lines(output)
    assert [row["start_seconds"] for row in rows[:4]] == [0.0, 1.0, 0.0, 1.0]
    assert rows[0]["mfcc1_mean"] != rows[1]["mfcc1_mean"]
    assert rows[-1].keys() == {"path", "error"}


def test_every_kind_of_source(songs: Path, tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(f"{songs}/1.wav\n\n{songs}/0.wav\n", encoding="utf-8")
    assert names([listing]) == ["1.wav", "0.wav"]
    songs = Path(shutil.copytree(songs, tmp_path / "songs"))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"genre,path\nrock,{songs.name}/2.wav\n", encoding="utf-8")
    assert names([manifest, listing]) == ["2.wav", "1.wav", "0.wav"]
    assert sources.list_sources([str(manifest)])[0].location == str(songs / "2.wav")
    assert names([songs, songs / "1.wav"]) == ["0.wav", "1.wav", "2.wav", "text.mp3"]
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for name in ("1.wav", "2.wav"):
            archive.add(songs / name, f"deep/{name}")
        archive.add(listing, "deep/1.txt")
    inside = sources.list_sources([str(shard)])
    assert [source.name for source in inside] == [f"{shard}/deep/1.wav", f"{shard}/deep/2.wav"]
    with sources.local_copy(inside[1]) as path:
        assert path.read_bytes() == (songs / "2.wav").read_bytes()
    assert not path.exists()


def test_parquet_manifest(songs: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    manifest = tmp_path / "m.parquet"
    parquet.write_table(pyarrow.table({"path": [str(songs / "1.wav"), None]}), manifest)
    assert names([manifest]) == ["1.wav"]
    parquet.write_table(pyarrow.table({"file": ["a.wav"]}), manifest)
    with pytest.raises(BatchError, match=r"has no column 'path'; its columns are: 'file'"):
        sources.list_sources([str(manifest)])
    manifest.write_bytes(b"PAR1 but no more")
    with pytest.raises(BatchError, match="is no readable Parquet file"):
        sources.list_sources([str(manifest)])


def test_files_behind_http(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("fsspec")
    monkeypatch.setattr(storage, "FIRST_PAUSE_SECONDS", 0.01)

    class Quiet(SimpleHTTPRequestHandler):
        n_refused = 0

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/1.wav" and Quiet.n_refused < 2:
                Quiet.n_refused += 1
                self.send_error(503)
            else:
                super().do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(songs))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "list.txt").write_text(f"{base}/0.wav\n{base}/1.wav\n{base}/no.wav\n")
        start = PredictFiles.of(TINY).start()
        there, refused_first, missing = sources.list_sources([str(tmp_path / "list.txt")])
        for source in (there, refused_first):
            (row,) = start(source)
            assert row["path"] == source.name
            local = Classifier(TINY).predict_file(songs / Path(source.name).name)
            assert row["genres"] == local.to_dict()["genres"]
        assert Quiet.n_refused == 2
        with pytest.raises(BatchError, match=r"no\.wav: there is no such file"):
            start(missing)
        server.shutdown()
    with pytest.raises(BatchError, match="cannot be reached"), sources.local_copy(there):
        pass


def test_a_killed_job_resumes(songs: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for index in range(120):
        shutil.copy(songs / f"{index % 3}.wav", many / f"{index:03}.wav")
    (many / "060.wav").write_bytes(b"no audio")
    output = tmp_path / "out.jsonl"
    command = [*GENREKIT, "predict", str(many), "--model", TINY, "--engine", "local", "--jobs", "1"]
    command += ["-o", str(output)]
    parts = tmp_path / "out.jsonl.job"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list(parts.glob("part-*")):
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    n_before = status.status(str(output)).n_done
    assert 0 < n_before < 120
    (parts / ".part-0000009.jsonl.abc.part").touch()  # as a kill within a write leaves it
    assert not output.exists()
    report = job.run(PredictFiles.of(TINY), [str(many)], str(output), LocalEngine(2))
    assert (report.n_files, report.n_resumed, report.n_failed) == (120, n_before, 1)
    rows = lines(output)
    assert [row["path"] for row in rows] == [str(many / f"{index:03}.wav") for index in range(120)]
    assert [row["path"] for row in rows if "error" in row] == [str(many / "060.wav")]
    assert not parts.exists()


def test_another_job_is_refused(songs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "out"
    run = ("predict", songs / "0.wav", "--model", TINY, "-o", output, "--engine", "local")
    assert genrekit(*run)[0] == 0
    code, shown = genrekit(*run, "--segments", "all")
    assert code == 1
    assert "holds another batch job (its segments is None, not 'all')" in shown
    code, shown = genrekit("predict", songs / "1.wav", *run[2:])
    assert code == 1
    assert "holds another batch job (its arguments is" in shown
    code, shown = genrekit(
        "features", "extract", songs / "0.wav", "-o", output, "--engine", "local"
    )
    assert code == 1
    assert "holds another batch job" in shown
    code, shown = genrekit(*run)
    assert (code, shown.partition(" in ")[0]) == (0, f"{output}: 1 files, 1 done before")
    with storage.Storage(str(output)).locked():
        code, shown = genrekit(*run)
    assert code == 1
    assert "another batch job is writing there" in shown
    strange = tmp_path / "photos"
    strange.mkdir()
    (strange / "a.png").touch()
    code, shown = genrekit(*run[:5], strange, "--engine", "local")
    assert code == 1
    assert "holds files that are no batch job of this version, such as a.png" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["predict", "nothing.txt", "--engine", "local", "-o", "o.jsonl"], 1, "no such file"),
        (["predict", "m.csv", "--engine", "local", "-o", "o.jsonl"], 1, "no column 'path'"),
        (["predict", "s.tar", "--engine", "local", "-o", "o.jsonl"], 1, "no readable tar archive"),
        (["predict", "empty.txt", "--engine", "local", "-o", "o.jsonl"], 1, "there are no files"),
        (["predict", "m.csv", "--engine", "local"], 2, "give -o"),
        (
            ["predict", "m.csv", "-o", "o.parquet", "--csv"],
            2,
            "a batch job writes JSON lines",
        ),
        (["predict", "m.csv", "--ray-address", "auto"], 2, "need --engine ray"),
        (["predict", "m.csv", "--engine", "local", "-o", "o.csv"], 1, "leave --engine out"),
        (["batch", "status", "m.csv"], 1, "holds no batch job"),
        (["predict", "m.csv", "--engine", "local", "-o", "x://y/o.jsonl"], 1, "JSON lines"),
    ],
)
def test_bad_input(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.csv").write_text("file,genre\na.wav,rock\n", encoding="utf-8")
    Path("s.tar").write_bytes(b"no archive" * 200)
    Path("empty.txt").touch()
    before = sorted(tmp_path.iterdir())
    assert genrekit(*arguments)[0] == code
    assert sentence in genrekit(*arguments)[1]
    assert sorted(tmp_path.iterdir()) == before


def test_a_worker_with_another_model_refuses(songs: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from genrekit.errors import GenrekitError

    task = replace(PredictFiles.of(TINY), sha256="0" * 64)
    with pytest.raises(GenrekitError, match="is another one on this worker"):
        job.run(task, [str(songs)], str(tmp_path / "out.jsonl"), LocalEngine(1))


def test_what_killed_workers_fetched_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / f"genrekit-fetched-{gone.pid}-a.mp3").touch()
    (tmp_path / f"genrekit-fetched-{os.getpid()}-b.mp3").touch()
    sources.delete_abandoned()
    assert [path.name[-5:] for path in tmp_path.iterdir()] == ["b.mp3"]
