"""The page in a real browser against a real server: everything that a visitor can do."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import WAIT_MS, opened
from matplotlib.image import imread
from serving import Server

pytestmark = pytest.mark.flaky(reruns=2)  # Chromium itself may crash or hang


@pytest.fixture
def page(browser: object, server: Server) -> Iterator[object]:
    with opened(browser, server.url + "/", viewport={"width": 1280, "height": 900}) as (
        page,
        seen,
    ):
        yield page
        seen.check()


def expect(thing: object) -> object:
    from playwright.sync_api import expect as of_playwright

    return of_playwright(thing)


def upload(page: object, *paths: Path) -> None:
    """Choose files and wait until the first one's prediction and its evidence are shown."""
    page.set_input_files("#files", [str(path) for path in paths])
    expect(page.locator("#explanation")).to_contain_text("Orange supports")


def wait_until(page: object, condition: str) -> None:
    """Wait for an expression of JavaScript about the page's player."""
    page.wait_for_function(f"(player) => {condition}", arg=page.query_selector("#player"))


def pixels(page: object, canvas: str) -> str:
    return page.locator(canvas).evaluate("node => node.toDataURL()")


def test_one_file(page: object, tracks: list[Path]) -> None:
    upload(page, tracks[0])
    answer = page.locator("#label").inner_text()
    bars = page.locator("#bars li").all_inner_texts()
    assert len(bars) == 10
    assert bars[0].startswith(answer)
    assert bars[0].split("\n")[-1].endswith("%")
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator("#player")).to_be_visible()
    expect(page.locator("#spans button").first).to_contain_text("0:00")
    expect(page.locator("#status")).to_have_text("")


def test_a_list_of_three_with_one_that_is_no_audio(
    page: object, tracks: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no audio" * 100)
    page.set_input_files("#files", [str(tracks[0]), str(broken), str(tracks[1])])
    expect(page.locator("#rows tr")).to_have_count(3)
    cells = page.locator("#rows tr td:nth-child(2)")
    expect(cells.nth(1)).to_have_text("failed")
    expect(cells.nth(2)).not_to_have_text("analysing…")
    names = page.locator("#rows td:first-child")
    page.locator("th[data-key=name] button").click()
    assert names.all_inner_texts() == sorted([tracks[0].name, "broken.mp3", tracks[1].name])
    page.locator("th[data-key=name] button").click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), reverse=True)
    page.get_by_role("button", name="broken.mp3").click()
    expect(page.locator("#status")).to_contain_text("broken.mp3")
    expect(page.locator("#result")).to_be_hidden()
    page.get_by_role("button", name=tracks[1].name).click()
    expect(page.locator("#about")).to_contain_text(tracks[1].name)


def test_a_click_moves_the_player_and_the_cursor_follows(page: object, tracks: list[Path]) -> None:
    upload(page, tracks[0])
    box = page.locator("#stage").bounding_box()
    for canvas in ("#timeline", "#map"):
        place = {"x": box["width"] / 2, "y": 20}
        page.locator(canvas).click(position=place)
        wait_until(page, "Math.abs(player.currentTime - 6) < 0.1")
        moved = page.locator("#cursor").bounding_box()["x"] - box["x"]
        assert moved == pytest.approx(box["width"] / 2, abs=3)
        page.locator("#spans button").first.click()
        wait_until(page, "player.currentTime === 0")


def test_another_genre_draws_another_evidence(page: object, tracks: list[Path]) -> None:
    upload(page, tracks[0])
    before = pixels(page, "#map")
    labels = page.locator("#genre option").all_inner_texts()
    page.select_option("#genre", labels[-1])
    assert pixels(page, "#map") != before
    expect(page.locator("#explanation")).to_contain_text(f"Orange supports {labels[-1]}")
    page.select_option("#genre", labels[0])
    assert pixels(page, "#map") == before


