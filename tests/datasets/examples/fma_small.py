"""A tiny example of the layout "fma-small"."""

from __future__ import annotations

from pathlib import Path

from made_music import write_tone


def make(root: Path) -> None:
    lines = [",artist,set,set,track", ",id,split,subset,genre_top", "track_id,,,,"]
    for number in range(1, 25):
        write_tone(root / f"fma_small/000/{number:06d}.mp3")
        part = ("training", "training", "validation", "test")[number // 2 % 4]
        lines.append(f"{number},{number // 2},{part},small,{('Rock', 'Folk')[number // 2 % 2]}")
    (root / "fma_metadata").mkdir()
    (root / "fma_metadata/tracks.csv").write_text("\n".join(lines))
