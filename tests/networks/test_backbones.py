"""Being there is being registered, and being registered is being tested: our own backbones."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from genrekit.errors import RecipeError
from genrekit.features.spec import FeatureSpec
from genrekit.networks import backbones, musicnn
from genrekit.training import export

SPECS = {"musicnn": FeatureSpec(**musicnn.FRONT_END, segment_seconds=3.0)}
SPEC = FeatureSpec(n_mels=64, segment_seconds=2.0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "musicnn" else [])
        for name in backbones.own_names()
    ],
)
def test_a_backbone_gives_one_vector_a_segment_in_torch_and_in_onnx(name: str) -> None:
    spec = SPECS.get(name, SPEC)
    torch.manual_seed(0)
    network = backbones.build(name, spec).eval()
    features = torch.randn(3, spec.n_bins, spec.n_frames)
    with torch.no_grad():
        vectors = network(features)
    assert vectors.shape == (3, network.n_features)
    model = export.to_onnx(network, spec, ["embedding"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: features.numpy()})
    np.testing.assert_allclose(found, vectors.numpy(), atol=1e-4)


def test_the_own_backbones_are_the_modules_that_have_one() -> None:
    assert {"cnn", "musicnn"} <= set(backbones.own_names())
    with pytest.raises(RecipeError, match="unknown backbone 'heads'"):
        backbones.build("heads", SPEC)
    with pytest.raises(RecipeError, match="'cnn' has no weights 'imagenet'"):
        backbones.build("cnn", SPEC, weights="imagenet")
    with pytest.raises(RecipeError, match="got an input of 8 x 87; expected at least 16"):
        backbones.build("cnn", FeatureSpec(n_mels=8, segment_seconds=2.0))
