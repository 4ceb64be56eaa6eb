"""Downloads against a real server on this machine, and archives that mean harm."""

from __future__ import annotations

import hashlib
import http.server
import io
import shutil
import socket
import stat
import tarfile
import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from genrekit.datasets import download, unpacking
from genrekit.datasets.download import Archive
from genrekit.errors import DatasetError

BODY = np.random.default_rng(7).bytes(300_000)


@dataclass
class Server:
    """What the server serves, how it misbehaves, and what was requested."""

    url: str = ""
    body: bytes = BODY
    ranges: bool = True
    cut: list[int] = field(default_factory=list)  # one connection each ends after so many bytes
    statuses: list[int] = field(default_factory=list)  # one response each, before anything is sent
    wrong_start: bool = False
    stall: bool = False
    requested: list[str | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def loopback() -> None:
    """Skip where a process cannot even reach itself, as in an empty network namespace."""
    with socket.create_server(("127.0.0.1", 0)) as server_socket:
        try:
            socket.create_connection(server_socket.getsockname(), timeout=5).close()
        except OSError as error:
            pytest.skip(f"this machine cannot reach itself: {error}")


@pytest.fixture
def server(loopback: None) -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested = self.headers.get("Range")
            state.requested.append(requested)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = int(requested[6:-1]) if requested and state.ranges else 0
            if start >= len(state.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.body)}")
                self.end_headers()
                return
            self.send_response(206 if requested and state.ranges else 200)
            first = start + 1 if state.wrong_start else start
            self.send_header("Content-Range", f"bytes {first}-{len(state.body) - 1}/*")
            self.send_header("Content-Length", str(len(state.body) - start))
            self.end_headers()
            n_bytes = state.cut.pop(0) if state.cut else len(state.body)
            self.wfile.write(state.body[start : start + n_bytes])
            if state.stall:
                self.wfile.flush()
                state.released.wait(10)

        def log_message(self, *args: object) -> None:
            del args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        state.url = f"http://127.0.0.1:{running.server_port}/data/set.zip?download=true"
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        state.released.set()
        running.shutdown()


def fetch(server: Server, part: Path, **options: object) -> None:
    download.fetch(server.url, part, pause_seconds=0.001, **options)  # type: ignore[arg-type]


# Fetching


