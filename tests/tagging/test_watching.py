"""Watching a folder: a file is heard once, when it has come to rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

from genrekit import demo, labels
from genrekit.batch.engines import LocalEngine
from genrekit.errors import LibraryError
from genrekit.library import database
from genrekit.tagging import watching

TINY = Path(__file__).parents[1] / "golden" / "tiny"
RATE = 22050


def noise(path: Path, n_samples: int) -> None:
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, n_samples), RATE)


class Looks:
    """Stands for the pause between two looks: what happens meanwhile, then an end."""

    def __init__(self, *events: object) -> None:
        self.events = iter(events)

    def __call__(self, seconds: float) -> None:
        event = next(self.events, None)
        if event is None:
            raise KeyboardInterrupt
        event()


def seen(folder: Path, db: Path, looks: Looks) -> Iterator[str]:
    with database.opened(db) as connection:
        engine = LocalEngine(1)
        found = watching.watch(connection, folder, str(TINY), engine=engine, wait=looks)
        try:
            for entry in found:
                yield f"{entry.path.name}: {'error' if entry.error else 'heard'}"
        except KeyboardInterrupt:
            return


def test_a_file_that_grows_waits_until_it_rests(tmp_path: Path) -> None:
    folder, db = tmp_path / "music", tmp_path / "l.sqlite3"
    folder.mkdir()
    noise(folder / "old.wav", RATE)
    looks = Looks(
        lambda: noise(folder / "new.wav", 5000),  # while old.wav waits
        lambda: noise(folder / "new.wav", RATE // 2),  # old.wav is heard, new.wav grows
        lambda: None,
        lambda: (folder / "text.mp3").write_text("no music"),
        lambda: None,
        lambda: None,
    )
    assert list(seen(folder, db, looks)) == ["old.wav: heard", "new.wav: heard", "text.mp3: error"]
    with database.opened(db) as connection:
        kept = connection.execute("SELECT duration_seconds FROM predictions").fetchall()
    assert sorted(round(row[0] * RATE) for row in kept) == [RATE // 2, RATE]


def test_it_may_write_the_genre_into_files_that_have_none(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    demo.write(tmp_path / "demo")
    shutil.copy(tmp_path / "demo" / "strings.flac", folder / "a.flac")
    noise(folder / "b.flac", RATE // 2)
    tags = mutagen.flac.FLAC(folder / "b.flac")
    tags["genre"] = "Ambient"
    tags.save()
    complaints: list[str] = []
    looks = Looks(*[lambda: None] * 5)  # what it wrote itself is nothing new
    with database.opened(tmp_path / "l.sqlite3") as connection:
        found = watching.watch(
            connection, folder, "fast", on_tag_failure=complaints.append, wait=looks
        )
        first, second = next(found), next(found)
        with pytest.raises(KeyboardInterrupt):
            next(found)
    assert complaints == []
    assert first.label
    assert first.genres == (labels.display_name(first.label),)
    assert mutagen.flac.FLAC(folder / "a.flac")["genre"] == [labels.display_name(first.label)]
    assert second.genres == ("Ambient",)


def test_a_folder_that_is_gone_ends_it(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="give a folder that is there"):
        list(seen(tmp_path / "absent", tmp_path / "l.sqlite3", Looks()))


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    noise(tmp_path / "a.wav", RATE)
    arguments = ["watch", tmp_path, "--db", tmp_path / "l.sqlite3", "--model", TINY]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "genrekit.cli.main", *arguments, "--interval", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    assert process.stdout is not None
    assert str(tmp_path / "a.wav") in process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=300)
    watchdog.cancel()
    assert (process.returncode, complaints) == (0, "genrekit: no longer watching\n")
