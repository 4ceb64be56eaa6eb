"""Applying and undoing plans: exact, and careful with whatever somebody else did meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mutagen
import pytest

import tag_files
from genrekit.errors import LibraryError, TagError
from genrekit.library import database
from genrekit.tagging import applying, journal, plan_files
from genrekit.tagging.outcomes import ApplyReport
from genrekit.tagging.plan_files import TagPlan
from genrekit.tags import formats, rewriting
from genrekit.tags.formats.base import StyleValues
from tag_files import plan_entry

Content = dict[str, tuple[bytes, int]]


@pytest.fixture(scope="module")
def made(every_format: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "music"
    shutil.copytree(every_format, folder)
    for name in tag_files.FORMATS:
        tag_files.tag(folder / name, ["Rock"], title="Song", artist="Ärtist")
        if name not in {"id3v1.mp3", "apev2.mp3", "id3v23.mp3"}:
            tag_files.add_picture(folder / name)
    return folder


@pytest.fixture
def music(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "music"))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with database.opened(tmp_path / "library.sqlite3") as connection:
        yield connection


def plan(*paths: Path, profile: str = "standard") -> TagPlan:
    return TagPlan(profile, tuple(map(plan_entry, paths)), "0" * 64)


def content(folder: Path) -> Content:
    """Return each file's bytes and time of change, and so also which files there are."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def undo(library: sqlite3.Connection, what: str | None = None) -> ApplyReport:
    return applying.undo(library, journal.chosen(library, what))


@pytest.mark.parametrize("profile", ["standard", "id3v23-semicolon"])
def test_undo_gives_every_byte_back_in_every_format(
    music: Path, library: sqlite3.Connection, profile: str
) -> None:
    before = content(music)
    planned = plan(*sorted(music.iterdir()), profile=profile)
    report = applying.apply(library, planned)
    assert (len(report.changed), report.failures) == (len(before), {})
    assert applying.verify(planned).failures == {}
    assert all(content(music)[name] != before[name] for name in before)
    recipes = [len(change.recipe) for change in journal.chosen(library)]
    assert max(recipes) < 1000, "the pictures are not kept twice"
    assert undo(library).failures == {}
    assert content(music) == before


def test_a_second_apply_changes_nothing(music: Path, library: sqlite3.Connection) -> None:
    planned = plan(music / "a.flac", music / "a.m4a")
    applying.apply(library, planned)
    after = content(music)
    report = applying.apply(library, planned)
    assert (len(report.unchanged), report.changed, content(music)) == (2, [], after)
    assert [run.n_files for run in journal.runs(library)] == [{"done": 2}]


def test_a_dry_run_changes_nothing(music: Path, library: sqlite3.Connection) -> None:
    before = content(music)
    planned = plan(music / "a.flac", music / "a.m4a")
    (music / "a.m4a").touch()
    before["a.m4a"] = (before["a.m4a"][0], (music / "a.m4a").stat().st_mtime_ns)
    report = applying.apply(library, planned, dry_run=True)
    assert (len(report.changed), len(report.failures)) == (1, 1)
    assert content(music) == before
    assert journal.runs(library) == []


@pytest.mark.parametrize("keep_mtime", [True, False])
def test_the_time_of_change(music: Path, library: sqlite3.Connection, keep_mtime: bool) -> None:
    os.utime(music / "a.flac", ns=(10**18, 10**18 + 5))
    applying.apply(library, plan(music / "a.flac"), keep_mtime=keep_mtime)
    assert ((music / "a.flac").stat().st_mtime_ns == 10**18 + 5) == keep_mtime
    undo(library)
    assert (music / "a.flac").stat().st_mtime_ns == 10**18 + 5


def spoil_audio(path: Path) -> None:
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-500] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def retag(path: Path) -> None:
    file = mutagen.File(path)
    file["genre"] = ["Blue"]  # as long as Rock
    file.save()


@pytest.mark.parametrize("spoil", [Path.touch, spoil_audio, retag, Path.unlink])
def test_a_file_that_changed_since_the_plan_is_left_alone(
    music: Path, library: sqlite3.Connection, spoil: Callable[[Path], None]
) -> None:
    planned = plan(music / "a.flac", music / "a.ogg")
    spoil(music / "a.flac")
    before = content(music)
    report = applying.apply(library, planned)
    assert report.changed == [str(music / "a.ogg")]
    assert list(report.failures) == [str(music / "a.flac")]
    assert {**content(music), "a.ogg": 0} == {**before, "a.ogg": 0}


