"""Make ``import torchvision`` work where its operators were built for another torch.

torchvision from PyPI is linked to CUDA. Beside a CPU-only torch its C++ operators do not load, and
importing it (as timm and lightning's torchmetrics do) stops at "operator torchvision::nms does not
exist". genrekit uses no detection operator, so declaring the two that torchvision needs at
import is enough. Nothing is done where torchvision's own operators load.

Import this module before timm, lightning or torchmetrics.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _load_own_operators() -> bool:
    """Load torchvision's operator library as torchvision itself would; True where that works."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    for library in sorted(Path(found.origin).parent.glob("_C*")):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        except OSError:  # it needs CUDA libraries that are not here
            return False
    return hasattr(torch.ops.torchvision, "nms")


def _declare() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define(f"nms{_SIGNATURE}")  # type: ignore[no-untyped-call]
    library.define(f"qnms{_SIGNATURE}")  # type: ignore[no-untyped-call]
    return library


# The declaration lives as long as the library object, so the module keeps it.
LIBRARY = None if _load_own_operators() else _declare()
