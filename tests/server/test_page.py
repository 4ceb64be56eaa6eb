"""The page in a real browser against a real server: everything that a visitor can do."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from serving import Server, start

from browser import MAY_HANG, WAIT_MS, ask_why, check_with_axe, expect, opened

pytestmark = MAY_HANG


@pytest.fixture
def page(browser: object, server: Server) -> Iterator[object]:
    with opened(browser, server.url + "/", viewport={"width": 1280, "height": 900}) as (
        page,
        seen,
    ):
        yield page
        seen.check()


def upload(page: object, *paths: Path) -> None:
    """Choose files and wait until the first one's prediction and its evidence are shown."""
    page.set_input_files("#files", [str(path) for path in paths])
    ask_why(page)
    expect(page.locator("#explanation")).to_contain_text("Orange supports")


def wait_until(page: object, condition: str) -> None:
    """Wait for an expression of JavaScript about the page's player."""
    page.wait_for_function(f"(player) => {condition}", arg=page.query_selector("#player"))


def pixels(page: object, canvas: str) -> str:
    return page.locator(canvas).evaluate("node => node.toDataURL()")


def test_one_file(page: object, tracks: list[Path]) -> None:
    expect(page.locator("#empty")).to_be_visible()
    upload(page, tracks[0])
    expect(page.locator("#empty")).to_be_hidden()
    answer = page.locator("#label").inner_text()
    shown = page.locator("#bars li:visible")
    assert shown.count() == 3
    expect(page.locator("#more")).to_have_text("7 more")
    page.locator("#more").click()
    bars = shown.all_inner_texts()
    assert len(bars) == 10
    assert bars[0].split("\n")[0] in answer
    assert bars[0].split("\n")[-1].endswith("%")
    assert not [bar for bar in bars if bar.endswith("\n0.0 %")]
    page.locator("#more").click()
    assert shown.count() == 3
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator("#player")).to_be_visible()
    expect(page.locator("#spans button").first).to_contain_text("0:00")
    expect(page.locator("#status")).to_have_text("")


@pytest.mark.slow
def test_a_timeline_of_one_span_says_what_the_answer_says(
    browser: object, serve: Callable[..., Server], tracks: list[Path]
) -> None:
    server = serve(model="fast")  # which sharpens a track's probabilities
    with opened(browser, server.url + "/") as (page, seen):
        for path in tracks:
            page.set_input_files("#files", str(path))
            expect(page.locator("#about")).to_contain_text(path.name)
            first, share = page.locator("#bars li").first.inner_text().split("\n")
            expect(page.locator("#spans button")).to_have_text([f"0:00 {first} {share}"])
            expect(page.locator("#legend")).to_contain_text(first)
        seen.check()


def test_a_list_of_three_with_one_that_is_no_audio(
    page: object, tracks: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no audio" * 100)
    page.set_input_files("#files", [str(tracks[0]), str(broken), str(tracks[1])])
    expect(page.locator("#rows tr")).to_have_count(3)
    cells = page.locator("#rows tr td:nth-child(2)")
    expect(cells.nth(1)).to_contain_text("failed: cannot be decoded")
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
    assert fields["label"] in page.locator("#label").inner_text()
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
    expect(page.locator("#result")).to_be_visible()
    page.locator("#why").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#explanation")).to_contain_text("Orange supports")
    page.locator("#files").focus()
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    tabbed = ["record", "precision", "more", "why", "genre", "deciding", "stage"]
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
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, server.url + "/", **options) as (page, seen):
        upload(page, *tracks[:2])
        check_with_axe(page, width, "result")
        seen.check()


def test_demo_tracks_need_no_music(page: object) -> None:
    page.get_by_role("button", name="Drum machine").click()
    expect(page.locator("#about")).to_contain_text("drums.flac, 0:12")
    expect(page.locator("#empty")).to_be_hidden()
    for name in ("strings", "guitar"):
        answer = page.request.get(f"{page.url}demo/{name}.flac")
        assert answer.body()[:4] == b"fLaC"
    assert page.request.get(f"{page.url}demo/other.flac").status == 404


