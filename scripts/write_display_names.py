"""Write the names of genres that the Picard plugin shows, after a label set has changed.

python scripts/write_display_names.py
"""

from __future__ import annotations

import json
from pathlib import Path

from genrekit import labels

TARGET = Path(__file__).parents[1] / "plugins" / "picard" / "display_names.json"


def main() -> None:
    names = {
        label: labels.display_name(label)
        for name in labels.names()
        for label in labels.label_set(name).labels
    }
    text = json.dumps(dict(sorted(names.items())), ensure_ascii=False, indent=1)
    TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
