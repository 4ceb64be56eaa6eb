"""What the scripts that take screenshots share: a served page, Chromium, a small PNG."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, sync_playwright

from genrekit.files import write_beside

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium-headless-shell"


@contextmanager
def served(*verb: str) -> Iterator[str]:
    """Run a verb that serves, on a free port; give the address that it prints."""
    command = [sys.executable, "-m", "genrekit", *verb, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stderr.readline() if process.stderr else "")
            if found is None:
                raise SystemExit(f"genrekit {' '.join(verb)} did not start; run it to see why")
            yield found.group()
        finally:
            process.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give the browser."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def save(png: bytes, target: Path, notes: PngInfo | None = None) -> None:
    """Write a screenshot with 256 colours."""
    image = Image.open(BytesIO(png))
    with write_beside(target) as stream:
        image.quantize(256).save(stream, format="PNG", optimize=True, pnginfo=notes)
