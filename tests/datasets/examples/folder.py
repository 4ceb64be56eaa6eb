"""A tiny example of the layout "folder"."""

from __future__ import annotations

from pathlib import Path

import tag_files
from made_music import write_tone


def make(root: Path) -> None:
    for number in range(20):
        path = root / f"{('polka', 'ska')[number % 2]}/{number}.wav"
        write_tone(path)
        tag_files.tag(path, [], artist=f"Artist {number // 3}")
