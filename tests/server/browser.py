"""Debian's Chromium, driven by Playwright, for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless=new",
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
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def hear(self, message: object) -> None:
        """Note an error; that a file was refused (422) is the browser's own note of an answer."""
        if message.type == "error" and "status of 422" not in message.text:
            self.problems.append(message.text)

    def check(self) -> None:
        """No console error, no exception, no request to another host."""
        assert self.problems == []
        assert self.hosts <= {self.host, ""}  # "" are blob: and data:


@contextmanager
def chromium() -> Iterator[object]:
    """Start the browser; the test is skipped where it is absent."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: make system")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: object, url: str, **options: object) -> Iterator[tuple[object, Seen]]:
    """Open a page at a url; options are those of a new page."""
    page = browser.new_page(**options)
    seen = Seen(urlsplit(url).netloc)
    page.on("pageerror", lambda error: seen.problems.append(str(error)))
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
    page.on("console", seen.hear)
    page.goto(url)
    yield page, seen
    page.close()
