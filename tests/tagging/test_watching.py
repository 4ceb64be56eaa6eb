"""Watching a folder: a file is analysed once, when it has come to rest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

from genrekit import demo
from genrekit.batch.engines import InProcessEngine, LocalEngine
from genrekit.errors import LibraryError
from genrekit.labels import display_name
from genrekit.library import database
from genrekit.models import registry
from genrekit.tagging import planning, watching
from genrekit.tagging.plan_settings import PlanSettings
from in_process import genrekit

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
            for arrival in found:
                entry = arrival.entry
                yield f"{entry.path.name}: {'error' if entry.error else 'analysed'}"
        except KeyboardInterrupt:
            return


@pytest.mark.slow
def test_a_file_that_grows_waits_until_it_rests(tmp_path: Path) -> None:
    folder, db = tmp_path / "music", tmp_path / "l.sqlite3"
    folder.mkdir()
    noise(folder / "old.wav", RATE)
    looks = Looks(
        lambda: noise(folder / "new.wav", 5000),  # while old.wav waits
        lambda: noise(folder / "new.wav", RATE // 2),  # old.wav is analysed, new.wav grows
        lambda: None,
        lambda: (folder / "text.mp3").write_text("no music"),
        lambda: None,
        lambda: None,
    )
    assert list(seen(folder, db, looks)) == [
        "old.wav: analysed",
        "new.wav: analysed",
        "text.mp3: error",
    ]
    with database.opened(db) as connection:
        kept = connection.execute("SELECT duration_seconds FROM predictions").fetchall()
    assert sorted(round(row[0] * RATE) for row in kept) == [RATE // 2, RATE]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of music without a genre, music that says another one, silence and noise."""
    folder = tmp_path / "music"
    folder.mkdir()
    demo.write(tmp_path / "demo")
    for name in ("strings", "guitar", "drums"):
        shutil.copy(tmp_path / "demo" / f"{name}.flac", folder)
    give_genre(folder / "guitar.flac", "Polka")
    give_genre(folder / "drums.flac", "Other")
    noise(folder / "noise.flac", RATE)
    soundfile.write(folder / "silent.flac", np.zeros(RATE), RATE)
    (folder / "text.flac").write_text("no music")
    return folder


def give_genre(path: Path, genre: str) -> None:
    tags = mutagen.flac.FLAC(path)
    tags["genre"] = genre
    tags.save()


def arrived(folder: Path, wanted: PlanSettings | None) -> dict[str, watching.Arrival]:
    """Watch a folder until nothing new comes; return each file as it was given, which is once."""
    found: list[watching.Arrival] = []
    looks = Looks(*[lambda: None] * 4)  # what it wrote itself is nothing new
    with database.opened(folder.parent / "l.sqlite3") as connection, suppress(KeyboardInterrupt):
        engine = InProcessEngine()
        for one in watching.watch(
            connection, folder, "fast", engine=engine, tag=wanted, wait=looks
        ):
            found.append(one)
    assert len(found) == len(list(folder.iterdir()))
    return {one.entry.path.stem: one for one in found}


def held(folder: Path) -> dict[str, list[str]]:
    paths = [path for path in folder.iterdir() if path.stem != "text"]
    return {path.stem: list(mutagen.flac.FLAC(path).get("genre", [])) for path in paths}


def test_only_what_is_sure_is_written_and_the_rest_stays_with_the_reason(made: Path) -> None:
    found = arrived(made, PlanSettings())
    label = found["strings"].entry.label
    assert label is not None
    written = found["strings"].tagging
    assert written is not None
    assert (written.state, written.old, written.new) == ("written", (), (display_name(label),))
    assert found["strings"].entry.genres == (display_name(label),)
    reasons = {name: one.tagging for name, one in found.items() if one.tagging}
    assert (reasons["guitar"].state, reasons["guitar"].kind) == ("stays", "tagged")
    assert reasons["guitar"].reason.startswith("has another genre: Polka; predicted ")
    assert (reasons["silent"].state, reasons["silent"].kind) == ("stays", "silent")
    assert (reasons["noise"].state, reasons["noise"].kind) == ("stays", "not music")
    assert reasons["text"].state == "failed"
    assert "no audio can be found" in reasons["text"].reason
    genres = held(made)
    assert genres["strings"] == [display_name(label)]
    assert (genres["guitar"], genres["noise"], genres["silent"]) == (["Polka"], [], [])
    said = json.loads(json.dumps(found["silent"].to_dict()))
    assert (said["tagging"]["state"], said["tagging"]["kind"]) == ("stays", "silent")


