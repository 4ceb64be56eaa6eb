"""Who gets in: by the token alone, from this machine's own page alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from library_serving import LibraryServer, problem, scanned

from in_process import genrekit


def test_the_token_of_the_address_becomes_a_cookie(reading: LibraryServer) -> None:
    with httpx.Client(base_url=reading.url) as client:
        entered = client.get(reading.opened)
        assert entered.status_code == 303
        assert entered.headers["location"] == "/"
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert reading.token not in cookie
        assert client.get("/").status_code == 200
        assert client.get("/api/session").json()["read_only"] is False


def test_without_the_token_nothing_is_shown(reading: LibraryServer) -> None:
    for path in ("/api/session", "/api/tracks", "/index.html", "/nowhere", "/openapi.json"):
        assert "token" in problem(httpx.get(reading.url + path), 401)
    form = httpx.get(reading.url + "/")
    assert form.status_code == 401
    assert "<form" in form.text
    wrong = httpx.get(reading.url + "/?token=wrong")
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers


def test_the_form_takes_the_token(reading: LibraryServer) -> None:
    with httpx.Client(base_url=reading.url) as client:
        assert client.post("/login", data={"key": "x" * 10_000}).status_code == 401
        assert client.post("/login", data={"key": reading.token}).status_code == 303
        assert client.get("/api/session").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # a page of another port of this machine
    ],
)
def test_other_sites_read_nothing_even_with_the_token(
    reading: LibraryServer, headers: dict[str, str], status: int
) -> None:
    with reading.client() as client:
        for path in ("/api/session", "/index.html"):
            problem(client.get(path, headers=headers), status)


def test_every_response_forbids_foreign_and_inline_scripts(reading: LibraryServer) -> None:
    for answer in (reading.get("/"), reading.get("/api/tracks"), httpx.get(reading.url)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_read_only_changes_nothing(
    scanned_music: Path, serve: Callable[..., LibraryServer]
) -> None:
    server = serve(scanned_music / "library.sqlite3", "--read-only")
    assert server.json("/api/session")["read_only"] is True
    with server.client() as client:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert "read-only" in problem(client.request(method, "/api/plan"), 403)


@pytest.mark.full
def test_another_address_asks_for_a_key(folder: Path, serve: Callable[..., LibraryServer]) -> None:
    path = scanned(folder)
    refused = genrekit("library", "serve", "--db", path, "--host", "0.0.0.0")  # noqa: S104
    assert refused.returncode == 2
    assert "GENREKIT_API_KEY" in refused.stderr
    server = serve(path, "--host", "0.0.0.0", GENREKIT_API_KEY="open sesame")  # noqa: S104
    assert "token" not in server.opened
    url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    with httpx.Client(base_url=url) as client:
        problem(client.get("/api/session"), 401)
        assert client.post("/login", data={"key": "open sesame"}).status_code == 303
        assert client.get("/api/session").status_code == 200


def test_a_body_without_an_end_is_refused(reading: LibraryServer) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 20)

    with reading.client() as client:
        for path in ("/api/plan", "/api/scan"):
            assert "send less" in problem(client.post(path, content=parts()), 413)
