"""Pages of other origins, and other names for this machine, in a real browser: nothing is given."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from library_serving import LibraryServer, running, scanned

from browser import MAY_HANG, chromium

HERE = Path(__file__).parent
RESOLVED = "--host-resolver-rules=MAP *.example 127.0.0.1"
pytestmark = MAY_HANG


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def attacker() -> Iterator[int]:
    """Serve the attacking page; give its port."""
    handler = functools.partial(QuietHandler, directory=HERE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def running_browser() -> Iterator[Callable[[], object]]:
    with chromium(RESOLVED) as running:
        yield running


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibraryServer]:
    from genrekit import demo

    folder = tmp_path_factory.mktemp("attacked")
    demo.write(folder / "music")
    (folder / "music" / "cover.png").write_bytes((HERE / "cover.png").read_bytes())
    with running(scanned(folder)) as server:
        yield server


@pytest.fixture
def visitor(running_browser: Callable[[], object], attacked: LibraryServer) -> Iterator[object]:
    """A browser's profile in which the library was opened, so that it has the cookie."""
    context = running_browser().new_context()
    page = context.new_page()
    page.goto(attacked.opened)
    assert page.evaluate("fetch('/api/session').then(r => r.status)") == 200
    yield context
    context.close()


def unchanged(server: LibraryServer) -> bool:
    session, plan = server.json("/api/session"), server.json("/api/plan")
    jobs = server.json("/api/jobs")["jobs"]
    return jobs == [] and session["counts"]["corrected"] == 0 and plan["state"] == "none"


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "evil.example", pytest.param("localhost", marks=pytest.mark.full)]
)
def test_a_page_of_another_origin_reads_and_changes_nothing(
    visitor: object, attacked: LibraryServer, attacker: int, name: str
) -> None:
    host = urlsplit(attacked.url).netloc
    page = visitor.new_page()
    given: list[tuple[str, int]] = []

    def note(response: object) -> None:
        if urlsplit(response.url).netloc == host:
            given.append((response.url, response.status))

    page.on("response", note)
    page.goto(f"http://{name}:{attacker}/attack.html?target={attacked.url}")
    found = page.evaluate("attack()")
    readable = {
        what: result
        for what, result in found.items()
        if not result.startswith("refused") and not result.startswith("opaque")
    }
    assert readable == {}, found
    assert len(found) > 30
    assert given
    assert {status for _, status in given} <= {401, 403, 421}, given
    assert unchanged(attacked)


def test_another_name_for_this_machine_is_refused(visitor: object, attacked: LibraryServer) -> None:
    page = visitor.new_page()
    port = urlsplit(attacked.url).port
    answer = page.goto(f"http://rebound.example:{port}/?token={attacked.token}")
    assert answer.status == 421
    statuses = page.evaluate(
        """async () => {
            const answers = [await fetch("/api/session"), await fetch("/api/scan",
                {method: "POST", headers: {"Content-Type": "application/json"},
                 body: JSON.stringify({folders: ["/"]})})];
            return answers.map((answer) => answer.status);
        }"""
    )
    assert statuses == [421, 421]
    assert unchanged(attacked)