def test_a_file_that_changed_since_it_was_written_is_not_undone(
    music: Path, library: sqlite3.Connection
) -> None:
    before = content(music)
    applying.apply(library, plan(music / "a.flac", music / "a.ogg"))
    retag(music / "a.flac")
    edited = (music / "a.flac").read_bytes()
    report = undo(library)
    assert "has changed since" in report.failures[str(music / "a.flac")]
    assert (music / "a.flac").read_bytes() == edited
    assert content(music)["a.ogg"] == before["a.ogg"]


def test_undo_by_file_and_by_run(music: Path, library: sqlite3.Connection) -> None:
    before = content(music)
    applying.apply(library, plan(music / "a.flac", music / "a.ogg"))
    assert undo(library, str(music / "a.ogg")).changed == [str(music / "a.ogg")]
    assert content(music)["a.ogg"] == before["a.ogg"]
    assert undo(library, "1").changed == [str(music / "a.flac")]
    assert content(music) == before
    for what in (None, "1", "7", str(music / "a.flac")):
        with pytest.raises(LibraryError, match="has nothing to undo"):
            journal.chosen(library, what)


def test_links_read_only_files_and_pipes_are_left_alone(
    music: Path, library: sqlite3.Connection, tmp_path: Path
) -> None:
    planned = plan(*(music / f"a.{suffix}" for suffix in ("flac", "ogg", "wma", "wav")))
    os.link(music / "a.flac", tmp_path / "second name")
    (music / "a.ogg").chmod(0o444)
    (music / "a.wma").rename(tmp_path / "elsewhere.wma")
    (music / "a.wma").symlink_to(tmp_path / "elsewhere.wma")
    (music / "a.wav").unlink()
    os.mkfifo(music / "a.wav")
    reasons = list(applying.apply(library, planned).failures.values())
    for reason, said in zip(
        reasons, ["2 names (hard links)", "read-only", "is a link", "not a file"], strict=True
    ):
        assert said in reason