def test_a_colour_means_the_same_in_bars_list_legend_and_timeline(
    page: object, tracks: list[Path]
) -> None:
    page.set_input_files("#files", [str(path) for path in tracks[:2]])
    expect(page.locator("#rows td.swatch")).to_have_count(2)
    first = page.locator("#bars li").first
    colour = first.locator(".fill").evaluate("node => getComputedStyle(node).backgroundColor")
    label = first.locator("span").first.inner_text()
    swatch = "node => getComputedStyle(node, '::before').backgroundColor"
    assert page.locator("#rows td.swatch").first.evaluate(swatch) == colour
    legend = page.locator("#legend li", has_text=label).first
    assert legend.evaluate(swatch) == colour
    bits = [int(part) for part in re.findall(r"\d+", colour)]
    drawn = page.locator("#timeline").evaluate(
        """(node, [r, g, b]) => {
            const { data } = node.getContext("2d").getImageData(0, 0, node.width, node.height);
            for (let i = 0; i < data.length; i += 4)
                if (data[i] === r && data[i + 1] === g && data[i + 2] === b) return true;
            return false;
        }""",
        bits,
    )
    assert drawn
    written = """node => node.getContext("2d")
        .getImageData(0, 0, node.width, node.height).data.some(value => value)"""
    assert page.locator("#axis").evaluate(written)


def test_the_evidence_comes_when_somebody_wants_it(page: object, tracks: list[Path]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#files", str(tracks[0]))
    expect(page.locator("#label")).not_to_have_text("")
    expect(page.locator("#map")).to_be_hidden()
    assert not [url for url in asked if "explain" in url]
    ask_why(page)
    expect(page.locator("#explanation")).to_contain_text("Orange supports")
    page.locator("#why").click()
    expect(page.locator("#map")).to_be_hidden()


def test_the_whole_list_is_saved(page: object, tracks: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "=broken.mp3"
    broken.write_bytes(b"no audio" * 100)
    page.set_input_files("#files", [str(tracks[0]), str(broken)])
    expect(page.locator("#rows td.failure")).to_have_count(1)
    saved = {}
    for kind in ("csv", "json"):
        with page.expect_download() as waiting:
            page.locator(f"#save-list-{kind}").click()
        saved[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(saved[kind])
    rows = list(csv.DictReader(io.StringIO(saved["csv"].read_text(encoding="utf-8"))))
    assert [row["file"] for row in rows] == [tracks[0].name, "'=broken.mp3"]
    assert 0 < float(rows[0]["probability"]) <= 1
    assert rows[1]["label"] == ""
    assert "cannot be decoded" in rows[1]["error"]
    found = json.loads(saved["json"].read_text(encoding="utf-8"))
    assert [its["file"] for its in found] == [tracks[0].name, "=broken.mp3"]
    assert found[0]["label"] == rows[0]["label"]


def test_words_for_people(page: object) -> None:
    name = """async (pairs) => (await import("./words.js")).nameOf({
        label: pairs[0][0], genres: pairs.map(([label, probability]) => ({ label, probability })),
    })"""
    assert page.evaluate(name, [["country", 0.41], ["rock", 0.38]]) == "between country and rock"
    assert page.evaluate(name, [["country", 0.6], ["rock", 0.3]]) == "country"
    assert page.evaluate(name, [["country", 0.15], ["rock", 0.14]]) == "country"
    assert page.evaluate(name, [[None, 0.41], ["rock", 0.38]]) == "unknown"
    text = """async (p) => (await import("./words.js")).percent(p)"""
    assert [page.evaluate(text, p) for p in (0.5, 0.0004, 0)] == ["50.0 %", "< 0.1 %", "0.0 %"]


def test_the_documentation_of_the_interface_is_linked(page: object) -> None:
    page.locator("#docs a").click()
    expect(page.locator("body")).to_contain_text("/v1/predict")


@pytest.mark.slow
def test_a_model_is_chosen_where_there_are_several(
    browser: object, tracks: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    both = start(tmp_path_factory.mktemp("two"), "--model", "accurate", model="fast")
    with opened(browser, both.url + "/") as (page, seen):
        expect(page.locator("#model option")).to_have_count(2)
        assert "right on 142 tracks" in page.locator("#model option").first.inner_text()
        page.set_input_files("#files", str(tracks[0]))
        expect(page.locator("#about")).to_contain_text("model fast")
        page.select_option("#model", "accurate")
        expect(page.locator("#about")).to_contain_text("model accurate")
        seen.check()
    both.stop()
