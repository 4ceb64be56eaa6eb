"""Record what tests/golden/tiny predicts for the made tracks, segment by segment.

    python tests/golden/make_prediction.py

Run it when the tiny model or the made tracks changed on purpose, never to make a failing test pass.
"""

from __future__ import annotations

import json
from pathlib import Path

from genrekit import Classifier, demo
from genrekit.files import write_beside

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "prediction.json"


def predictions() -> dict[str, list[dict[str, float]]]:
    """Return the probabilities of every segment of each made track, then those of the track."""
    classifier = Classifier(FOLDER / "tiny")
    found = {}
    for name in demo.NAMES:
        prediction = classifier.predict(demo.synthesise(name), demo.SAMPLE_RATE)
        segments = [segment.probabilities for segment in prediction.segments]
        found[name] = [*segments, prediction.probabilities]
    return found


def main() -> None:
    """Write prediction.json."""
    with write_beside(RECORDED, "w") as stream:
        json.dump(predictions(), stream, indent=1)
        stream.write("\n")


if __name__ == "__main__":
    main()
