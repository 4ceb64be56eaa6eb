"""Every way that music gets into the page: dropped, recorded, with a key, and as a job."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import Server, start
from test_page import upload

from browser import MAY_HANG, ask_why, chromium, expect, opened

pytestmark = MAY_HANG
# Keeps the page's recorder where the test can ask what it has got so far.
WATCH_RECORDER = """
window.n_recorded = 0;
const start = MediaRecorder.prototype.start;
MediaRecorder.prototype.start = function () {
  window.recorder = this;
  this.addEventListener("dataavailable", (event) => { window.n_recorded += event.data.size; });
  return start.call(this);
};
"""


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory, tracks: list[Path]) -> Path:
    """A recording that Chromium plays into its made microphone, over and over."""
    path = tmp_path_factory.mktemp("microphone") / "drums.wav"
    waveform, rate = soundfile.read(tracks[0])
    soundfile.write(path, waveform, rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def running_browser(microphone: Path) -> Iterator[Callable[[], object]]:
    with chromium(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ) as running:
        yield running


def test_files_are_dropped(browser: object, server: Server, tracks: list[Path]) -> None:
    with opened(browser, server.url + "/") as (page, seen):
        dropped = page.evaluate_handle(
            """(data) => {
                const dropped = new DataTransfer();
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                for (const name of ["one.flac", "two.flac"])
                    dropped.items.add(new File([bytes], name));
                return dropped;
            }""",
            base64.b64encode(tracks[0].read_bytes()).decode(),
        )
        drop = page.locator("#drop")
        drop.dispatch_event("dragover", {"dataTransfer": dropped})
        assert "over" in drop.get_attribute("class").split()
        drop.dispatch_event("drop", {"dataTransfer": dropped})
        assert "over" not in drop.get_attribute("class").split()
        expect(page.locator("#rows tr")).to_have_count(2)
        expect(page.locator("#about")).to_contain_text("one.flac, 0:12")
        expect(page.locator("#rows tr td:nth-child(4)").nth(1)).to_have_text("0:12")
        seen.check()


def test_what_is_dropped_without_a_file_changes_nothing(browser: object, server: Server) -> None:
    with opened(browser, server.url + "/") as (page, seen):
        words = page.evaluate_handle(
            "() => { const d = new DataTransfer(); d.setData('text/plain', 'a'); return d; }"
        )
        page.locator("#drop").dispatch_event("drop", {"dataTransfer": words})
        expect(page.locator("#list")).to_be_hidden()
        expect(page.locator("#result")).to_be_hidden()
        seen.check()


@pytest.mark.slow
def test_a_recording_is_predicted(browser: object, server: Server) -> None:
    with opened(browser, "about:blank") as (page, seen):
        seen.host = server.url.removeprefix("http://")
        page.add_init_script(WATCH_RECORDER)
        page.goto(server.url + "/")
        page.get_by_role("button", name="Record").click()
        stop = page.get_by_role("button", name="Stop recording")
        expect(stop).to_be_visible()
        page.wait_for_function("() => { recorder.requestData(); return n_recorded > 20000; }")
        stop.click()
        expect(page.locator("#about")).to_contain_text("recording.webm")
        expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
        expect(page.locator("#result")).to_be_visible()
        ask_why(page)
        expect(page.locator("#explanation")).to_contain_text("Orange supports")
        assert "silent" not in page.locator("#warnings").inner_text()
        assert page.evaluate("recorder.stream.getTracks().every((t) => t.readyState === 'ended')")
        seen.check()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for a key."""
    running = start(tmp_path_factory.mktemp("locked"), "--workers=1", "--api-key=sesame")
    yield running
    running.check_left_nothing()


def test_the_page_asks_for_the_key(browser: object, locked: Server, tracks: list[Path]) -> None:
    with opened(browser, "about:blank") as (page, seen):
        seen.host = locked.url.removeprefix("http://")
        seen.refusals.add(401)
        page.goto(locked.url + "/")
        page.set_input_files("#files", str(tracks[0]))
        field = page.get_by_label("This server requires a key")
        expect(field).to_be_visible()
        expect(page.locator("#status")).to_contain_text("the key is missing or wrong")
        field.fill("simsim")
        with page.expect_response(lambda answer: answer.status == 401):
            field.press("Enter")
        expect(field).to_be_visible()
        field.fill("sesame")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#result")).to_be_visible()
        ask_why(page)
        expect(page.locator("#explanation")).to_contain_text("Orange supports")
        expect(field).to_be_hidden()
        expect(page.locator("#status")).to_have_text("")
        seen.check()


@pytest.mark.slow
def test_the_page_waits_for_a_long_track(browser: object, server: Server, tmp_path: Path) -> None:
    long = tmp_path / "long.flac"  # the server makes a job of more than 40 s
    soundfile.write(long, np.random.default_rng(0).normal(0, 0.1, 50 * 8000), 8000)
    with opened(browser, server.url + "/") as (page, seen):
        answers: list[tuple[str, int]] = []

        def note(answer: object) -> None:
            answers.append((answer.url.removeprefix(server.url), answer.status))

        page.on("response", note)
        upload(page, long)
        expect(page.locator("#about")).to_contain_text("long.flac, 0:50")
        made = [place for place, status in answers if status == 202]
        assert [place.partition("?")[0] for place in made] == ["/v1/predict", "/v1/explain"]
        assert sum(place.startswith("/v1/jobs/") for place, _ in answers) >= 2
        seen.check()
