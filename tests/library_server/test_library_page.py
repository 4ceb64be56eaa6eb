"""The page of a library in a real browser: scan, filter, play, look at a track and at the map."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from eight_formats import FILES, SCRIPT
from library_browser import library_page, rows, wait_for_player
from library_serving import LibraryServer, scanned

from browser import MAY_HANG, check_with_axe, expect, opened
from genrekit import Classifier, demo, library_server
from genrekit.inference import timeline
from genrekit.library import database
from genrekit.prediction import percent

pytestmark = MAY_HANG


def test_an_empty_library_says_what_to_do_and_is_scanned(
    browser: object, eight: Path, serve: Callable[..., LibraryServer], tmp_path: Path
) -> None:
    server = serve(tmp_path / "empty.sqlite3")
    with library_page(browser, server) as page:
        expect(page.locator("#empty")).to_contain_text("This library is empty")
        page.fill("#empty-folder", str(eight / "music"))
        page.locator("#empty form .primary").click()
        expect(page.locator("#track-count")).to_have_text("8 tracks")
        expect(rows(page)).to_have_count(len(FILES))
        expect(page.locator("#empty")).to_be_hidden()
        page.goto(f"{server.url}/#scan")
        expect(page.locator(".job")).to_contain_text("done, 8 of 8 files")


def test_sorted_filtered_and_searched_by_keyboard(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server) as page:
        titles = rows(page).locator(".c-title")
        expect(titles).to_have_count(8)
        page.locator("#table").focus()
        page.keyboard.press("2")
        expect(page.locator("[aria-sort=ascending]")).to_have_text("Title")
        expect(page.locator("[aria-rowindex='2'] .c-title")).to_have_text(SCRIPT)
        page.keyboard.press("2")
        expect(page.locator("[aria-rowindex='2'] .c-title")).to_have_text("Sixth Sense")
        page.keyboard.press("/")
        page.keyboard.type("houses bo")
        expect(page.locator("#track-count")).to_have_text("3 tracks")
        expect(rows(page)).to_have_count(3)
        page.locator("#kind-missing").click()
        expect(page.locator("#track-count")).to_have_text("1 track")
        expect(rows(page)).to_contain_text("Fifth Floor")
        page.locator("#clear").click()
        expect(rows(page)).to_have_count(8)
        assert page.title() == "Tracks · genrekit library", "no tag ran as a script"


@pytest.mark.slow
def test_rows_that_did_not_come_are_asked_for_when_they_are_seen_again(
    browser: object, scanned_music: Path, serve: Callable[..., LibraryServer], tmp_path: Path
) -> None:
    server = serve(_with_many_files(scanned_music / "library.sqlite3", tmp_path))
    asked: list[str] = []

    def fail(route: object) -> None:
        asked.append(route.request.url)
        route.abort()

    with opened(browser, server.opened, viewport={"width": 1280, "height": 800}) as (page, seen):
        expect(page.locator("#track-count")).to_have_text("500 tracks")
        page.route("**/api/tracks?offset=200&*", fail)
        _scroll_to(page, 250)
        expect(page.locator("#notice")).to_have_text(
            "The program does not respond; is it still running?"
        )
        _scroll_to(page, 252)  # it is still seen, and not asked for at each step
        expect(page.locator("[aria-rowindex='254']")).to_have_class(re.compile("waiting"))
        assert len(asked) == 1
        page.unroute("**/api/tracks?offset=200&*")
        _scroll_to(page, 0)
        expect(page.locator("[aria-rowindex='2']")).not_to_have_class(re.compile("waiting"))
        _scroll_to(page, 250)
        expect(page.locator("[aria-rowindex='252']")).not_to_have_class(re.compile("waiting"))
        assert seen.problems == ["Failed to load resource: net::ERR_FAILED"]


def _with_many_files(path: Path, folder: Path) -> Path:
    """Copy a library and add files to it, of the same audio, until it has 500."""
    copied = folder / "library.sqlite3"
    with database.opened(path) as connection:
        connection.execute("VACUUM INTO ?", (str(copied),))
    with database.opened(copied) as connection, database.transaction(connection):
        (n_files,) = connection.execute("SELECT count(*) FROM files").fetchone()
        connection.executemany(
            "INSERT INTO files (path, audio_id, genres, size_bytes, mtime_ns) "
            "SELECT ?, audio_id, genres, size_bytes, mtime_ns FROM files LIMIT 1",
            [(f"/music/{number}.flac".encode(),) for number in range(500 - n_files)],
        )
    return copied


def _scroll_to(page: object, row: int) -> None:
    """Scroll the table so that a row is the first one seen."""
    page.evaluate(
        """(row) => {
          const table = document.querySelector("#table");
          const height = parseFloat(getComputedStyle(table).getPropertyValue("--row-height"));
          table.scrollTop = row * height;
        }""",
        row,
    )


def test_every_format_is_played(browser: object, page_server: LibraryServer) -> None:
    with library_page(browser, page_server) as page:
        expect(rows(page)).to_have_count(8)
        page.locator("#table").focus()
        for _ in FILES:
            page.keyboard.press(" ")
            wait_for_player(page, "!player.paused && player.duration > 3.5")
            page.keyboard.press("ArrowDown")
        page.keyboard.press("p")
        wait_for_player(page, "player.paused")
        expect(page.locator("#sound-title")).to_contain_text("Cy")


def test_a_track_with_its_timeline_and_evidence(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server) as page:
        page.locator(".row-of-table", has_text="First Light").click()
        expect(page.locator("#track-title")).to_be_focused()
        expect(page.locator("#track-answer li")).to_have_count(5)
        expect(page.locator("#track-facts")).to_contain_text("Sources of the genre")
        best = page.locator("#track-answer li").first.inner_text().split("\n")
        expect(page.locator("#stage-note")).to_have_text(f"0:00 {best[0]} {best[-1]}")
        expect(page.locator("#track-cover img")).to_be_visible()
        page.locator("#stage").focus()
        page.keyboard.press("PageUp")
        wait_for_player(page, "Math.abs(player.currentTime - 5) < 0.2")
        page.locator("#why").click()
        expect(page.locator("#stage-note")).to_contain_text("Orange supports")
        page.keyboard.press("Escape")
        expect(page.locator("#track")).to_be_hidden()


@pytest.mark.full
def test_a_long_tracks_timeline_says_that_it_is_of_the_whole_track(
    browser: object, serve: Callable[..., LibraryServer], tmp_path: Path
) -> None:
    parts = [demo.synthesise(name) for name in ("drums", "strings", "guitar") * 3]
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "long.wav", np.concatenate(parts, 1).T, demo.SAMPLE_RATE)
    server = serve(scanned(tmp_path, model=None))
    [row] = server.json("/api/tracks")["rows"]
    whole = Classifier("fast", segments="all").predict_file(tmp_path / "music" / "long.wav")
    assert row["probability"] != whole.probability
    with library_page(browser, server) as page:
        rows(page).first.click()
        note = page.locator("#stage-note")
        expect(note).to_contain_text("The entire track: ")
        expect(note).to_contain_text(percent(whole.probability))
        expect(page.locator("#track-answer li").first).to_contain_text(percent(row["probability"]))
        spans = timeline.of(whole, Classifier("fast").card).spans
        assert len(spans) > 1
        for span in spans:
            expect(note).to_contain_text(percent(span.probability))


def test_a_lasso_on_the_map_chooses_tracks(browser: object, page_server: LibraryServer) -> None:
    with library_page(browser, page_server, "map") as page:
        expect(page.locator("#map-note")).to_have_text("8 tracks")
        page.locator("#map-lasso").click()
        box = page.locator("#map-canvas").bounding_box()
        corners = [(2, 2), (box["width"] - 2, 2), (box["width"] / 2, box["height"] - 2)]
        page.mouse.move(box["x"] + 2, box["y"] + box["height"] - 2)
        page.mouse.down()
        for x, y in corners:
            page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
        page.mouse.up()
        expect(page.locator("#track-count")).to_contain_text("chosen on the map")
        found = page.evaluate("document.querySelector('#table').getAttribute('aria-rowcount')")
        assert 1 < int(found) <= 9
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_contain_text("accept the whole album")
        page.keyboard.press("Escape")
        page.locator("#clear").click()
        expect(page.locator("#track-count")).to_have_text("8 tracks")
        page.goto(f"{page_server.url}/#map")
        expect(page.locator("#map-note")).to_have_text("8 tracks")


def test_a_correction_is_asked_for_kept_and_taken_back(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server, "teach") as page:
        expect(page.locator("#teach")).to_contain_text("would teach the model most")
        card = page.locator("li.teach").first
        card.locator("input").fill("Ska")
        card.get_by_role("button", name="Keep the genres").click()
        expect(card).to_contain_text("✓ Ska")
        expect(page.locator("#teach")).to_contain_text("1 correction in total")
        page.goto(f"{page_server.url}/#tracks")
        page.locator("#kind-corrected").click()
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("Ska")
        rows(page).click()
        page.get_by_role("button", name="Take back").click()
        expect(page.locator("#track-facts .box", has_text="Ska")).to_have_count(0)


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(
    browser: object, page_server: LibraryServer, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with library_page(browser, page_server, **options) as page:
        expect(rows(page)).to_have_count(8)
        for view in ("tracks", "map", "review", "teach", "scan"):
            page.goto(f"{page_server.url}/#{view}")
            expect(page.locator(f"#{view}")).to_be_visible()
            page.wait_for_load_state("networkidle")
            check_with_axe(page, width, view)
        page.goto(f"{page_server.url}/#tracks")
        rows(page).first.click()
        expect(page.locator("#track-facts")).to_contain_text("Sounds like")
        check_with_axe(page, width, "track")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        check_with_axe(page, width, "help")


def test_axe_finds_nothing_serious_in_the_table(
    browser: object, page_server: LibraryServer
) -> None:
    with library_page(browser, page_server, color_scheme="dark") as page:
        rows(page).first.click()
        expect(page.locator("#track-facts")).to_contain_text("Sources of the genre")
        check_with_axe(page, 1280, "track")


def test_every_module_is_fetched_at_once() -> None:
    page = Path(library_server.__file__).parent / "page"
    text = (page / "index.html").read_text(encoding="utf-8")
    asked = {name for name in re.findall(r'(?:href|src)="([\w/-]+\.js)"', text)}
    sources = [path.read_text(encoding="utf-8") for path in page.glob("*.js")]
    common = {name for source in sources for name in re.findall(r'"\./(common/\w+\.js)"', source)}
    assert asked == {path.name for path in page.glob("*.js")} | common
