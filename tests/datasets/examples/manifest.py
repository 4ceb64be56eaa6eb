"""A tiny example of the layout "manifest"."""

from __future__ import annotations

from pathlib import Path

from genrekit.datasets import manifest
from made_music import write_tone


def make(root: Path) -> None:
    lines = ["path,genre,artist,split"]
    for number in range(24):
        write_tone(root / f"{number}.wav")
        genre, part = ("polka", "ska")[number % 2], ("train", "valid", "test", "")[number // 2 % 4]
        lines.append(f"{number}.wav,{genre},artist {number // 2},{part}")
    (root / manifest.FILE_NAME).write_text("\n".join(lines))
