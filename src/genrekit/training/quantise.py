"""Static int8 quantisation of a network's widest convolutions, calibrated on training segments.

Weights are int8 per output channel, activations uint8 with ranges from calibration; everything else
stays float32. Source: Jacob et al. (2018), arXiv:1712.05877, as ONNX Runtime implements it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.models.runtime import INPUT

Floats = NDArray[np.float32]
CALIBRATION_BATCH = 4


def quantise(model: bytes, calibration: Floats, chosen: Callable[[str], bool]) -> bytes:
    """Quantise some convolutions of a network.

    Args:
        model: an ONNX file's bytes, with input "features".
        calibration: features of training segments. Shape (n_segments, n_bins, n_frames).
        chosen: whether to quantise a convolution, by the name of its weight.

    Returns:
        The bytes of the quantised network, with the same inputs and outputs.

    Raises:
        ModelError: no convolution was chosen.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="genrekit-") as name:
        source, prepared, target = (Path(name) / n for n in ("a.onnx", "b.onnx", "c.onnx"))
        source.write_bytes(model)
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it recommends what has just been done
        try:
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                target,
                _Reader(calibration),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=_convolutions(prepared, chosen),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        finally:
            logging.getLogger().setLevel(level)
        return target.read_bytes()


def _convolutions(path: Path, chosen: Callable[[str], bool]) -> list[str]:
    nodes = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    names = [node.name for node in nodes if chosen(node.input[1])]
    if not names:
        weights = ", ".join(node.input[1] for node in nodes)
        raise ModelError(f"no convolution was chosen to be quantised; the network has {weights}")
    return names


class _Reader:
    """Feeds calibration segments to ONNX Runtime, a small batch at a time."""

    def __init__(self, calibration: Floats) -> None:
        self._batches = iter(
            calibration[start : start + CALIBRATION_BATCH]
            for start in range(0, len(calibration), CALIBRATION_BATCH)
        )

    def get_next(self) -> dict[str, Floats] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
