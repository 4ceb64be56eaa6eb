"""How the server bears load: many clients at once on loopback, then hostile ones beside one.

    python benchmarks/serve.py [song.mp3 ...] [--requests 2000] [--clients 32] [--workers 2]

The clients run on the same cores as the server, which the ratio to the batch includes. The batch
(predict_files in as many processes, on the same files) is timed before and after the load, because
other work on the machine changes. Songs given are sent in turn; without any, made tracks are.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import material

EARLY_REQUESTS = 100
ALLOWED = {200, 503}


@dataclass
class Load:
    """What came of a number of requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall_seconds: float = 0.0

    def tell(self, title: str) -> None:
        """Print one row."""
        at = statistics.quantiles(self.seconds, n=100)
        rate = len(self.seconds) / self.wall_seconds
        responses = ", ".join(f"{n} x {status}" for status, n in sorted(self.statuses.items()))
        print(f"| {title} | {rate:.1f} | {at[49]:.2f} | {at[98]:.2f} | {responses} |")


def put_load(address: tuple[str, int], songs: list[bytes], n_requests: int, n_clients: int) -> Load:
    """Send requests from n_clients threads, each as soon as its last one was answered."""
    load, numbers, lock = Load(), itertools.count(), threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(*address, timeout=600)
        while (number := next(numbers)) < n_requests:
            began = time.perf_counter()
            connection.request("POST", "/v1/predict", songs[number % len(songs)])
            response = connection.getresponse()
            response.read()
            with lock:
                load.statuses[response.status] += 1
                load.seconds.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(n_clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.wall_seconds = time.perf_counter() - began
    return load


class SlowClients:
    """Connections that send a byte a second, half of them within the head of a request."""

    def __init__(self, address: tuple[str, int], n_clients: int) -> None:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n"
        body = head + b"Content-Length: 9999\r\n\r\n"
        self._address = address
        self._heads = [body if index % 2 else head for index in range(n_clients)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.n_closed = 0

    def __enter__(self) -> SlowClients:
        self._connections = [self._connect(head) for head in self._heads]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _connect(self, head: bytes) -> socket.socket:
        connection = socket.create_connection(self._address)
        connection.sendall(head)
        return connection

    def _send(self) -> None:
        """Send; whoever is thrown out comes back at once."""
        while not self._ended.wait(1):
            for index, connection in enumerate(self._connections):
                try:
                    connection.sendall(b"x")
                except OSError:
                    self.n_closed += 1
                    connection.close()
                    self._connections[index] = self._connect(self._heads[index])


TINY_CHUNKS = """
import socket, sys, time
head = b"POST /v1/predict HTTP/1.1\\r\\nHost: localhost\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
while True:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
            connection.sendall(head)
            while True:
                connection.sendall(b"1\\r\\nx\\r\\n" * 20_000)
    except OSError:
        time.sleep(0.02)
"""


@contextlib.contextmanager
def tiny_chunk_clients(address: tuple[str, int], n_clients: int) -> Iterator[None]:
    """Let processes send chunks of one byte as fast as they can, and come back when thrown out."""
    command = [sys.executable, "-c", TINY_CHUNKS, address[0], str(address[1])]
    clients = [subprocess.Popen(command) for _ in range(n_clients)]
    try:
        time.sleep(1)
        yield
    finally:
        for client in clients:
            client.kill()
            client.wait()


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and of its children, in MB."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [pid, *(int(child) for path in children for child in path.read_text().split())]
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def batch_rate(files: list[Path], n_workers: int) -> float:
    """Return the files a second of the command line's batch, its workers' start included."""
    from genrekit import Classifier

    began = time.perf_counter()
    n_done = sum(1 for _ in Classifier().predict_files(files, n_workers))
    return n_done / (time.perf_counter() - began)


def serve(n_workers: int) -> tuple[subprocess.Popen[str], tuple[str, int]]:
    """Start a server; return it with its address."""
    command = [sys.executable, "-m", "genrekit", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", str(n_workers)], stderr=subprocess.PIPE, text=True
    )
    if process.stderr is None:
        raise RuntimeError("the server's words cannot be read")
    host, _, port = process.stderr.readline().split()[3].rpartition(":")
    return process, (host.removeprefix("http://"), int(port))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slow", type=int, default=500, help="slow clients (default: 500)")
    parser.add_argument("--tiny", type=int, default=4, help="clients of tiny chunks (default: 4)")
    parser.add_argument("--batch", type=int, default=120, help="files of the batch (default: 120)")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        files = material.short_mp3s(options.songs, options.batch, Path(name))
        songs = [file.read_bytes() for file in files[: len(options.songs) or 3]]
        rates = [batch_rate(files, options.workers)]
        process, address = serve(options.workers)
        try:
            put_load(address, songs, EARLY_REQUESTS, options.clients)
            early_mb = resident_mb(process.pid)
            load = put_load(address, songs, options.requests, options.clients)
            late_mb = resident_mb(process.pid)
            rates.append(batch_rate(files, options.workers))
            few = options.requests // 10
            alone = put_load(address, songs, few, 1)
            with SlowClients(address, options.slow) as slow:
                beside = put_load(address, songs, few, 1)
            with tiny_chunk_clients(address, options.tiny):
                attacked = put_load(address, songs, few, 1)
        finally:
            process.terminate()
            process.wait()
    print("| load | requests/s | p50 s | p99 s | responses |\n|---|---:|---:|---:|---|")
    load.tell(f"{options.clients} clients")
    alone.tell("1 client")
    beside.tell(f"1 client beside {options.slow} slow ones")
    attacked.tell(f"1 client beside {options.tiny} that send chunks of one byte")
    batch = statistics.mean(rates)
    ratio = options.requests / load.wall_seconds / batch
    print(
        f"\nbatch: {rates[0]:.1f} files/s before, {rates[1]:.1f} after; the server reaches ", end=""
    )
    print(
        f"{ratio:.2f} of it. Memory of the server and its workers: {early_mb:.0f} MB after ", end=""
    )
    print(
        f"{EARLY_REQUESTS} requests, {late_mb:.0f} MB at the end ({late_mb / early_mb - 1:+.1%}). "
    )
    print(f"Slow clients were thrown out {slow.n_closed} times.")
    if set(load.statuses) - ALLOWED:
        raise SystemExit("a response that is neither 200 nor 503 came")


if __name__ == "__main__":
    main()
