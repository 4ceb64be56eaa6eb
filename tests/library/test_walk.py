"""Walking through a library: all is found once, nothing blocks, loops end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genrekit.errors import LibraryError
from genrekit.library.walk import walk


def found(start: Path, problems: dict[bytes, str] | None = None) -> list[bytes]:
    listed = {} if problems is None else problems
    return [file.path for file in walk(os.fsencode(start), listed.__setitem__)]


def test_audio_files_come_sorted_with_their_size_and_time(tmp_path: Path) -> None:
    for name in ("b/2.mp3", "b/1.FLAC", "a.ogg", "notes.txt", ".hidden.mp3", ".git/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"123")
    os.utime(tmp_path / "a.ogg", ns=(0, 5_000_000_007))
    files = list(walk(os.fsencode(tmp_path), lambda path, reason: None))
    assert [Path(os.fsdecode(f.path)).relative_to(tmp_path).as_posix() for f in files] == [
        "a.ogg",
        "b/1.FLAC",
        "b/2.mp3",
    ]
    assert (files[0].size_bytes, files[0].mtime_ns) == (3, 5_000_000_007)


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    names = [b"caf\xe9.mp3", b"new\nline.mp3", b"x" * 251 + b".mp3", "\U0001f3b5 '\".mp3".encode()]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):  # noqa: PTH118, PTH123
            pass
    assert sorted(os.path.basename(path) for path in found(tmp_path)) == sorted(names)  # noqa: PTH119


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "music" / "deep").mkdir(parents=True)
    (tmp_path / "music" / "deep" / "a.mp3").touch()
    (tmp_path / "music" / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("music")
    (tmp_path / "link.mp3").symlink_to(tmp_path / "music" / "deep" / "a.mp3")
    (tmp_path / "nowhere.mp3").symlink_to("absent.mp3")
    (tmp_path / "self.mp3").symlink_to("self.mp3")
    problems: dict[bytes, str] = {}
    paths = [Path(os.fsdecode(path)) for path in found(tmp_path, problems)]
    assert len(paths) == 2
    assert {path.name for path in paths} == {"link.mp3", "a.mp3"}
    named = {Path(os.fsdecode(path)).name: reason for path, reason in problems.items()}
    assert set(named) == {"nowhere.mp3", "self.mp3"}
    assert named["nowhere.mp3"] == "a link that leads nowhere"


def test_pipes_and_devices_are_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    problems: dict[bytes, str] = {}
    assert found(tmp_path, problems) == []
    assert set(problems.values()) == {"a pipe or a device, not a file"}
    assert len(problems) == 2


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.mp3").touch()
    scandir = os.scandir

    def refusing(path: bytes) -> object:  # root may read every folder
        if path.endswith(b"locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    problems: dict[bytes, str] = {}
    assert len(found(tmp_path, problems)) == 1
    assert problems == {os.fsencode(tmp_path / "locked"): "Permission denied"}


def test_one_file_may_be_given_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "song").touch()
    assert found(tmp_path / "song") == [os.fsencode(tmp_path / "song")]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="No such file or directory; give a folder"):
        found(tmp_path / "absent")
