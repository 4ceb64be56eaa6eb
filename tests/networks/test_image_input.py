"""A spectrogram as an image: its colours, its direction, and the same through ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from genrekit.errors import RecipeError
from genrekit.features import image
from genrekit.features.spec import FeatureSpec
from genrekit.models.card import one_view
from genrekit.models.runtime import EMBEDDING, INPUT, Features
from genrekit.networks.image_input import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Form,
    ImageNetwork,
    ImageRendering,
)
from genrekit.training import export
from genrekit.training import recipe as recipes
from genrekit.training.frozen import FrozenNetwork

SPEC = FeatureSpec(n_mels=64, mean=-40.0, std=15.0)


def colour(image: torch.Tensor, row: int, column: int) -> np.ndarray:
    """One pixel's colour in [0, 1]."""
    return image[0, :, row, column].numpy() * IMAGENET_STD + IMAGENET_MEAN


def test_the_loudest_is_brightest_and_80_db_below_is_black() -> None:
    features = torch.full((1, 64, SPEC.n_frames), -200.0)
    features[0, 0, 5] = 3.0  # the lowest band, so it stands in the lowest row
    image = ImageRendering(SPEC)(features)
    assert image.shape == (1, 3, 64, SPEC.n_frames)
    assert colour(image, 63, 5) == pytest.approx(colormaps["magma"](255)[:3], abs=1 / 255)
    assert colour(image, 0, 5) == pytest.approx(colormaps["magma"](0)[:3], abs=1 / 255)


def test_the_level_of_the_track_does_not_change_the_image() -> None:
    features = torch.randint(-5, 6, (2, 64, SPEC.n_frames)) / 4
    assert torch.equal(ImageRendering(SPEC)(features), ImageRendering(SPEC)(features + 2.0))


@pytest.mark.parametrize("n_frames", [130, 1292])
def test_the_network_sees_the_very_image_that_is_published(n_frames: int) -> None:
    decibels = np.random.default_rng(0).uniform(-60, 0, (64, n_frames)).astype(np.float32)
    seconds = (n_frames - 0.5) * SPEC.hop_length / SPEC.sample_rate
    spec = SPEC.model_copy(update={"segment_seconds": seconds})
    features = torch.from_numpy((decibels - spec.mean) / spec.std)[None]
    seen_by_network = ImageRendering(spec, form="published")(features)[0].permute(1, 2, 0).numpy()
    colours = 255 * (seen_by_network * IMAGENET_STD + IMAGENET_MEAN)
    differences = np.abs(colours - image.draw(decibels)).max(axis=2)
    # A rounded decibel may fall into the next of 256 colours.
    assert (differences < 1.001).mean() > 0.999
    assert differences.max() < 10


@pytest.mark.parametrize(
    ("name", "form"),
    [pytest.param("test_resnet", "plain", marks=pytest.mark.slow), ("cnn", "published")],
)
def test_a_network_of_images_gives_the_same_through_onnx(name: str, form: Form) -> None:
    torch.manual_seed(0)
    network = ImageNetwork(name, "none", "concat", ImageRendering(SPEC, 48, form)).eval()
    model = export.to_onnx(network, SPEC, (EMBEDDING,))
    real = np.random.default_rng(0).standard_normal((3, 64, SPEC.n_frames)).astype(np.float32)

    def reference(features: Features) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(features[INPUT])).numpy()

    export.check(FrozenNetwork(model, one_view(SPEC)), reference, {INPUT: real}, EMBEDDING)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["model.image=true"], "takes one channel; model.image needs 'cnn' or a network"),
        (
            ["model.backbone=resnet18", "model.image_pixels=64"],
            "image_pixels needs model.image",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: list[str], reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        recipes.load(None, options)
