"""How often music gets no genre, and how often other sounds get one.

    python benchmarks/music_gate.py --music FOLDER ... --sound FOLDER ... [--model fast]

Each folder is one row: how many of its files get a genre, how many by a part of their segments,
how many none because they sound like no music, and which files are on the wrong side. Silent files
are left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from genrekit import Classifier
from genrekit.files import AUDIO_SUFFIXES
from genrekit.models.readme import table
from genrekit.prediction import FailedFile, Prediction, not_music

KINDS = ("music", "partly music", "no music")
N_NAMED = 8


def kind_of(prediction: Prediction) -> str | None:
    """Return what the gate says of a track; None of a silent one."""
    is_said = not_music(prediction.warnings) is not None
    if not prediction.segments:
        return "no music" if is_said else None
    return "partly music" if is_said else "music"


def row(folder: Path, classifier: Classifier, wrong: str) -> list[str]:
    """Return a folder's row; wrong is what none of its files should be."""
    counts: Counter[str] = Counter()
    named: list[str] = []
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES]
    for path, found in zip(paths, classifier.predict_files(paths), strict=True):
        kind = "failed" if isinstance(found, FailedFile) else kind_of(found)
        if kind:
            counts[kind] += 1
            named += [path.stem] if kind == wrong else []
    n_files = counts.total() - counts["failed"]
    shares = [f"{counts[kind]} ({100 * counts[kind] / max(1, n_files):.1f} %)" for kind in KINDS]
    more = f" and {len(named) - N_NAMED} more" if len(named) > N_NAMED else ""
    return [folder.name, str(n_files), *shares, ", ".join(named[:N_NAMED]) + more]


def main() -> None:
    """Predict every file and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--music", type=Path, nargs="*", default=[])
    parser.add_argument("--sound", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    classifier = Classifier(options.model)
    rows = [row(folder, classifier, "no music") for folder in options.music]
    rows += [row(folder, classifier, "music") for folder in options.sound]
    print(table(("folder", "files", *KINDS, "wrong"), rows))


if __name__ == "__main__":
    main()
