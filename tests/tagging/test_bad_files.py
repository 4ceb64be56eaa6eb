"""One bad file never ends a run; what a plan may hold has limits; nobody reads a copy meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mutagen import MutagenError
from typer.testing import CliRunner

import tag_files
from genrekit.audio import packets
from genrekit.cli import main
from genrekit.errors import LibraryError, TagError
from genrekit.library import database, store
from genrekit.library.analysis import Identity
from genrekit.library.walk import Found
from genrekit.tagging import applying, journal, plan_files
from genrekit.tagging.outcomes import FileOutcome
from genrekit.tagging.plan_files import PlanEntry, TagPlan
from genrekit.tags import formats, profiles, rewriting
from genrekit.tags.formats import containers, id3v2
from tag_files import plan_entry

RAISED = [
    struct.error("unpack requires a buffer of 4 bytes"),
    IndexError("index out of range"),
    KeyError("TIT2"),
    ValueError("embedded null byte"),
    TypeError("expected bytes"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    OverflowError("int too big to convert"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ZeroDivisionError("division by zero"),
    AttributeError("'NoneType' object has no attribute 'text'"),
    NotImplementedError(),
    AssertionError(),
    EOFError(),
    zlib.error("Error -3"),
    MutagenError("cannot sync"),
]


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object, **named: object) -> None:
        raise error

    return fail


@pytest.fixture
def path(every_format: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(every_format / "id3v24.mp3", tmp_path))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with database.opened(tmp_path / "library.sqlite3") as connection:
        yield connection


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_reader_or_writer_raises_is_a_tag_error_that_names_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    target = path.with_name("copy.mp3")
    with monkeypatch.context() as patch:
        patch.setattr(containers, "opened", failing(error))
        with pytest.raises(TagError, match=rf"{path}: .*{type(error).__name__}"):
            formats.read(path)
        with pytest.raises(TagError, match=type(error).__name__):
            formats.difference(path, path)
    monkeypatch.setattr(id3v2.Id3v2Tag, "rewritten", failing(error))
    with pytest.raises(TagError, match=rf"{path}: .*{type(error).__name__}"):
        rewriting.rewrite(path, target, ["Jazz"], "x", profiles.find())
    monkeypatch.setattr(id3v2.Id3v2Tag, "others", failing(error))
    with pytest.raises(TagError, match=type(error).__name__):
        formats.difference(path, path)


def test_every_third_file_is_bad(every_format: Path, tmp_path: Path) -> None:
    """The good ones are done and named one by one, the bad ones named, and the exit code is 1."""
    entries = []
    for number in range(9):
        path = Path(shutil.copy(every_format / "a.flac", tmp_path / f"{number}.flac"))
        entries.append(plan_entry(path))
        if number % 3 == 2:
            path.write_bytes(b"fLaC" + path.read_bytes()[100:])
    plan_files.write(tmp_path / "plan.jsonl", "standard", entries)
    arguments = ["tag", "apply", str(tmp_path / "plan.jsonl"), "--db", str(tmp_path / "db")]
    done = CliRunner().invoke(main.build(), arguments)
    assert done.exit_code == 1
    changed = [line.split("/")[-1] for line in done.stdout.splitlines() if "changed: " in line]
    assert changed == [f"{n}.flac" for n in (0, 1, 3, 4, 6, 7)]
    assert done.stdout.splitlines()[-1] == "6 changed, 3 failed"
    assert [f"{n}.flac: " in done.stderr for n in (2, 5, 8)] == [True] * 3
    assert ".genrekit-" not in done.stderr


def test_each_file_is_reported_before_the_next_is_begun(
    every_format: Path, tmp_path: Path, library: sqlite3.Connection
) -> None:
    paths = [Path(shutil.copy(every_format / "a.flac", tmp_path / f"{n}.flac")) for n in range(3)]
    planned = TagPlan("standard", tuple(map(plan_entry, paths)), "0" * 64)
    written: list[list[bool]] = []

    def on_file(outcome: FileOutcome) -> None:
        assert outcome.state == "changed"
        written.append([bool(formats.read(path).genres) for path in paths])

    applying.apply(library, planned, on_file=on_file)
    assert written == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_wav_from_a_pipe_is_left_alone_with_the_true_reason(
    every_format: Path, tmp_path: Path, library: sqlite3.Connection
) -> None:
    piped = tmp_path / "piped.wav"
    command = ["ffmpeg", "-v", "error", "-i", every_format / "a.flac", "-f", "wav", "-"]
    piped.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert b"data\xff\xff\xff\xff" in piped.read_bytes()
    with pytest.raises(TagError, match="nothing can be put behind it"):
        formats.read(piped)


def test_a_copy_has_the_files_own_mode_from_its_first_byte(
    path: Path, library: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o600)
    modes = []
    write = formats.write

    def looked_at(source: Path, target: Any, *rest: Any) -> None:
        modes.append(stat.S_IMODE(os.fstat(target.fileno()).st_mode))
        write(source, target, *rest)

    monkeypatch.setattr(formats, "write", looked_at)
    applying.apply(library, TagPlan("standard", (plan_entry(path),), "0" * 64))
    assert modes == [0o600]
    name = library.execute("PRAGMA database_list").fetchone()["file"]
    made = list(Path(name).parent.glob(f"{Path(name).name}*"))
    assert len(made) >= 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in made} == {0o600}


def test_the_library_knows_the_new_tags_without_a_scan(
    path: Path, library: sqlite3.Connection
) -> None:
    link = path.with_name("link.mp3")
    link.symlink_to(path)
    for name in (path, link):
        status = path.stat()
        found = Found(os.fsencode(name), status.st_size, status.st_mtime_ns)
        store.save_identity(library, Identity(found, packets.digest(path), formats.read(path)))

    def known() -> set[tuple[str, int, int]]:
        query = "SELECT genres, size_bytes, mtime_ns FROM files"
        return {tuple(row) for row in library.execute(query)}

    before = known()
    applying.apply(
        library, TagPlan("standard", (plan_entry(path, "Jazz"),), "0" * 64), keep_mtime=True
    )
    status = path.stat()
    assert known() == {('["Jazz"]', status.st_size, status.st_mtime_ns)}
    applying.undo(library, journal.chosen(library))
    assert known() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"new": ["x" * 10_000_000]}, "at most 200 characters"),
        ({"new": ["a\0b"]}, r"control character '\\x00'"),
        ({"new": ["a\nb"]}, r"control character '\\n'"),
        ({"new": ["a\u2028b"]}, "control character"),
        ({"new": ["\udc80"]}, "valid string"),
        ({"new": [""]}, "at least 1 character"),
        ({"new": ["x"] * 101}, "at most 100 items"),
        ({"provenance": "x" * 30_000}, "at most 20000 characters"),
        ({"path": "a\0b"}, "NUL"),
        ({"size_bytes": 1 << 70}, "less than"),
        ({"mtime_ns": -(1 << 70)}, "greater than"),
    ],
)
def test_what_a_line_of_a_plan_may_not_hold(
    path: Path, change: dict[str, object], message: str
) -> None:
    plan = path.with_name("plan.jsonl")
    line = json.loads(plan_entry(path).to_json()) | change
    plan.write_text('{"genrekit_plan": 1, "profile": "standard"}\n' + json.dumps(line))
    with pytest.raises(LibraryError, match=rf"line 2: .*{message}") as caught:
        plan_files.read(plan)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("value", ["[" * 1_000_000, "9" * 5_000, '{"a":' * 100_000, "NaN"])
def test_numbers_and_nesting_without_end_are_a_wrong_line(tmp_path: Path, value: str) -> None:
    plan = tmp_path / "plan.jsonl"
    plan.write_text('{"genrekit_plan": 1, "profile": "standard"}\n{"size_bytes": ' + value + "}")
    with pytest.raises(LibraryError, match="line 2: is not valid in a plan") as caught:
        plan_files.read(plan)
    assert len(str(caught.value)) < 1000


@pytest.mark.slow
@pytest.mark.untraced
def test_a_plan_of_many_lines_is_read_in_linear_time(path: Path) -> None:
    plan, first = path.with_name("plan.jsonl"), plan_entry(path)
    numbered = (first.model_copy(update={"path": f"/m/{n}"}) for n in range(60_000))
    plan_files.write(plan, "standard", [*numbered, first, first])
    with pytest.raises(LibraryError, match=rf"names {path} twice"):
        plan_files.read(plan)


def test_a_plan_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="make one with `genrekit tag plan"):
        plan_files.read(tmp_path / "nope.jsonl")


@pytest.mark.parametrize("what", ["7", "9" * 5_000, "other.mp3"])
def test_an_undo_of_what_another_database_keeps(library: sqlite3.Connection, what: str) -> None:
    with pytest.raises(
        LibraryError, match=r"library.sqlite3 has nothing to undo .*name it with --db"
    ):
        journal.chosen(library, what)


def test_a_database_that_fails_says_what_was_changed(
    every_format: Path, tmp_path: Path, library: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [Path(shutil.copy(every_format / "a.flac", tmp_path / f"{n}.flac")) for n in range(2)]
    planned = TagPlan("standard", tuple(map(plan_entry, paths)), "0" * 64)
    enter = journal.enter

    def full(connection: sqlite3.Connection, run_id: int, planned: PlanEntry) -> journal.TagChange:
        if planned.path == str(paths[1]):
            raise sqlite3.OperationalError("database or disk is full")
        return enter(connection, run_id, planned)

    message = r"disk is full\); 1 files were changed .*0\.flac"
    with monkeypatch.context() as patch:
        patch.setattr(journal, "enter", full)
        with pytest.raises(LibraryError, match=message):
            applying.apply(library, planned)
    tag_files.there_and_back(paths[1], ["Pop"])
