"""The library's database: what it keeps, and what it refuses."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genrekit.errors import LibraryError
from genrekit.library import database

ADD = "INSERT INTO audio (digest) VALUES (?)"


def digests(path: Path) -> list[str]:
    with database.opened(path) as connection:
        return [row["digest"] for row in connection.execute("SELECT digest FROM audio")]


def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "library.sqlite3"
    with database.opened(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        with database.transaction(connection):
            connection.execute(ADD, ("a",))
        with pytest.raises(sqlite3.IntegrityError), database.transaction(connection):
            connection.executemany(ADD, [("b",), ("a",)])
    assert digests(path) == ["a"]


def test_many_may_make_it_at_once(tmp_path: Path) -> None:
    def add(index: int) -> None:
        with database.opened(tmp_path / "l.sqlite3") as connection:
            connection.execute(ADD, (str(index),))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))
    assert sorted(map(int, digests(tmp_path / "l.sqlite3"))) == list(range(16))


def test_where_there_must_be_one_none_is_made(tmp_path: Path) -> None:
    missing = database.opened(tmp_path / "l.sqlite3", must_exist=True)
    with pytest.raises(LibraryError, match=r"no library at .*; make one with"), missing:
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite3"
    with database.opened(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(database.SCHEMA) + 1}")
    with pytest.raises(LibraryError, match="written by a newer genrekit"), database.opened(path):
        pass


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LibraryError, match="of another program"), database.opened(path):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LibraryError, match="cannot be used: file is not a database"):
        digests(path)


@pytest.mark.parametrize("name", [b"caf\xe9.mp3", "\U0001f3b5 'a' \n.mp3".encode(), b"x" * 255])
def test_any_name_comes_back(name: bytes) -> None:
    encoded = database.encode_path(database.decode_path(b"/music/" + name))
    assert encoded == b"/music/" + name


def test_a_path_is_kept_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database.decode_path(database.encode_path("a/../b.mp3")) == tmp_path / "b.mp3"


def test_a_second_connection_leaves_the_first_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite3"
    code = (
        "import sys\nfrom genrekit.library import database\n"
        "with database.opened(sys.argv[1]) as connection:\n"
        "    connection.execute('INSERT INTO audio (digest) VALUES (?)', sys.argv[2:])\n"
    )
    with database.opened(path) as first:
        for digest in ("one", "two"):
            with database.opened(path) as second:  # it opens and closes files of its own
                second.execute("SELECT 1")
            subprocess.run([sys.executable, "-c", code, path, digest], check=True)
            assert (path.parent / f"{path.name}-wal").exists()
            found = first.execute("SELECT digest FROM audio ORDER BY id DESC").fetchone()
            assert found["digest"] == digest
