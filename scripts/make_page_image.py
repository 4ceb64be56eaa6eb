"""Take the screenshot of docs/page.md: the real page, with the default model, after drums.flac.

Run it after the default model was replaced or the page was changed; it needs Chromium and the
packages of ``genrekit[dev]``:

    python scripts/make_page_image.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from genrekit import demo
from genrekit.files import write_beside
from genrekit.models import registry

TARGET = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "page.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 900, 1000


@contextmanager
def served() -> Iterator[str]:
    """Run ``genrekit serve`` on a free port; give its address."""
    command = [sys.executable, "-m", "genrekit.cli.main", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stderr.readline() if process.stderr else "")
            if found is None:
                raise SystemExit("genrekit serve did not start; run it by itself to see why")
            yield found.group()
        finally:
            process.terminate()


def screenshot(url: str, track: Path) -> bytes:
    """Drop a track on the page, wait for its evidence, and return the whole page as PNG."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(url)
        page.set_input_files("#files", track)
        page.click("#why")
        page.wait_for_selector("#deciding:enabled", timeout=120_000)
        image = page.screenshot(full_page=True)
        browser.close()
    return image


def main() -> None:
    """Write the screenshot, with the model that it shows as a PNG text."""
    card = registry.find().card
    with tempfile.TemporaryDirectory() as folder, served() as url:
        track = next(path for path in demo.write(Path(folder)) if path.stem == "drums")
        image = Image.open(BytesIO(screenshot(url, track)))
    notes = PngInfo()
    notes.add_text("model", f"{card.name} {card.version}")
    with write_beside(TARGET) as stream:
        image.quantize(256).save(stream, format="PNG", optimize=True, pnginfo=notes)
    print(f"{TARGET} shows {card.name} {card.version}")


if __name__ == "__main__":
    main()
