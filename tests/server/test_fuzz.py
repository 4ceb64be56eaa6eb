"""What no careful client sends: mutated files, bombs, odd names and forms, and schemathesis."""

from __future__ import annotations

import gzip
import io
import random
import re
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import soundfile
from serving import WAIT_SECONDS, Server, received, start, wait_for
from test_limits import silent_flac

from genrekit import demo
from genrekit.server import problems

pytestmark = pytest.mark.slow

MAX_RESIDENT_MB = 600
REFUSED = {400, 413, 415, 422}
Mutation = Callable[[bytes, random.Random], bytes]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all of this file: alive at its end, with the same workers, nothing on disk."""
    running = start(
        tmp_path_factory.mktemp("fuzzed"), "--workers=2", "max_bytes=20000000", "item_seconds=600"
    )
    wait_for(lambda: running.metric("genrekit_workers_ready") == 2)
    workers = set(running.worker_pids())
    assert len(workers) == 2
    yield running
    try:
        wait_for(lambda: running.metric("genrekit_files_open") == 0)
        assert running.metric("genrekit_upload_bytes") == 0
        assert running.metric("genrekit_workers_killed_total") == 0
        assert set(running.worker_pids()) == workers
        assert max(resident_mb(pid) for pid in [running.process.pid, *workers]) < MAX_RESIDENT_MB
    finally:
        running.check_left_nothing()


def resident_mb(pid: int) -> float:
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def originals() -> list[bytes]:
    """Four seconds of a made track in several formats."""
    waveform = demo.synthesise("drums")[:, : 4 * demo.SAMPLE_RATE].T
    found = []
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF"):
        stream = io.BytesIO()
        soundfile.write(stream, waveform, demo.SAMPLE_RATE, format=kind)
        found.append(stream.getvalue())
    return found


def truncated(original: bytes, chance: random.Random) -> bytes:
    return original[: chance.randrange(len(original))]


def flipped(original: bytes, chance: random.Random) -> bytes:
    """Flip a few bits, half of the time in the first kilobyte, where the headers are."""
    data = bytearray(original)
    reach = chance.choice([1024, len(data)])
    for _ in range(chance.randint(1, 40)):
        data[chance.randrange(min(reach, len(data)))] ^= 1 << chance.randrange(8)
    return bytes(data)


def spliced(original: bytes, chance: random.Random) -> bytes:
    """Leave a part out, or put one there twice, or noise."""
    first, last = sorted(chance.randrange(len(original)) for _ in range(2))
    part = chance.choice([b"", 2 * original[first:last], chance.randbytes(last - first)])
    return original[:first] + part + original[last:]


def wrong_type(original: bytes, chance: random.Random) -> bytes:
    """Put another format's head before audio, or no audio at all."""
    heads = [b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"OggS\0", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"fLaC"]
    heads += [b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3", b"#EXTM3U\nfile:///etc/passwd\n", b"RIFF"]
    return chance.choice(heads) + chance.choice([original, chance.randbytes(5000), b""])


def lying_wav(original: bytes, chance: random.Random) -> bytes:
    """A WAV whose header says absurd numbers of channels, of Hz and of bytes."""
    channels = chance.choice([0, 1, 2, 1024, 65535])
    rate = chance.choice([0, 1, 7, 1000, 2**31 - 1, 2**32 - 1])
    n_bytes = chance.choice([0, 10, 2**31, 2**32 - 1])
    bits = chance.choice([0, 1, 8, 16, 24, 64])
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 & 0xFFFFFFFF, 2, bits)
    head = b"RIFF" + struct.pack("<I", n_bytes) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", n_bytes) + original[:20_000]


def bomb(original: bytes, chance: random.Random) -> bytes:
    """A little that unpacks to a lot: gzip, zip, or FLAC of hours of silence."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("silence.wav", bytes(10_000_000))
    packed = gzip.compress(bytes(10_000_000))
    return chance.choice([packed, stream.getvalue(), silent_flac(3600, 1000), original[:9]])


MUTATIONS: list[Mutation] = [truncated, flipped, spliced, wrong_type, lying_wav, bomb]
NAMES = ["../../x", "..", "", "a" * 5000 + ".mp3", "x\0.mp3", "%2e%2e%2fx", "🎵.flac", "a\\b.wav"]


@pytest.mark.parametrize("n_uploads", [36, pytest.param(2000, marks=pytest.mark.full)])
def test_mutated_uploads(fuzzed: Server, originals: list[bytes], n_uploads: int) -> None:
    expected = fuzzed.post(originals[0]).json()["genres"]
    statuses: dict[int, int] = {}
    with fuzzed.client() as client:
        client.timeout = httpx.Timeout(600)  # hours of silence may come before
        for index in range(n_uploads):
            chance = random.Random(index)
            mutation = MUTATIONS[index % len(MUTATIONS)]
            content = mutation(chance.choice(originals), chance)
            form = {"file": (chance.choice(NAMES), content)}
            params = {"include": chance.choice(["", "", "spectrogram,timeline"])}
            answer = client.post("/v1/predict", files=form, params=params)
            assert answer.status_code in {200, 202, *REFUSED}, (index, mutation, answer.text)
            assert not {"genrekit-serve", "Traceback"} & set(answer.text.split("/"))
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert statuses[200] > n_uploads // 10
    assert statuses[422] > n_uploads // 10
    assert fuzzed.post(originals[0]).json()["genres"] == expected


def test_ten_hours_of_silence(fuzzed: Server) -> None:
    answer = fuzzed.post(silent_flac(36_000, 1000), filename="night.flac")
    assert (answer.status_code, "36000 s long" in answer.text) == (413, True)


def test_ten_thousand_parts(fuzzed: Server) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.mp3"\r\n\r\nx\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with fuzzed.client(headers=headers) as client:
        answer = client.post("/v1/predict", content=part * 10_000 + b"--b--\r\n")
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http(fuzzed: Server, head: bytes) -> None:
    with socket.create_connection(fuzzed.url[7:].split(":")) as client:
        client.settimeout(WAIT_SECONDS)
        with suppress(ConnectionError):  # the server need not read it to the end
            client.sendall(head)
        answer = received(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    problems.ProblemDocument.model_validate_json(body)
    with fuzzed.client() as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("n_examples", [3, pytest.param(500, marks=pytest.mark.full)])
def test_the_openapi_document_is_kept(fuzzed: Server, tmp_path: Path, n_examples: int) -> None:
    # A valid form whose file is no audio is refused with 422: that check cannot hold here.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{fuzzed.url}/openapi.json"),
            *("--max-examples", str(n_examples), "--exclude-checks", "positive_data_acceptance"),
            *(
                "--workers",
                "4",
                "--seed",
                "1",
                "--warnings",
                "off",
                "--request-timeout",
                str(WAIT_SECONDS),
            ),
            *("--suppress-health-check", "too_slow"),  # of the machine, not of the server
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"([6-9]) selected / \1 total", done.stdout), done.stdout
