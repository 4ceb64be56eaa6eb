"""A tiny example of the layout "folder"."""

from __future__ import annotations

from pathlib import Path

from made_music import write_tone


def make(root: Path) -> None:
    for number in range(20):
        write_tone(root / f"{('polka', 'ska')[number % 2]}/{number}.wav")