def test_nothing_is_written_unless_it_is_asked(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    found = arrived(made, None)
    assert {path: path.read_bytes() for path in made.iterdir()} == before
    assert "tagging" not in found["strings"].to_dict()


@pytest.mark.parametrize(
    "wanted",
    [
        PlanSettings(mode="replace", top=2, min_precision=0),
        PlanSettings(mode="append", placeholders=("polka",), min_precision=0.5),
        PlanSettings(style_field="STYLE", genre_map=Path("beets"), min_precision=0),
        PlanSettings(mode="merge", depth=1, profile="one-genre", min_precision=0),
    ],
    ids=["replace", "append", "style", "merge"],
)
def test_what_arrives_is_tagged_as_a_plan_with_the_same_settings_says(
    made: Path, wanted: PlanSettings
) -> None:
    arrived(made, None)
    card = registry.find("fast").card
    with database.opened(made.parent / "l.sqlite3") as connection:
        rules, profile = wanted.policy(card), wanted.form()
        plan = planning.propose(connection, [made], card, rules, profile)
    planned = {Path(entry.path).stem: entry for entry in plan.entries}
    (made.parent / "l.sqlite3").unlink()
    found = arrived(made, wanted)
    outcomes = {name: one.tagging for name, one in found.items() if one.tagging}
    assert {name for name, one in outcomes.items() if one.state == "written"} == set(planned)
    assert "strings" in planned
    for name, entry in planned.items():
        assert outcomes[name].new == entry.new == found[name].entry.genres
        assert outcomes[name].styles == (entry.style.new if entry.style else ())
    kinds = {name: one.kind for name, one in outcomes.items() if one.state == "stays"}
    assert kinds == {Path(path).stem: stay.kind for path, stay in plan.stays.items()}


def test_a_folder_that_is_gone_ends_it(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="give a folder that is there"):
        list(seen(tmp_path / "absent", tmp_path / "l.sqlite3", Looks()))


def test_a_list_that_names_unknown_genres_ends_it_before_anything_is_written(made: Path) -> None:
    own = made.parent / "own.toml"
    own.write_text('[genres]\nRock = ["rokc"]\n')
    before = {path: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(LibraryError, match="rokc"):
        arrived(made, PlanSettings(genre_map=own))
    assert {path: path.read_bytes() for path in made.iterdir()} == before


@contextmanager
def watched(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    arguments = ["watch", folder, "--db", folder.parent / "l.sqlite3", "--model", TINY, *options]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "genrekit", *arguments, "--interval", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    yield process
    os.kill(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=300)
    watchdog.cancel()
    assert (process.returncode, complaints) == (0, "genrekit: no longer watching\n")


def test_the_program_says_what_it_wrote_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    noise(folder / "a.flac", RATE)
    with watched(folder, "--tag", "--min-precision", "0") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        genres = mutagen.flac.FLAC(folder / "a.flac")["genre"]
        assert line.endswith(f"{folder / 'a.flac'}  (written: {genres[0]})\n")
        give_genre(folder / "a.flac", "Polka")
        assert "(stays: has another genre: Polka; predicted " in process.stdout.readline()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "2"], "with --tag only"),
        (["--tag", "--style-field", "STYLE", "--depth", "1"], "a style in a field of its own"),
        (["--tag", "--append", "--merge"], "--append and --merge exclude"),
    ],
)
def test_wrong_usage_is_refused_at_once(tmp_path: Path, options: list[str], message: str) -> None:
    done = genrekit("watch", tmp_path, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
