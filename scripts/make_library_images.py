"""Take the screenshots of docs/library-server.md: the real page over a library of made tracks.

The tracks are genrekit's demo tracks, slower, faster, filtered and mixed by ffmpeg, under made-up
names, so that nobody's music is in the pictures. Run it after the page was changed; it needs
ffmpeg, Chromium and the packages of ``genrekit[dev]``:

    python scripts/make_library_images.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Literal

import mutagen
import numpy as np
from mutagen.flac import Picture
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from genrekit import demo
from screenshots import PICTURES, chromium, save, served

SCAN = [sys.executable, "-m", "genrekit", "library", "scan"]
WORDS = [
    *("Amber", "Birch", "Copper", "Delta", "Ember", "Fern", "Granite", "Harbour", "Indigo"),
    *("Juniper", "Kestrel", "Lantern", "Meadow", "Nimbus", "Orchard", "Pebble", "Quartz"),
    *("Ripple", "Saffron", "Timber", "Umber", "Velvet", "Willow", "Zephyr"),
]
N_ALBUMS = 12
N_TRACKS = 6  # of an album
TAGS = ("", "Rock", "", "Other", "Electronic", "Jazz", "", "Unknown")


def make_music(folder: Path) -> None:
    """Write the albums, each of one mix of two demo tracks, with a cover."""
    made = {path.stem: path for path in demo.write(folder / "demo")}
    random = np.random.default_rng(7)
    for _ in range(N_ALBUMS):
        artist, title = (" ".join(random.choice(WORDS, 2, replace=False)) for _ in range(2))
        sources = [made[name] for name in random.choice(demo.NAMES, 2)]
        weights = f"1 {random.choice([0, 0.3, 0.8])}"
        speed = random.uniform(0.7, 1.4)
        cover = _cover(random)
        target = folder / "music" / artist / title
        target.mkdir(parents=True)
        for track in range(N_TRACKS):
            name = " ".join(random.choice(WORDS, random.integers(1, 3), replace=False))
            path = target / f"{track + 1:02} {name}.flac"
            rate = int(44_100 * speed * random.uniform(0.9, 1.1))
            tags = {"artist": artist, "album": title, "title": name, "genre": random.choice(TAGS)}
            _mix(sources, weights, rate, tags, path)
            _add_cover(path, cover)


def _mix(sources: list[Path], weights: str, rate: int, tags: dict[str, str], out: Path) -> None:
    inputs = [part for source in sources for part in ("-i", str(source))]
    mix = f"amix=inputs=2:weights={weights},asetrate={rate},aresample=44100"
    named = [part for key, text in tags.items() for part in ("-metadata", f"{key}={text}")]
    command = ["ffmpeg", "-v", "error", "-nostdin", *inputs, "-filter_complex", mix]
    subprocess.run([*command, *named, str(out)], check=True)


def _cover(random: np.random.Generator) -> bytes:
    """Draw a few discs of related colours."""
    hue = int(random.integers(360))
    image = Image.new("RGB", (240, 240), f"hsl({hue}, 45%, 30%)")
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = (int(place) for place in random.integers(20, 220, 2))
        radius = int(random.integers(20, 90))
        shade = f"hsl({(hue + int(random.integers(60))) % 360}, 60%, {random.integers(45, 80)}%)"
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _add_cover(path: Path, content: bytes) -> None:
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", content
    track = mutagen.File(path)
    track.add_picture(picture)
    track.save()


def show_track(page: Page) -> None:
    """Open a track beside the table, with its evidence."""
    page.locator("#table .row-of-table").nth(4).click()
    page.locator("#why:enabled").click()
    page.locator("#stage-note", has_text="Orange supports").wait_for()


def show_map(page: Page) -> None:
    """Go to the map."""
    page.evaluate("location.hash = '#map'")
    page.locator("#map-note", has_text="tracks").wait_for()


def show_review(page: Page) -> None:
    """Plan genres for what has none, and decide about a few lines."""
    page.evaluate("location.hash = '#review'")
    page.locator("#plan-form summary").click()
    page.fill("#plan-precision", "0")
    page.locator("#plan-form .primary").click()
    page.locator("#plan-table .line").first.wait_for()
    page.locator("#plan-table").focus()
    for key in "aara":
        page.keyboard.press(key)
    page.locator("#plan-apply", has_text="3 changes").wait_for()


def show_teach(page: Page) -> None:
    """Go to what would teach most."""
    page.evaluate("location.hash = '#teach'")
    page.locator("li.teach").first.wait_for()


SHOTS: dict[
    str, tuple[Callable[[Page], None], int, Literal["light", "dark"]]
] = {  # name: what to do, width, colour scheme
    "library-tracks": (show_track, 1280, "light"),
    "library-map": (show_map, 1280, "dark"),
    "library-review": (show_review, 1280, "light"),
    "library-teach": (show_teach, 390, "dark"),
}


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as name:
        make_music(Path(name))
        database = ("--db", f"{name}/library.sqlite3")
        subprocess.run([*SCAN, f"{name}/music", *database], check=True)
        with served("library", "serve", *database) as address, chromium() as browser:
            for picture, (show, width, scheme) in SHOTS.items():
                page = browser.new_page(viewport={"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                page.goto(address)
                page.locator("#table .row-of-table").first.wait_for()
                show(page)
                page.wait_for_load_state("networkidle")
                save(page.screenshot(), PICTURES / f"{picture}.png")
                page.close()


if __name__ == "__main__":
    main()