def test_the_deciding_seconds_are_played(page: object, tracks: list[Path]) -> None:
    upload(page, tracks[0])
    sentences = page.locator("#explanation").inner_text()
    start = int(re.search(r"\. 0:(\d\d) to", sentences)[1])
    page.locator("#deciding").click()
    # The player remembers what it played, so that nobody has to look at the right moment.
    wait_until(page, "player.played.length > 0 && player.played.end(0) > player.played.start(0)")
    assert start <= page.locator("#player").evaluate("node => node.played.start(0)") < start + 1


def test_downloads(page: object, tracks: list[Path], tmp_path: Path) -> None:
    upload(page, tracks[0])
    found = {}
    for kind in ("json", "csv", "png", "wav"):
        with page.expect_download() as waiting:
            page.locator(f"#save-{kind}").click()
        found[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(found[kind])
    fields = json.loads(found["json"].read_text(encoding="utf-8"))
    assert fields["label"] == page.locator("#label").inner_text()
    deciding = fields["explanation"]["evidence"][fields["label"]]["deciding"]
    rows = list(csv.DictReader(io.StringIO(found["csv"].read_text(encoding="utf-8"))))
    assert len(rows) == len(fields["timeline"]["cells"])
    assert float(rows[-1]["end_seconds"]) == 12.0
    assert fields["explanation"]["coverage"] in page.locator("#explanation").inner_text().lower()
    image = imread(found["png"])  # (height, width, 4)
    assert image.shape[1] > 800
    orange = (image[:, :, 0] > image[:, :, 2] + 0.3).mean()
    assert 0.005 < orange < 0.9, "the evidence is in it"
    waveform, rate = soundfile.read(found["wav"])
    length = sum(s["end_seconds"] - s["start_seconds"] for s in deciding)
    assert len(waveform) / rate == pytest.approx(length + 0.25 * (len(deciding) - 1), abs=0.01)
    original, _ = soundfile.read(tracks[0])
    start, second = round(deciding[0]["start_seconds"] * rate), slice(rate, 2 * rate)
    np.testing.assert_allclose(waveform[second], original[start:][second], atol=1e-3)


def test_by_keyboard_alone(page: object, tracks: list[Path]) -> None:
    chosen: list[object] = []

    def take(chooser: object) -> None:  # Playwright takes no method of a list
        chosen.append(chooser)

    page.on("filechooser", take)
    page.keyboard.press("Tab")
    expect(page.locator("#files")).to_be_focused()
    # Chromium intercepts choosers some time after it is asked to: press again if need be.
    for index in range(WAIT_MS // 100):
        if index % 50 == 0:
            page.keyboard.press("Space")
        page.wait_for_timeout(100)
        if chosen:
            break
    chosen[0].set_files([str(tracks[0])])
    expect(page.locator("#explanation")).to_contain_text("Orange supports")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    tabbed = ["record", "precision", "genre", "deciding", "stage"]
    assert [name for name in order if name in tabbed] == tabbed
    page.locator("#stage").focus()
    for key, seconds in (
        ("ArrowRight", 1),
        ("PageUp", 6),
        ("ArrowLeft", 5),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert float(page.locator("#stage").get_attribute("aria-valuenow")) == seconds
    page.keyboard.press(" ")
    wait_until(page, "!player.paused && player.currentTime > 0")


def test_unknown_below_the_threshold(page: object, tracks: list[Path]) -> None:
    upload(page, tracks[0])
    page.select_option("#precision", "0.9")
    expect(page.locator("#about")).to_contain_text("No genre reaches")
    expect(page.locator("#label")).to_have_text("unknown")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_serious_finding_of_axe(
    browser: object, server: Server, tracks: list[Path], width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, server.url + "/", **options) as (page, seen):
        upload(page, *tracks[:2])
        results = axe.Axe().run(page).response
        assert results["passes"], "axe looked at something"
        bad = [v for v in results["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"]) for v in bad] == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "nothing reaches over the edge"
        seen.check()
