"""Make tests/golden/tiny and tiny-two-views: untrained model folders that every layer can run.

    python tests/golden/make_tiny_model.py

The network is a mean over time of every view, one linear layer with tanh (the embedding) and one
linear layer (the logits), with weights from a fixed seed. It knows nothing about music.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from genrekit import files
from genrekit.features.spec import FeatureSpec
from genrekit.models import registry
from genrekit.models.card import Calibration, ModelCard, PrecisionPoint, View, one_view

FOLDER = Path(__file__).parent
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


# Another log-mel front end of the same segments, at another rate and with other normalisation.
FINE_SPEC = FeatureSpec(
    sample_rate=22050,
    n_fft=1024,
    hop_length=512,
    n_mels=64,
    mel_scale="htk",
    mean=-45.0,
    std=15.0,
    segment_seconds=3.0,
    segment_hop_seconds=1.5,
)
MODELS = {
    "tiny": one_view(SPEC),
    "tiny-two-views": (
        View(name="coarse", features=SPEC),
        View(name="fine", features=FINE_SPEC),
    ),
}


def network(views: Sequence[View]) -> onnx.ModelProto:
    """Build the graph: every view -> mean over time, joined -> tanh(linear) -> linear."""
    rng = np.random.default_rng(0)
    n_inputs = sum(view.features.n_bins for view in views)
    weights = {
        "w1": rng.normal(0, 0.5, (n_inputs, EMBEDDING_SIZE)),
        "b1": rng.normal(0, 0.1, EMBEDDING_SIZE),
        "w2": rng.normal(0, 1.5, (EMBEDDING_SIZE, len(LABELS))),
        "b2": rng.normal(0, 0.1, len(LABELS)),
    }
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    single = len(views) == 1
    nodes = [
        helper.make_node(
            "ReduceMean",
            [view.name, "axes"],
            ["mean" if single else f"mean_{view.name}"],
            keepdims=0,
        )
        for view in views
    ]
    if not single:
        means = [f"mean_{view.name}" for view in views]
        nodes.append(helper.make_node("Concat", means, ["mean"], axis=1))
    nodes += [
        helper.make_node("Gemm", ["mean", "w1", "b1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "w2", "b2"], ["logits"]),
    ]
    tensors.append(numpy_helper.from_array(np.array([2], np.int64), "axes"))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            _value(view.name, ["batch", view.features.n_bins, view.features.n_frames])
            for view in views
        ],
        [_value("logits", ["batch", len(LABELS)]), _value("embedding", ["batch", EMBEDDING_SIZE])],
        tensors,
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9)


def _value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write(name: str, views: tuple[View, ...]) -> None:
    """Write model.onnx, card.json and README.md of one model."""
    model, folder = network(views), FOLDER / name
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    curve = [(0.0, 0.5, 1.0), (0.2, 0.7, 0.6), (0.3, 0.8, 0.25), (0.5, 0.9, 0.1)]
    card = ModelCard(
        name=name,
        version="1",
        description="An untrained network of two linear layers, for tests only.",
        labels=tuple(LABELS),
        views=views,
        calibration=Calibration(temperature=1.5, bias=tuple(np.linspace(-0.2, 0.25, 10))),
        precision_curve=tuple(
            PrecisionPoint(threshold=t, precision=p, coverage=c) for t, p, c in curve
        ),
        unfit_for=("anything but tests: its weights are random and its precision curve made up",),
        license="MIT",
        onnx_sha256=files.sha256(folder / "model.onnx"),
    )
    registry.write_card(folder, card)


def main() -> None:
    """Write every model."""
    for name, views in MODELS.items():
        write(name, views)


if __name__ == "__main__":
    main()
