"""A tiny example of the layout "images"."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def make(root: Path) -> None:
    for genre in ("country", "metal"):
        (root / genre).mkdir()
        for number in range(0, 100, 3):
            Image.new("L", (32, 24)).save(root / genre / f"{genre}{number:05d}.png")
