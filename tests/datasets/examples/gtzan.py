"""A tiny example of the layout "gtzan"."""

from __future__ import annotations

from pathlib import Path

from made_music import write_tone


def make(root: Path) -> None:
    # Every third track of two genres whose artists are many.
    for genre in ("country", "metal"):
        for number in range(0, 100, 3):
            write_tone(root / f"genres/{genre}/{genre}.{number:05d}.wav")
