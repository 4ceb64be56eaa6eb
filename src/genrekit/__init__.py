"""Music genre classification of audio files, offline."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genrekit.errors import GenrekitError
    from genrekit.features.spec import FeatureSpec
    from genrekit.inference.classifier import Classifier
    from genrekit.prediction import Prediction, SegmentPrediction

# From 1.29 on ONNX Runtime sends usage data to its vendor and writes a device id into the home
# folder, unless this is set before the import. genrekit works offline, so it is off unless the
# user has set it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
__all__ = ["Classifier", "FeatureSpec", "GenrekitError", "Prediction", "SegmentPrediction"]

_HOME = {
    "Classifier": "genrekit.inference.classifier",
    "FeatureSpec": "genrekit.features.spec",
    "GenrekitError": "genrekit.errors",
    "Prediction": "genrekit.prediction",
    "SegmentPrediction": "genrekit.prediction",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'genrekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
