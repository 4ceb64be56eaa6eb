"""Scanning: each audio is analysed once, whatever is moved, retagged, killed or broken."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

import library_workers
from genrekit import Classifier
from genrekit.batch.engines import InProcessEngine, Limits, LocalEngine
from genrekit.errors import LibraryError
from genrekit.library import analysis, database, scan, store
from genrekit.models import registry

TINY = Path(__file__).parents[1] / "golden" / "tiny"
RATE = 22050
Connection = sqlite3.Connection


def write(path: Path, seed: int) -> Path:
    """Write a second of noise, as quiet as its seed says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, RATE) / (1 + seed)
    soundfile.write(path, noise, RATE)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four files with three different recordings, and a text."""
    folder = tmp_path / "music"
    for index in range(3):
        write(folder / f"{index}.flac", index)
    shutil.copy(folder / "2.flac", folder / "copy of 2.flac")
    (folder / "text.mp3").write_text("no audio")
    return folder


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with database.opened(tmp_path / "l.sqlite3") as connection:
        yield connection


def run(
    connection: Connection, folder: Path, **options: bool
) -> tuple[scan.ScanPlan, scan.ScanReport]:
    planned = scan.plan(connection, [folder], TINY, **options)
    return planned, scan.run(connection, planned, InProcessEngine())


def column(connection: Connection, query: str) -> list[object]:
    return [row[0] for row in connection.execute(query)]


def test_each_audio_is_analysed_once(music: Path, connection: Connection) -> None:
    advanced: list[int] = []
    planned = scan.plan(connection, [music], TINY)
    assert planned.n_pending == {"new": 5}
    assert column(connection, "SELECT count(*) FROM files") == [0]
    report = scan.run(
        connection, planned, LocalEngine(1), progress=lambda n: nullcontext(advanced.append)
    )
    assert (report.n_analysed, report.n_moved, list(report.failures)) == (
        3,
        0,
        [f"{music}/text.mp3"],
    )
    assert sum(advanced) == 5
    planned, report = run(connection, music)
    assert (planned.n_files, planned.n_pending, report.n_analysed) == (5, {}, 0)

    row = connection.execute(
        "SELECT p.* FROM predictions AS p JOIN files AS f USING (audio_id) WHERE f.path = ?",
        (os.fsencode(music / "1.flac"),),
    ).fetchone()
    prediction, embedding = Classifier(TINY).analyse_file(music / "1.flac")
    kept = np.frombuffer(row["probabilities"], "<f4")
    assert np.allclose(kept, list(prediction.probabilities.values()))
    assert np.allclose(np.frombuffer(row["embedding"], "<f2"), embedding, rtol=1e-3)
    assert row["duration_seconds"] == 1.0


def test_what_is_moved_or_retagged_is_not_analysed_again(
    music: Path, connection: Connection
) -> None:
    run(connection, music)
    tags = mutagen.flac.FLAC(music / "0.flac")
    tags["genre"], tags["artist"] = ["Rock", "Jazz"], "Ann"
    tags.save()
    (music / "1.flac").rename(music / "moved.flac")
    planned, report = run(connection, music)
    assert planned.n_pending == {"changed": 1, "new": 1}
    assert (report.n_analysed, report.n_moved) == (0, 1)
    assert column(connection, "SELECT genres FROM files WHERE artist = 'Ann'") == [
        '["Rock", "Jazz"]'
    ]
    assert column(connection, "SELECT count(*) FROM files WHERE is_missing") == [0]


def test_other_audio_at_the_same_path_is_analysed(music: Path, connection: Connection) -> None:
    run(connection, music)
    write(music / "1.flac", 9)
    planned, report = run(connection, music)
    assert (planned.n_pending, report.n_analysed) == ({"changed": 1}, 1)


def test_what_is_gone_is_marked_and_may_come_back(music: Path, connection: Connection) -> None:
    run(connection, music)
    (music / "0.flac").rename(music.parent / "0.flac")
    missing = "SELECT path FROM files WHERE is_missing"
    assert run(connection, music / "text.mp3")[0].absent == ()  # another place was scanned
    assert len(run(connection, music)[0].absent) == 1
    assert column(connection, missing) == [os.fsencode(music / "0.flac")]
    (music.parent / "0.flac").rename(music / "0.flac")
    assert run(connection, music)[1].n_analysed == 0
    assert column(connection, missing) == []


def test_an_empty_folder_is_taken_for_a_drive_that_is_not_mounted(
    music: Path, connection: Connection
) -> None:
    run(connection, music)
    shutil.rmtree(music)
    with pytest.raises(LibraryError, match="give a folder that is there"):
        scan.plan(connection, [music], TINY)
    music.mkdir()
    planned, _ = run(connection, music)
    assert "5 files of it are known and are kept" in planned.problems[0]
    assert column(connection, "SELECT count(*) FROM files WHERE is_missing") == [0]


def test_folders_may_overlap(music: Path, connection: Connection) -> None:
    for _ in range(2):
        planned = scan.plan(connection, [music.parent, music], TINY)
        assert (planned.n_files, planned.problems) == (5, ())
        scan.run(connection, planned, InProcessEngine())


def test_another_model_analyses_everything_and_the_first_stays(
    music: Path, connection: Connection
) -> None:
    run(connection, music)
    planned = scan.plan(connection, [music], "fast")
    assert planned.n_pending == {"known": 4}
    assert scan.run(connection, planned, InProcessEngine()).n_analysed == 3
    assert run(connection, music)[0].n_pending == {}
    assert column(connection, "SELECT count(*) FROM predictions") == [6]


def test_a_file_that_failed_is_tried_again_when_asked_or_changed(
    music: Path, connection: Connection
) -> None:
    run(connection, music)
    assert run(connection, music, retry=True)[0].n_pending == {"retried": 1}
    shutil.copy(music / "0.flac", music / "text.mp3")
    planned, report = run(connection, music)
    assert (planned.n_pending, report.failures) == ({"changed": 1}, {})


@pytest.mark.slow
def test_a_file_that_kills_its_worker_is_quarantined_and_the_rest_goes_on(
    music: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, name in enumerate(("hang.flac", "crash.flac", "eat.flac")):
        write(music / name, 10 + index)
    monkeypatch.setattr(analysis, "start", library_workers.start_badly)
    planned = scan.plan(connection, [music], TINY)
    report = scan.run(connection, planned, LocalEngine(2), Limits(5.0, 600 << 20))
    reasons = {Path(path).name: reason for path, reason in report.failures.items()}
    assert (report.n_analysed, report.n_quarantined, len(reasons)) == (3, 3, 4)
    assert "took longer than 5 s" in reasons["hang.flac"]
    assert "died of SIGKILL" in reasons["crash.flac"]
    assert "memory" in reasons["eat.flac"]
    assert len(column(connection, "SELECT path FROM files WHERE is_quarantined")) == 3
    assert scan.plan(connection, [music], TINY).n_pending == {}


def test_a_file_that_changes_while_it_is_analysed_fails(
    music: Path, connection: Connection
) -> None:
    work = analysis.start(TINY)
    found = store.Found(os.fsencode(music / "0.flac"), 1, 1)
    with pytest.raises(Exception, match="changed while it was analysed"):
        work(analysis.AnalysisRequest("analyse", found))


SCAN = f"""
import sys, library_workers
from pathlib import Path
from genrekit.batch.engines import LocalEngine
from genrekit.library import analysis, database, scan
analysis.start = library_workers.start
with database.opened(sys.argv[2]) as connection:
    planned = scan.plan(connection, [Path(sys.argv[1])], {str(TINY)!r})
    scan.run(connection, planned, LocalEngine(2))
