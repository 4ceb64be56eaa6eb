"""Record what the embedded models say of the made tracks, for ``genrekit doctor`` and the tests.

Run it after an embedded model was replaced, never to make a failing comparison pass:

    python scripts/make_golden.py
"""

from __future__ import annotations

import json

from genrekit import doctor
from genrekit.files import write_beside
from genrekit.models import registry


def main() -> None:
    """Write src/genrekit/data/golden.json, with the probabilities rounded to six decimals."""
    recorded = {}
    for name in registry.names():
        if registry.locate(name).parent != registry.embedded_folder():
            continue
        predictions = doctor.predict_demo(name)
        recorded[name] = {
            "onnx_sha256": registry.find(name).card.onnx_sha256,
            "probabilities": {
                track: {label: round(value, 6) for label, value in probabilities.items()}
                for track, probabilities in predictions.items()
            },
        }
    with write_beside(doctor.GOLDEN, "w") as stream:
        json.dump(recorded, stream, indent=1)
        stream.write("\n")
    print(f"recorded {', '.join(recorded) or 'nothing: no model is embedded'} in {doctor.GOLDEN}")


if __name__ == "__main__":
    main()