def test_a_file_that_another_program_changes_meanwhile_is_left_alone(
    music: Path, library: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewrite(source: Path, *rest: object) -> None:
        original(source, *rest)
        retag(source)

    original = rewriting.rewrite
    monkeypatch.setattr(rewriting, "rewrite", rewrite)
    report = applying.apply(library, plan(music / "a.flac"))
    assert "by another program meanwhile" in report.failures[str(music / "a.flac")]
    assert formats.read(music / "a.flac").genres == ("Blue",)
    assert not list(music.glob(".*"))


def test_only_one_process_at_a_time(music: Path, library: sqlite3.Connection) -> None:
    before = content(music)
    planned = plan(music / "a.flac")
    with journal.locked(library), pytest.raises(LibraryError, match="another genrekit is changing"):
        applying.apply(library, planned)
    assert content(music) == before
    assert applying.apply(library, planned).failures == {}


def test_a_reader_that_holds_the_file_open_goes_on(
    music: Path, library: sqlite3.Connection
) -> None:
    before = (music / "a.flac").read_bytes()
    with (music / "a.flac").open("rb") as player:
        start = player.read(1000)
        assert applying.apply(library, plan(music / "a.flac")).failures == {}
        assert start + player.read() == before


def test_files_that_cannot_be_written_fail_alone_and_leave_nothing(
    music: Path, library: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        if path.suffix == ".flac":
            raise OSError(28, "No space left on device")
        flush(path)

    flush = rewriting.flush
    monkeypatch.setattr(rewriting, "flush", fail)
    before = content(music)
    report = applying.apply(library, plan(music / "a.flac", music / "a.ogg"))
    assert "No space left" in report.failures[str(music / "a.flac")]
    assert report.changed == [str(music / "a.ogg")]
    assert content(music)["a.flac"] == before["a.flac"]
    assert not list(music.glob(".*"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; only root on Linux may have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def spoilt(disk: Path, how: str) -> Iterator[None]:
    """Leave no room for a copy on a disk, or allow no writing; nothing on it may change."""
    ballast = disk / "ballast"
    if how == "full":
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = content(disk)
    yield
    assert content(disk) == before
    if how == "full":
        ballast.unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


SPOILT = {"full": "No space left on device", "read-only": "its folder is read-only"}


@pytest.mark.parametrize("disk_is", SPOILT)
def test_a_full_disk_and_a_read_only_file_system(
    music: Path, library: sqlite3.Connection, disk: Path, disk_is: str
) -> None:
    for name in ("a.flac", "a.wav"):
        shutil.copy(music / name, disk)
    original = content(disk)
    planned = plan(disk / "a.flac", disk / "a.wav")
    with spoilt(disk, disk_is):
        reasons = applying.apply(library, planned).failures.values()
        assert [SPOILT[disk_is] in reason for reason in reasons] == [True, True]
        assert journal.runs(library) == []
    assert len(applying.apply(library, planned).changed) == 2
    with spoilt(disk, disk_is):
        reasons = undo(library).failures.values()
        assert [SPOILT[disk_is] in reason for reason in reasons] == [True, True]
        assert journal.runs(library)[0].n_files == {"done": 2}
    assert len(undo(library).changed) == 2
    assert content(disk) == original


def test_a_full_disk_under_the_database(music: Path, disk: Path) -> None:
    before, planned = content(music), plan(*sorted(music.iterdir()))
    with database.opened(disk / "l.sqlite3"):
        pass
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 65536))
    with (
        pytest.raises(LibraryError, match="disk"),
        database.opened(disk / "l.sqlite3") as connection,
    ):
        applying.apply(connection, planned)
    after = content(music)
    assert set(after) == set(before), "a temporary file was left"
    ballast.unlink()
    with database.opened(disk / "l.sqlite3") as connection:
        assert applying.apply(connection, planned).failures == {}
        assert len(undo(connection).changed) == len(before)
    assert content(music) == before


def test_plans_are_read_as_written_and_wrong_lines_are_named(music: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.jsonl"
    odd = plan_entry(music / "a.flac").model_copy(update={"path": "/caf\udce9 \n\U0001f3b5.flac"})
    plan_files.write(path, "standard", [odd, plan_entry(music / "a.ogg")])
    assert plan_files.read(path).entries == (odd, plan_entry(music / "a.ogg"))
    lines = path.read_text().splitlines()
    for wrong, message in [
        ("", "is empty"),
        ("{}", r"line 1: .*profile"),
        ("\n".join([lines[0], lines[1].replace('"new"', '"neu"')]), r"line 2: .*neu"),
        ("\n".join([lines[0], lines[1][:-5]]), "line 2"),
        ("\n".join([*lines, lines[1]]), "twice"),
        (lines[0].replace("1", "2"), "line 1"),
    ]:
        path.write_text(wrong)
        with pytest.raises(LibraryError, match=message):
            plan_files.read(path)


def test_an_unknown_profile_stops(library: sqlite3.Connection) -> None:
    with pytest.raises(TagError, match="unknown profile 'standart'; did you mean 'standard'"):
        applying.apply(library, TagPlan("standart", (), "0" * 64))


def test_a_style_that_somebody_wrote_meanwhile_is_respected(
    music: Path, library: sqlite3.Connection
) -> None:
    path = music / "a.flac"
    entry = plan_entry(path, "Rock", style=StyleValues("STYLE", ("Metal",)))
    file = mutagen.File(path)
    file["style"] = ["Punk"]
    file.save()
    status = path.stat()
    entry = entry.model_copy(update={"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns})
    before = content(music)
    report = applying.apply(library, TagPlan("standard", (entry,), "0" * 64))
    assert "has changed since the plan was made" in report.failures[str(path)]
    assert content(music) == before


def test_verify_says_which_style_is_missing(music: Path, library: sqlite3.Connection) -> None:
    path = music / "a.m4a"
    entry = plan_entry(path, "Rock", style=StyleValues("GROUPING", ("Metal",)))
    planned = TagPlan("standard", (entry,), "0" * 64)
    assert applying.apply(library, planned).failures == {}
    file = mutagen.File(path)
    file["\xa9grp"] = ["Punk"]
    file.save()
    report = applying.verify(planned)
    assert report.failures == {str(path): f"{path}: has Punk in GROUPING, not Metal"}


def test_a_plan_with_and_one_without_styles_are_read(music: Path, tmp_path: Path) -> None:
    entry = plan_entry(music / "a.flac", "Rock", style=StyleValues("STYLE", ("Metal", "日本")))
    plain = plan_entry(music / "a.m4a", "Rock")
    plan_files.write(tmp_path / "plan.jsonl", "standard", [entry, plain])
    assert plan_files.read(tmp_path / "plan.jsonl").entries == (entry, plain)
    _, first, second = (tmp_path / "plan.jsonl").read_text().splitlines()
    assert json.loads(first)["style"] == {"field": "STYLE", "old": [], "new": ["Metal", "日本"]}
    assert "style" not in json.loads(second), "as before there were styles"
    for field, new in (("ARTIST", '["x"]'), ("STYLE", '["a\\nb"]'), ("STYLE", '[""]')):
        line = json.loads(second) | {"style": {"field": field, "old": [], "new": json.loads(new)}}
        (tmp_path / "plan.jsonl").write_text(
            f'{{"genrekit_plan": 1, "profile": "standard"}}\n{json.dumps(line)}\n'
        )
        with pytest.raises(LibraryError, match="line 2: is not valid in a plan"):
            plan_files.read(tmp_path / "plan.jsonl")
