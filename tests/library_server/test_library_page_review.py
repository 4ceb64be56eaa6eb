"""A plan in a real browser, from the proposal to the undo, by one reviewer and by two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from library_browser import library_page, lines
from library_serving import LibraryServer, hashes

from browser import MAY_HANG, expect
from genrekit.tags import formats

pytestmark = [MAY_HANG, pytest.mark.slow]


def genres(folder: Path, name: str) -> tuple[str, ...]:
    return formats.read(folder / "music" / name).genres


def propose(page: object) -> None:
    """Plan for every file without a genre, however unsure."""
    page.locator("#plan-form summary").click()
    page.fill("#plan-precision", "1")
    page.locator("#plan-form .primary").click()
    expect(lines(page)).to_have_count(4)


def press(page: object, key: str, tab: str, count: int) -> None:
    """Decide by a key; wait until the summary counts it."""
    page.keyboard.press(key)
    expect(page.locator(f"#tab-{tab}")).to_contain_text(str(count))


@pytest.fixture(autouse=True)
def without_plan(page_server: LibraryServer) -> None:
    """Begin with no plan in review."""
    with page_server.client() as client:
        plan = client.get("/api/plan").json()
        if plan["state"] != "none":
            client.request("DELETE", "/api/plan", json={"revision": plan["revision"]})
        assert client.get("/api/plan").json()["state"] == "none"


def test_from_the_proposal_to_the_undo(
    browser: object, page_server: LibraryServer, eight: Path
) -> None:
    before = hashes(eight)
    with library_page(browser, page_server, "review") as page:
        propose(page)
        page.locator("#plan-table").focus()
        press(page, "r", "rejected", 1)
        press(page, "a", "accepted", 1)
        page.keyboard.press("e")
        page.fill("#dialog-genre", "Polka")
        page.keyboard.press("Enter")
        page.locator("#dialog .primary").click()
        expect(page.locator("#tab-accepted")).to_contain_text("2")
        page.fill("#accept-above", "0")
        page.locator("#accept-all").click()
        expect(page.locator("#plan-apply")).to_have_text("Apply 3 changes")
        assert hashes(eight) == before, "nothing is written before it is confirmed"
        page.locator("#plan-apply").click()
        expect(page.locator("dialog")).to_contain_text("Write genres into 3 files?")
        page.locator("dialog .primary").click()
        expect(page.locator("#tab-applied")).to_contain_text("3")
        after = hashes(eight)
        changed = {name for name in before if after[name] != before[name]}
        assert len(changed) == 3
        assert changed < {"two.mp3", "three.ogg", "five.m4a", "seven.aiff"}
        found = {name: genres(eight, name) for name in changed}
        assert sum("Polka" in names for names in found.values()) == 1, found
        page.locator("#written button").first.click()
        page.locator("dialog .primary").click()
        expect(page.locator("#tab-applied")).to_have_count(0)
        assert hashes(eight) == before
        page.locator("#plan-drop").click()
        page.locator("#dialog .primary").click()
        expect(page.locator("#plan-form")).to_be_visible()


def test_styles_and_names_are_chosen_in_the_form(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server, "review") as page:
        page.locator("#plan-form summary").click()
        page.select_option("#plan-styles", "GROUPING")
        page.select_option("#plan-names", "id3v1")
        page.fill("#plan-precision", "1")
        page.locator("#plan-form .primary").click()
        change = lines(page).filter(has_text="Seventh Sea").locator(".p-change")
        expect(change).to_have_text("none→becomesElectronicGROUPING: Disco")


def test_a_second_reviewer_is_shown_what_the_first_did(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server, "review") as first:
        propose(first)
        with library_page(browser, page_server, "review") as second:
            asked: list[str] = []
            second.on("request", lambda request: asked.append(request.url))
            second.reload()
            expect(lines(second)).to_have_count(4)
            plans = [url for url in asked if "/api/plan?" in url]
            assert "limit=100" in plans[0]  # the lines come with the first answer
            first.locator("#plan-table").focus()
            press(first, "a", "accepted", 1)
            second.locator(".line .rejected").first.click()
            expect(second.locator("#notice")).to_contain_text("Somebody else changed the plan")
            expect(second.locator("#tab-accepted")).to_have_text("Accepted 1")
            expect(second.locator(".line .accepted").first).to_have_attribute(
                "aria-pressed", "true"
            )


@pytest.mark.full
def test_read_only_shows_no_way_to_write(
    browser: object, eight: Path, serve: Callable[..., LibraryServer]
) -> None:
    reading = serve(eight / "library.sqlite3", "--read-only")
    with library_page(browser, reading) as page:
        expect(page.locator("#track-count")).to_have_text("8 tracks")
        expect(page.locator("#plan-these")).to_be_hidden()
        page.locator(".row-of-table").first.click()
        expect(page.locator("#track-facts")).to_contain_text("Correction")
        expect(page.locator("#track-genre")).to_have_count(0)
        page.goto(f"{reading.url}/#review")
        expect(page.locator("#review")).to_contain_text("read-only")
        expect(page.locator("#plan-form")).to_have_count(0)
        page.goto(f"{reading.url}/#scan")
        expect(page.locator("#scan-folder")).to_be_hidden()