def test_a_file_comes_whole_and_progress_ends_at_its_size(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    fetch(server, tmp_path / "x.part", progress=lambda done, total: steps.append((done, total)))
    assert (tmp_path / "x.part").read_bytes() == BODY
    assert steps[-1] == (len(BODY), len(BODY))
    assert server.requested == [None]


def test_broken_connections_go_on_where_they_ended(server: Server, tmp_path: Path) -> None:
    server.cut = [100_000, 50_000, 1]
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY
    assert server.requested == [None, "bytes=100000-", "bytes=150000-", "bytes=150001-"]


def test_a_part_that_was_kept_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(BODY[:200_000])
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY
    assert server.requested == ["bytes=200000-"]


def test_a_part_that_is_whole_is_left_as_it_is(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(BODY)
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY
    assert server.requested == [f"bytes={len(BODY)}-"]


def test_a_part_that_is_longer_than_the_file_is_fetched_anew(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "x.part").write_bytes(BODY + b"more")
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY


def test_a_server_that_cannot_resume_sends_all_of_it_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut = [200_000]
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY
    assert server.requested == [None, "bytes=200000-"]


def test_a_server_that_sends_another_part_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(BODY[:1000])
    server.wrong_start = True
    with pytest.raises(DatasetError, match="another part than was requested"):
        fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY[:1000]


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY


def test_a_missing_file_is_not_requested_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(DatasetError, match="the server returned 404 Not Found; see whether"):
        fetch(server, tmp_path / "x.part")
    assert len(server.requested) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_progress_it_gives_up_and_keeps_the_part(server: Server, tmp_path: Path) -> None:
    server.cut = [100_000] + [0] * 20
    with pytest.raises(
        DatasetError, match=r"ended after 100,000 of 300,000 .* goes on from the 100"
    ):
        fetch(server, tmp_path / "x.part")
    assert len(server.requested) == download.N_ATTEMPTS
    assert (tmp_path / "x.part").read_bytes() == BODY[:100_000]


def test_a_connection_that_falls_silent_is_broken_off(server: Server, tmp_path: Path) -> None:
    server.stall = True
    server.cut = [100] + [0] * 20
    with pytest.raises(DatasetError, match="timed out"):
        fetch(server, tmp_path / "x.part", timeout_seconds=0.05)


def test_a_server_that_is_not_there_is_named(loopback: None, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot download http://127\.0\.0\.1:9/x: .*refused"):
        download.fetch("http://127.0.0.1:9/x", tmp_path / "x.part", pause_seconds=0.001)


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 1000))
    with pytest.raises(DatasetError, match=r"has 0\.0 GB free; downloading and unpacking x takes"):
        fetch(server, tmp_path / "x.part")
    assert list(tmp_path.iterdir()) == []


# Getting: fetch, check, unpack


def zipped(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def offered(server: Server, content: bytes, **changes: object) -> Archive:
    server.body = content
    facts: dict[str, object] = {
        "url": server.url,
        "checksum": f"sha1:{hashlib.sha1(content, usedforsecurity=False).hexdigest()}",
        "provides": "set",
        "max_bytes": 10**6,
    }
    return Archive(**(facts | changes))  # type: ignore[arg-type]


def test_a_dataset_is_downloaded_checked_and_unpacked(server: Server, tmp_path: Path) -> None:
    content = zipped({"set/": b"", "set/a/1.wav": b"one", "set/b/2.wav": BODY})
    archive = offered(server, content)
    server.cut = [1000]
    assert download.get([archive], tmp_path / "new", pause_seconds=0.001) == [tmp_path / "new/set"]
    assert (tmp_path / "new/set/a/1.wav").read_bytes() == b"one"
    assert (tmp_path / "new/set/b/2.wav").read_bytes() == BODY
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["set"]
    n_requested = len(server.requested)
    assert download.get([archive], tmp_path / "new") == []
    assert len(server.requested) == n_requested


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_wrong_checksum_is_named_and_the_file_removed(
    server: Server, tmp_path: Path, algorithm: str
) -> None:
    content = zipped({"set/a": b"one"})
    good = f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"
    download.get([offered(server, content, checksum=good)], tmp_path / "good")
    archive = offered(server, content, checksum=f"{algorithm}:00")
    with pytest.raises(DatasetError, match=rf"has {algorithm} \w+, expected 00: the download was"):
        download.get([archive], tmp_path / "bad")
    assert list((tmp_path / "bad").iterdir()) == []


def test_what_is_refused_at_unpacking_leaves_nothing_but_the_archive(
    server: Server, tmp_path: Path
) -> None:
    archive = offered(server, zipped({"set/a": b"one", "set/../../b": b"two"}))
    with pytest.raises(DatasetError, match="leads out of the folder"):
        download.get([archive], tmp_path / "new")
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["set.zip.part"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


# Unpacking

Member = tuple[str, bytes, dict[str, object]]


def tarred(*members: Member) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def linked_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("set/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


def encrypted_zip() -> bytes:
    """A zip whose flag marks its member as encrypted, in both of its headers."""
    content = bytearray(zipped({"set/a": b"one"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


GOOD = ("set/a", b"one", {})
LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
BAD = {
    "absolute": (lambda: tarred(GOOD, ("/set/x", b"", {})), "tar.gz", "'/set/x' leads out"),
    "climbing": (lambda: tarred(GOOD, ("set/../../x", b"", {})), "tar.gz", "leads out"),
    "backslash": (lambda: tarred(GOOD, ("set\\..\\x", b"", {})), "tar.gz", "leads out"),
    "drive": (lambda: tarred(GOOD, ("C:x", b"", {})), "tar.gz", "leads out"),
    "symlink": (lambda: tarred(GOOD, ("set/l", b"", LINK)), "tar.gz", "is a link or a device"),
    "symlink and a file below it": (
        lambda: tarred(("set/l", b"", LINK), ("set/l/x", b"", {})),
        "tar.gz",
        "is a link",
    ),
    "hard link": (
        lambda: tarred(GOOD, ("set/l", b"", {"type": tarfile.LNKTYPE, "linkname": "set/a"})),
        "tar.gz",
        "is a link or a device",
    ),
    "device": (
        lambda: tarred(GOOD, ("set/null", b"", {"type": tarfile.CHRTYPE})),
        "tar.gz",
        "is a link or a device",
    ),
    "pipe": (
        lambda: tarred(GOOD, ("set/pipe", b"", {"type": tarfile.FIFOTYPE})),
        "tar.gz",
        "is a link or a device",
    ),
    "twice": (lambda: tarred(GOOD, GOOD), "tar.gz", "'set/a' is in it twice"),
    "file as folder": (lambda: tarred(GOOD, ("set/a/b", b"", {})), "tar.gz", "is in it twice"),
    "bomb": (lambda: tarred(("set/a", bytes(10**6 + 1), {})), "tar.gz", "makes it larger"),
    "bomb of many": (
        lambda: tarred(*((f"set/{n}", bytes(200_000), {}) for n in range(6))),
        "tar.gz",
        "'set/5' makes it larger",
    ),
    "zip bomb": (lambda: zipped({"set/a": bytes(10**6 + 1)}), "zip", "makes it larger"),
    "zip climbing": (lambda: zipped({"../x": b""}), "zip", "leads out"),
    "zip link": (linked_zip, "zip", "is a link or a device"),
    "zip encrypted": (encrypted_zip, "zip", "encrypted"),
    "cut tar": (lambda: tarred(("set/a", BODY, {}))[:100_000], "tar.gz", "is damaged"),
    "cut zip": (lambda: zipped({"set/a": BODY})[:100_000], "zip", "is damaged"),
    "no tar": (lambda: b"<html>Not here</html>" * 100, "tar.gz", "is damaged"),
    "other folder": (lambda: tarred(("other/a", b"", {})), "tar.gz", "no folder 'set', but other"),
    "empty": (tarred, "tar.gz", "no folder 'set', but nothing"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_archive_that_means_harm_is_refused_and_leaves_nothing(
    case: str, tmp_path: Path
) -> None:
    make: Callable[[], bytes]
    make, suffix, message = BAD[case]
    archive = tmp_path / "archive"
    archive.write_bytes(make())
    with pytest.raises(DatasetError, match=message):
        unpacking.unpack(archive, f"set.{suffix}", tmp_path / "in/set", max_bytes=10**6)
    assert list((tmp_path / "in").iterdir()) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["archive", "in"]


def test_a_good_tar_is_unpacked_and_stays_below_the_bound(tmp_path: Path) -> None:
    folder = ("set", b"", {"type": tarfile.DIRTYPE})
    (tmp_path / "archive").write_bytes(tarred(folder, ("./set/a/1.au", bytes(10**6), {})))
    unpacking.unpack(tmp_path / "archive", "set.tar.gz", tmp_path / "set", max_bytes=10**6)
    assert (tmp_path / "set/a/1.au").stat().st_size == 10**6
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["archive", "set"]
