"""From tags to a model that is used, all in the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest
from library_browser import library_page
from library_serving import LibraryServer, scanned, wait_for

import made_music
from browser import MAY_HANG, expect

pytestmark = [MAY_HANG, pytest.mark.full]
# Made songs, with drums and without, 12 each; the default model takes the rest for no music.
SONGS = sorted(set(range(31)) - {4, 9, 10, 14, 17, 27, 28})
N_ARTISTS = 4


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A scanned library of two genres, with and without drums, by some artists each."""
    (tmp_path / "music").mkdir()
    for index, number in enumerate(sorted(SONGS, key=lambda number: number % 2)):
        has_drums = number % 2 == 0
        path = tmp_path / "music" / f"{number:02}.flac"
        made_music.write(path, made_music.song(number, 6.0, drums=has_drums))
        track = mutagen.File(path)
        track["genre"] = "Rock" if has_drums else "Jazz"
        track["artist"] = f"{track['genre'][0]} artist {index % N_ARTISTS}"
        track.save()
    scanned(tmp_path, model=None)
    return tmp_path


def test_a_model_is_trained_compared_and_used(
    browser: object, tagged: Path, serve: Callable[..., LibraryServer]
) -> None:
    server = serve(tagged / "library.sqlite3")
    used = server.json("/api/session")["model"]
    with library_page(browser, server, "teach") as page:
        page.locator("#train").click()
        expect(page.locator("#teach .job")).to_be_visible()
        expect(page.locator("#teach .comparison")).to_contain_text("95 % interval")
        expect(page.locator("#teach .comparison")).to_contain_text("on 24 tracks")
        expect(page.locator("#teach .comparison")).to_contain_text(
            "Few tracks: an interval from 24"
        )
        assert server.json("/api/session")["model"] == used, "it is used only when accepted"
        page.locator("#accept-model").click()
        expect(page.locator("#teach")).to_contain_text("is used from the next scan on")
        page.locator("#scan-now").click()
        wait_for(lambda: server.json("/api/session")["model"] not in (used, None))
        page.goto(f"{server.url}/#tracks")
        expect(page.locator("#track-count")).to_have_text("24 tracks")
