"""Draw README's picture of a terminal: what the program really prints for its made tracks.

Run it after the default model was replaced or the table was changed:

    python scripts/make_terminal_image.py
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from genrekit.files import write_beside
from genrekit.models import registry

TARGET = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "terminal.svg"
COMMANDS = (["demo"], ["predict", "demo"])
WIDTH = 78


def printed(folder: str) -> str:
    """Run the commands one after the other; return what a reader would see."""
    shown = []
    for command in COMMANDS:
        program = [sys.executable, "-m", "genrekit", *command]
        done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=True)
        shown.append(f"$ genrekit {' '.join(command)}\n{done.stdout.rstrip()}")
    return "\n".join(shown)


def main() -> None:
    """Write the picture; its title names the model."""
    card = registry.find().card
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        console.print(Text(printed(folder)))
    title = f"genrekit, model {card.name} {card.version}"
    picture = console.export_svg(title=title, theme=SVG_EXPORT_THEME)
    # No font of another host: the reader's own monospace.
    start, end = picture.index("@font-face"), picture.rindex("@font-face")
    end = picture.index("}", end) + 1
    with write_beside(TARGET) as stream:
        stream.write((picture[:start] + picture[end:]).encode())
    print(f"{TARGET} shows {card.name} {card.version}")


if __name__ == "__main__":
    main()
