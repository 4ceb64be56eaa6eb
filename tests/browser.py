"""Debian's Chromium without a window, driven by Playwright, for the tests of the pages.

The headless shell has the engine of the browser and none of its windows, tabs and extensions: a
page takes a quarter of the processor time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium-headless-shell")
WAIT_MS = 60_000  # for anything: the machine may be busy with other tests
# A browser that crashed, or hung so that what was waited for did not come, is tried again; an error
# in the page, a wrong request or a wrong value is not.
MAY_HANG = pytest.mark.flaky(
    reruns=2, only_rerun=["Timeout", "crashed", "has been closed", "Locator expected"]
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
]


@dataclass
class Seen:
    """What a page did that a user does not see."""

    host: str
    messages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refusals: set[int] = field(default_factory=lambda: {422})

    def note(self, message: object) -> None:
        """Note a message; that a file was refused is the browser's own note of a response."""
        self.messages.append(message.text)
        refused = any(f"status of {status}" in message.text for status in self.refusals)
        if message.type == "error" and not refused:
            self.problems.append(message.text)

    def check(self) -> None:
        """No console error, no exception, no request to another host."""
        assert self.problems == []
        hosts = {urlsplit(url).netloc for url in self.requests}
        assert hosts <= {self.host, ""}  # "" are blob: and data:


def expect(thing: object) -> object:
    from playwright.sync_api import expect as of_playwright

    return of_playwright(thing)


def check_with_axe(page: object, width: int, view: str) -> None:
    """No serious finding, and nothing reaches over the edge."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    results = axe.Axe().run(page).response
    assert results["passes"], "axe looked at something"
    bad = [found for found in results["violations"] if found["impact"] in ("serious", "critical")]
    assert [(view, found["id"], found["nodes"][0]["html"]) for found in bad] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def ask_why(page: object) -> None:
    """Open the evidence, if it is not."""
    if page.locator("#why").get_attribute("aria-expanded") == "false":
        page.locator("#why").click()


@contextmanager
def chromium(*arguments: str) -> Iterator[Callable[[], object]]:
    """Give what starts the browser, again where it died; the test is skipped where it is absent."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: make system")
    playwright.expect.set_options(timeout=WAIT_MS)
    browsers: list[object] = []
    with playwright.sync_playwright() as driver:

        def running() -> object:
            if not browsers or not browsers[-1].is_connected():
                started = driver.chromium.launch(
                    executable_path=str(CHROMIUM), args=[*ARGUMENTS, *arguments], timeout=WAIT_MS
                )
                browsers.append(started)
            return browsers[-1]

        yield running


@contextmanager
def opened(browser: object, url: str, **options: object) -> Iterator[tuple[object, Seen]]:
    """Open a page at a url; options are those of a new page."""
    page = browser.new_page(**options)
    page.set_default_timeout(WAIT_MS)
    seen = Seen(urlsplit(url).netloc)
    page.on("pageerror", lambda error: seen.problems.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", seen.note)
    try:
        page.goto(url)
        yield page, seen
    finally:
        page.close()
