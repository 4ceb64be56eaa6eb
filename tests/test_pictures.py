"""A spectrogram as a picture: its colours, its direction, and the same through ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from genrekit.errors import RecipeError
from genrekit.features.spec import FeatureSpec
from genrekit.models.pictures import IMAGENET_MEAN, IMAGENET_STD, Paint, Painted
from genrekit.models.runtime import EMBEDDING
from genrekit.training import export
from genrekit.training import recipe as recipes

SPEC = FeatureSpec(n_mels=64, mean=-40.0, std=15.0)


def seen(picture: torch.Tensor, row: int, column: int) -> np.ndarray:
    """One pixel's colour in [0, 1]."""
    return picture[0, :, row, column].numpy() * IMAGENET_STD + IMAGENET_MEAN


def test_the_loudest_is_brightest_and_80_db_below_is_black() -> None:
    features = torch.full((1, 64, SPEC.n_frames), -200.0)
    features[0, 0, 5] = 3.0  # the lowest band, so it stands in the lowest row
    picture = Paint(SPEC)(features)
    assert picture.shape == (1, 3, 64, SPEC.n_frames)
    assert seen(picture, 63, 5) == pytest.approx(colormaps["magma"](255)[:3], abs=1e-5)
    assert seen(picture, 0, 5) == pytest.approx(colormaps["magma"](0)[:3], abs=1e-5)


def test_the_level_of_the_track_does_not_change_the_picture() -> None:
    features = torch.randint(-5, 6, (2, 64, SPEC.n_frames)) / 4
    assert torch.equal(Paint(SPEC)(features), Paint(SPEC)(features + 2.0))


def test_a_painted_network_gives_the_same_through_onnx() -> None:
    torch.manual_seed(0)
    network = Painted("test_resnet", SPEC, "none", "concat", pixels=48).eval()
    model = export.to_onnx(network, SPEC, (EMBEDDING,))
    real = np.random.default_rng(0).standard_normal((3, 64, SPEC.n_frames)).astype(np.float32)

    def reference(features: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(features)).numpy()

    export.check(model, SPEC, reference, real, EMBEDDING)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["model.picture=true"], "hears one channel; model.picture needs a network of timm"),
        (["model.backbone=resnet18", "model.picture_pixels=64"], "needs model.picture = true"),
    ],
)
def test_what_cannot_be_painted_is_refused(options: list[str], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        recipes.load(None, options)
