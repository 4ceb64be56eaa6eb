"""Take the screenshot of docs/page.md: the real page, with the default model, after drums.flac.

Run it after the default model was replaced or the page was changed; it needs Chromium and the
packages of ``genrekit[dev]``:

    python scripts/make_page_image.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from genrekit import demo
from genrekit.models import registry
from screenshots import PICTURES, chromium, save, served

TARGET = PICTURES / "page.png"
WIDTH, HEIGHT = 900, 1000


def screenshot(url: str, track: Path) -> bytes:
    """Drop a track on the page, wait for its evidence, and return the whole page as PNG."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(url)
        page.set_input_files("#files", track)
        page.click("#why")
        page.wait_for_selector("#deciding:enabled", timeout=120_000)
        return page.screenshot(full_page=True)


def main() -> None:
    """Write the screenshot, with the model that it shows as a PNG text."""
    card = registry.find().card
    with tempfile.TemporaryDirectory() as folder, served("serve") as url:
        track = next(path for path in demo.write(Path(folder)) if path.stem == "drums")
        png = screenshot(url, track)
    notes = PngInfo()
    notes.add_text("model", f"{card.name} {card.version}")
    save(png, TARGET, notes)
    print(f"{TARGET} shows {card.name} {card.version}")


if __name__ == "__main__":
    main()
