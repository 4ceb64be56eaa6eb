"""A tiny example of the layout "feature-table"."""

from __future__ import annotations

from pathlib import Path

from genrekit.features.handcrafted import COLUMNS


def make(root: Path) -> Path:
    lines = [",".join(["filename", "length", *COLUMNS, "label"])]
    for genre in ("country", "metal"):
        for number in range(0, 100, 3):
            cells = [str(number)] * len(COLUMNS)
            lines.append(",".join([f"{genre}.{number:05d}.wav", "661794", *cells, genre]))
    (root / "features.csv").write_text("\n".join(lines))
    return root / "features.csv"
