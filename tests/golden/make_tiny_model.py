"""Make tests/golden/tiny: an untrained model folder of a few kB that every layer can run.

    python tests/golden/make_tiny_model.py

The network is a mean over time, one linear layer with tanh (the embedding) and one linear layer
(the logits), with weights from a fixed seed. It knows nothing about music.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from genrekit import files
from genrekit.features.spec import FeatureSpec
from genrekit.models import registry
from genrekit.models.card import Calibration, ModelCard, PrecisionPoint

FOLDER = Path(__file__).parent / "tiny"
LABELS = [
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
]
EMBEDDING_SIZE = 8
SPEC = FeatureSpec(
    sample_rate=16000,
    n_fft=512,
    hop_length=256,
    n_mels=48,
    mean=-40.0,
    std=20.0,
    segment_seconds=3.0,
    segment_hop_seconds=1.5,
)


def network() -> onnx.ModelProto:
    """Build the graph: features -> mean over time -> tanh(linear) -> linear."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(0, 0.5, (SPEC.n_mels, EMBEDDING_SIZE)),
        "b1": rng.normal(0, 0.1, EMBEDDING_SIZE),
        "w2": rng.normal(0, 1.5, (EMBEDDING_SIZE, len(LABELS))),
        "b2": rng.normal(0, 0.1, len(LABELS)),
    }
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    nodes = [
        helper.make_node("ReduceMean", ["features", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "w1", "b1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "w2", "b2"], ["logits"]),
    ]
    tensors.append(numpy_helper.from_array(np.array([2], np.int64), "axes"))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value("features", ["batch", SPEC.n_bins, SPEC.n_frames])],
        [_value("logits", ["batch", len(LABELS)]), _value("embedding", ["batch", EMBEDDING_SIZE])],
        tensors,
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9)


def _value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def main() -> None:
    """Write model.onnx, card.json and README.md."""
    model = network()
    onnx.checker.check_model(model, full_check=True)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    curve = [(0.0, 0.5, 1.0), (0.2, 0.7, 0.6), (0.3, 0.8, 0.25), (0.5, 0.9, 0.1)]
    card = ModelCard(
        name="tiny",
        version="1",
        description="An untrained network of two linear layers, for tests only.",
        labels=tuple(LABELS),
        features=SPEC,
        calibration=Calibration(temperature=1.5, bias=tuple(np.linspace(-0.2, 0.25, 10))),
        precision_curve=tuple(
            PrecisionPoint(threshold=t, precision=p, coverage=c) for t, p, c in curve
        ),
        unfit_for=("anything but tests: its weights are random and its precision curve made up",),
        license="MIT",
        onnx_sha256=files.sha256(FOLDER / "model.onnx"),
    )
    registry.write_card(FOLDER, card)


if __name__ == "__main__":
    main()
