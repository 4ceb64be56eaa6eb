"""Clients that send crumbs, pages of other sites, foreign names and two lengths at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
import pytest
from serving import Server, start

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets pages of one other site call."""
    running = start(tmp_path_factory.mktemp("origins"), "--allow-origin=https://page.example")
    yield running
    running.check_left_nothing()


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), 30)


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def chunks_of_one_byte(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"1\r\nx\r\n" * 20_000)


def a_byte_at_a_time(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
    )
    for _ in range(20_000):
        connection.sendall(b"x")
        time.sleep(0.0002)


@pytest.mark.parametrize("send", [chunks_of_one_byte, a_byte_at_a_time])
def test_a_client_that_sends_crumbs_is_dropped(
    strict_server: Server, send: Callable[[socket.socket], None]
) -> None:
    with connect(strict_server) as connection:
        with suppress(ConnectionError):
            send(connection)
        assert is_closed(connection)


ATTACK = """
import socket, sys, time
head, crumbs = bytes.fromhex(sys.argv[2]), b"1\\r\\nx\\r\\n" * 20_000
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as connection:
            connection.sendall(head)
            while True:
                connection.sendall(crumbs)
    except OSError:
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_four_of_them_do_not_hold_others_up(strict_server: Server) -> None:
    def worst_of(n_requests: int) -> float:
        found = []
        with strict_server.client() as client:
            for _ in range(n_requests):
                began = time.perf_counter()
                assert client.get("/healthz").status_code == 200
                found.append(time.perf_counter() - began)
                time.sleep(0.005)
        return float(np.percentile(found, 99))

    alone = worst_of(100)
    command = [sys.executable, "-c", ATTACK, str(urlsplit(strict_server.url).port), HEAD.hex()]
    attackers = [subprocess.Popen(command) for _ in range(4)]
    try:
        time.sleep(0.5)
        attacked = worst_of(100)
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
    assert attacked < 3 * alone + 0.25  # stalled, it took seconds; other tests may be at work


def test_ordinary_chunks_are_taken(strict_server: Server) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(400):
            yield b"\r\n" + bytes(1000)

    with strict_server.client() as client:
        assert client.post("/v1/predict", content=body()).status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Host": "rebound.example"}, 421),
        ({"Host": "rebound.example:8000"}, 421),
        ({"Host": "192.0.2.7:8000"}, 422),
        ({"Host": "[::1]:80"}, 422),
        ({"Host": "page.example"}, 422),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://page.example"}, 422),
    ],
)
def test_who_may_post(strict_server: Server, headers: dict[str, str], status: int) -> None:
    with strict_server.client() as client:
        response = client.post("/v1/predict", content=b"no audio", headers=headers)
        assert response.status_code == status
        own = {"Origin": strict_server.url}
        assert client.post("/v1/predict", content=b"no audio", headers=own).status_code == 422
        read = client.get("/healthz", headers={"Sec-Fetch-Site": "cross-site"})
        assert read.status_code == 200


def test_both_lengths_are_refused(strict_server: Server) -> None:
    with connect(strict_server) as connection:
        connection.sendall(HEAD[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n")
        assert b" 400 " in connection.recv(100)
