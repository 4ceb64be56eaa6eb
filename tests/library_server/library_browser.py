"""The page of a library in Chromium, for its tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from library_serving import LibraryServer

from browser import WAIT_MS, opened


@contextmanager
def library_page(
    browser: object, server: LibraryServer, view: str = "tracks", **options: object
) -> Iterator[object]:
    """Open a view of the page as a user does who has the printed address; nothing may go wrong."""
    options = {"viewport": {"width": 1280, "height": 800}, **options}
    with opened(browser, server.opened, **options) as (page, seen):
        seen.refusals |= {404, 409}  # covers that are absent; what another reviewer changed
        page.goto(f"{server.url}/#{view}")
        yield page
        seen.check()


def rows(page: object) -> object:
    """Return the shown rows of the table of tracks."""
    return page.locator("#table .row-of-table:not([hidden])")


def lines(page: object) -> object:
    """Return the shown lines of the plan."""
    return page.locator("#plan-table .line:not([hidden])")


def wait_for_player(page: object, condition: str) -> None:
    """Wait for an expression of JavaScript about the page's player."""
    handle = page.query_selector("#player")
    page.wait_for_function(f"(player) => {condition}", arg=handle, timeout=WAIT_MS)
