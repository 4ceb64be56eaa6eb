"""Files: what users name, and files that nobody sees half of."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from genrekit.files import AUDIO_SUFFIXES, audio_files, expand, sha256, write_beside

posix = pytest.mark.skipif(os.name == "nt", reason="names and links as on POSIX")


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_a_folder_gives_its_audio_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    touch(tmp_path, "cover.jpg", ".hidden.mp3", ".trash/a.mp3", "notes.txt")
    expected = touch(tmp_path, "a.FLAC", "b/2.mp3", "b/c/1.opus", "z.wav")
    assert expand([str(tmp_path)]) == expected


def test_the_order_named_is_kept_and_a_file_named_twice_comes_once(tmp_path: Path) -> None:
    a, b, c = touch(tmp_path, "a.mp3", "b.mp3", "c.txt")
    assert expand([str(c), str(b), str(tmp_path)]) == [c, b, a]


def test_what_is_missing_comes_through(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("gone.mp3", "*.mp3")]
    touch(tmp_path, "empty/readme.txt")
    names.append(str(tmp_path / "empty"))
    assert [str(path) for path in expand(names)] == names


def test_a_pattern(tmp_path: Path) -> None:
    one, two, deep = touch(tmp_path, "1.mp3", "2.mp3", "sub/3.mp3")
    touch(tmp_path, "2.wav", "sub/cover.jpg")
    assert expand([f"{tmp_path}/*.mp3"]) == [one, two]
    assert expand([f"{tmp_path}/**/*.mp3"]) == [one, two, deep]
    assert expand([f"{tmp_path}/s*"]) == [deep]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (odd, _) = touch(tmp_path, "song [live]?.mp3", "song l.mp3")
    assert expand([str(odd)]) == [odd]


@posix
@pytest.mark.parametrize(
    "name", [b"two words.mp3", b'it\'s "quoted".mp3', b"new\nline.mp3", b"caf\xe9 \xff.mp3"]
)
def test_odd_names(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.touch()
    assert expand([str(tmp_path)]) == expand([str(path)]) == [path]
    assert os.fsencode(expand([str(tmp_path)])[0].name) == name


@posix
def test_links_to_folders_are_followed_but_not_forever(tmp_path: Path) -> None:
    touch(tmp_path, "music/a/1.mp3", "music/b/2.mp3", "elsewhere/3.mp3")
    music = tmp_path / "music"
    (music / "up").symlink_to(music)
    (music / "a" / "to_b").symlink_to(music / "b")
    (music / "b" / "to_a").symlink_to(music / "a")
    (music / "self").symlink_to("self")
    (music / "out").symlink_to(tmp_path / "elsewhere")
    found = audio_files(music)
    assert sorted(path.name for path in found) == ["1.mp3", "2.mp3", "3.mp3"]
    assert music / "out" / "3.mp3" in found


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in AUDIO_SUFFIXES)


def test_write_beside_leaves_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    with write_beside(path) as stream:
        stream.write(b"old")
    with pytest.raises(OSError, match="disk full"):
        _write_half(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    sentence = r"No space left on device; free some space or write elsewhere: '.*file\.bin'"
    with pytest.raises(OSError, match=sentence), write_beside(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"genre" * 100_000)
    assert sha256(path) == hashlib.sha256(b"genre" * 100_000).hexdigest()


def _write_half(path: Path) -> None:
    with write_beside(path) as stream:
        stream.write(b"new")
        raise OSError("disk full")


def test_a_playlist_gives_its_files(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for name in ("a.mp3", "b c.mp3", "d.mp3"):
        (music / name).write_bytes(b"1")
    lines = [
        b"\xef\xbb\xbf#EXTM3U",
        b"#EXTINF:12,Ann - A",
        b"music/a.mp3",
        b"",
        b"music\\b c.mp3\r",
        (music / "d.mp3").as_uri().encode(),
        os.fsencode(music / "a.mp3"),
        b"gone\xe9.mp3",
    ]
    (tmp_path / "list.m3u8").write_bytes(b"\n".join(lines))
    expected = [music / "a.mp3", music / "b c.mp3", music / "d.mp3", tmp_path / "gone\udce9.mp3"]
    assert expand([str(tmp_path / "list.m3u8")]) == expected
    assert expand([str(tmp_path / "absent.m3u")]) == [tmp_path / "absent.m3u"]
