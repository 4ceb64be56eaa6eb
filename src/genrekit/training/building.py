"""From a recipe to torch modules: its backbone, its head, and the weights that they start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genrekit import files
from genrekit.networks import backbones
from genrekit.networks.heads import GenreNetwork, Head
from genrekit.networks.image_input import ImageNetwork, ImageRendering

if TYPE_CHECKING:
    from genrekit.features.spec import FeatureSpec
    from genrekit.training.recipe import Recipe


def network(recipe: Recipe, spec: FeatureSpec, n_labels: int) -> GenreNetwork:
    """Make a recipe's backbone and head.

    Args:
        recipe: of a network that is trained as a whole.
        spec: its front end.
        n_labels: length of the logits.

    Raises:
        RecipeError: the backbone is unknown or cannot take the input.
        ModelError: its weights cannot be read.
    """
    made = backbone(recipe, spec)
    return GenreNetwork(made, head(recipe, made.n_features, n_labels))


def backbone(recipe: Recipe, spec: FeatureSpec) -> Any:
    """Make a recipe's backbone; arguments and errors as of network."""
    settings = recipe.model
    if settings.image:
        rendering = ImageRendering(spec, settings.image_pixels, settings.image_form)
        return ImageNetwork(settings.backbone, settings.weights, settings.pooling, rendering)
    return backbones.build(
        settings.backbone, spec, settings.weights, settings.pooling, settings.taps
    )


def head(recipe: Recipe, n_features: int, n_labels: int) -> Head:
    """Make a recipe's head: n_features in, n_labels out."""
    model = recipe.model
    hidden = model.hidden if model.head in ("mlp", "fastai") else 0
    return Head(n_features, n_labels, hidden, model.dropout, model.head == "fastai")


def origin(recipe: Recipe) -> str:
    """Return what the weights of the backbone start from, for the card."""
    weights = recipe.model.weights
    path = backbones.weight_path(recipe.model.backbone, weights)
    described = f"{path.name}, sha256 {files.sha256(path)}" if path else weights
    return f"{recipe.model.backbone}, weights: {described}"