"""


@pytest.mark.slow
# full: 100 kills, 1,000 files, of which no pass analyses more than a few.
@pytest.mark.parametrize(
    ("n_files", "n_kills"), [(20, 2), pytest.param(1000, 100, marks=pytest.mark.full)]
)
def test_after_a_kill_it_resumes(tmp_path: Path, n_files: int, n_kills: int) -> None:
    for index in range(n_files):
        write(tmp_path / "music" / f"{index:03}.wav", index)
    log, db = tmp_path / "log", tmp_path / "l.sqlite3"
    log.touch()
    rng = np.random.default_rng(0)
    n_at_risk = 0
    for _ in range(n_kills):
        n_before, committed = len(logged(log)), predicted_paths(db)
        with scanning(tmp_path / "music", db, log) as process:
            wait_for_scan(log, n_before + int(rng.integers(1, n_files // n_kills // 2)), process)
            time.sleep(rng.uniform(0, 0.02))
            os.killpg(process.pid, signal.SIGKILL)
        analysed_now = set(logged(log)[n_before:])
        assert not analysed_now & committed
        n_at_risk += len(analysed_now - predicted_paths(db))
    n_before, committed = len(logged(log)), predicted_paths(db)
    with scanning(tmp_path / "music", db, log) as process:
        assert process.wait(600) == 0
    assert not set(logged(log)[n_before:]) & committed
    assert len(predicted_paths(db)) == n_files
    assert len(logged(log)) == n_files + n_at_risk
    assert n_at_risk <= 4 * n_kills  # a worker may have finished one file and be at the next


def scanning(folder: Path, db: Path, log: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", SCAN, folder, db],
        env={**os.environ, "PYTHONPATH": paths, library_workers.LOG: str(log)},
        start_new_session=True,
    )


def wait_for_scan(log: Path, n_analysed: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while len(logged(log)) < n_analysed and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def logged(log: Path) -> list[bytes]:
    return log.read_bytes().split(b"\0")[:-1]


def predicted_paths(db: Path) -> set[bytes]:
    with database.opened(db) as connection:
        query = "SELECT path FROM files JOIN predictions USING (audio_id)"
        return {row[0] for row in connection.execute(query)}


def test_an_unknown_model_is_refused_before_anything_is_walked(connection: Connection) -> None:
    with pytest.raises(registry.ModelError, match="unknown model"):
        scan.plan(connection, [Path("/absent")], "absent")
