"""Backbones by name: the modules of this package with a ``backbone``, and all that timm knows."""

from __future__ import annotations

import importlib
import logging
import pickle
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from genrekit import networks
from genrekit.errors import ModelError, RecipeError, unknown_name
from genrekit.features.spec import FeatureSpec

LOGGER = logging.getLogger(__name__)
Size = tuple[int, int, int]  # channels, height and width of the input
POOLINGS = {"avg": "avg", "concat": "catavgmax"}
# What a checkpoint calls its classifier, which a backbone leaves out.
CLASSIFIERS = ("_fc.", "classifier.", "fc.", "head.")


def build(
    name: str,
    spec: FeatureSpec,
    weights: str = "none",
    pooling: str = "avg",
    taps: Sequence[str] = ("embedding",),
) -> nn.Module:
    """Make a backbone: normalised features in, one vector a segment out.

    Args:
        name: a module of genrekit.networks with a ``backbone``, or a name that timm knows.
        spec: the front end, which gives the input's shape.
        weights: "none", "imagenet" (timm fetches them) or the path of a weight file.
        pooling: "avg" or "concat" (mean and maximum side by side); musicnn has its own.
        taps: which outputs of musicnn.

    Returns:
        A module with the attribute n_features, mapping (batch, n_bins, n_frames) to
        (batch, n_features).

    Raises:
        RecipeError: unknown name, or one that cannot take this input, pooling or weights.
        ModelError: the weight file is missing, unreadable or does not fit.
    """
    network = _own(name, (1, spec.n_bins, spec.n_frames), spec, weights, pooling, taps)
    return network or TimmBackbone(name, spec, weights, pooling)


def own_names() -> list[str]:
    """Return the names of genrekit's own backbones."""
    names = (info.name for info in pkgutil.iter_modules(networks.__path__))
    return [name for name in names if _module(name)]


@cache
def _module(name: str) -> ModuleType | None:
    """Return the module of an own backbone; None where the name is no such module's."""
    if name not in {info.name for info in pkgutil.iter_modules(networks.__path__)}:
        return None
    module = importlib.import_module(f"{networks.__name__}.{name}")
    return module if hasattr(module, "backbone") else None


def _own(
    name: str,
    size: Size,
    spec: FeatureSpec | None,
    weights: str,
    pooling: str,
    taps: Sequence[str] = (),
) -> Any:
    """Make one of genrekit's own backbones and load its weights; None where it is timm's."""
    module = _module(name)
    if module is None:
        return None
    if weights == "imagenet":
        raise RecipeError(f"backbone {name!r} has no weights 'imagenet'; write 'none' or a file")
    network = module.backbone(size, spec, pooling, taps)
    path = weight_path(name, weights)
    if path and hasattr(network, "load_npz"):
        network.load_npz(path)
    elif path:
        load(network, path)
    return network


def weight_path(name: str, weights: str) -> Path | None:
    """Return the file that a recipe's weights mean; None for "none" and timm's own.

    Raises:
        ModelError: no file is there.
    """
    from genrekit.networks import checkpoints

    if weights in ("none", "imagenet"):
        return None
    if name == "musicnn" and weights == "msd":
        path = checkpoints.musicnn_path()
        hint = "fetch them with `genrekit models weights musicnn`"
    else:
        path = Path(weights)
        hint = 'give a file\'s path, "imagenet" or "none"'
    if not path.is_file():
        raise ModelError(f"{path}: no weights of {name} there; {hint}")
    return path


def image_network(name: str, size: Size, weights: str, pooling: str) -> tuple[nn.Module, int]:
    """Make a network for colour images, and say how long its vectors are.

    Raises:
        RecipeError: unknown name, or one that cannot take this image or pooling.
        ModelError: the weight file is missing, unreadable or does not fit.
    """
    network = _own(name, size, None, weights, pooling)
    if network:
        return network, network.n_features
    return timm_network(name, size, weights, pooling)


class TimmBackbone(nn.Module):
    """A timm network without its classifier, for one channel."""

    def __init__(self, name: str, spec: FeatureSpec, weights: str, pooling: str) -> None:
        """See build."""
        super().__init__()
        size = (1, spec.n_bins, spec.n_frames)
        self.network, self.n_features = timm_network(name, size, weights, pooling)

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, n_bins, n_frames) -> (batch, n_features)."""
        embedding: Tensor = self.network(features[:, None])
        return embedding


def timm_network(name: str, size: Size, weights: str, pooling: str) -> tuple[nn.Module, int]:
    """Make a network of timm without its classifier.

    Args:
        name: as timm knows it.
        size: channels, height and width of its input.
        weights: see build.
        pooling: see build.

    Returns:
        The network, and how many features it gives.

    Raises:
        RecipeError, ModelError: see build.
    """
    network = _create(name, size, weights, pooling)
    path = weight_path(name, weights)
    if path:
        load(network, path)
    with torch.no_grad():
        n_features = int(network.eval()(torch.zeros(1, *size)).shape[1])
    return network.train(), n_features


def _create(name: str, size: Size, weights: str, pooling: str) -> nn.Module:
    from genrekit.networks import torchvision_shim  # noqa: F401 - timm imports torchvision

    import timm  # isort: skip

    known = timm.list_models()
    if name.partition(".")[0] not in known:
        own = own_names()
        listed = (
            f"{', '.join(own)}, embedded:NAME, and the {len(known)} names of timm.list_models()"
        )
        raise RecipeError(unknown_name("backbone", name, [*own, *known], listed))
    options: dict[str, Any] = {"in_chans": size[0], "num_classes": 0}
    options["pretrained"] = weights == "imagenet"
    if pooling != "avg":
        options["global_pool"] = POOLINGS[pooling]
    try:
        return _fitting(timm, name, options, size)
    except (OSError, RuntimeError) as error:  # no network, or no such weights
        raise ModelError(
            f"backbone {name!r} cannot be made with weights {weights!r}: {error}; give a weight "
            'file or model.weights = "none"'
        ) from error
    except (TypeError, ValueError, AssertionError) as error:
        raise RecipeError(
            f"backbone {name!r} cannot take pooling {pooling!r} and an input of "
            f"{' x '.join(map(str, size))}: {error}"
        ) from error


def _fitting(timm: Any, name: str, options: dict[str, Any], size: Size) -> nn.Module:
    """Make the network; one that needs its input's size is given it."""
    network: nn.Module = timm.create_model(name, **options)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *size))
    except AssertionError:
        network = timm.create_model(name, img_size=size[1:], **options)
    return network


def load(network: nn.Module, path: Path) -> None:
    """Load a weight file into a backbone.

    Names that start like a classifier are left out. Where the names differ but both sides hold as
    many tensors and every shape agrees in order, the order decides, and the log notes it. The first
    convolution's three colours are summed into one channel.

    Raises:
        ModelError: the file is missing, unreadable, not made of tensors only, or does not fit.
    """
    own = network.state_dict()
    tensors = {k: v for k, v in _read(path).items() if not k.startswith(CLASSIFIERS)}
    if not set(own) <= set(tensors):
        tensors = _by_order(tensors, own, path)
    fitted = {name: _one_channel(tensors[name], own[name]) for name in own}
    wrong = [name for name in own if fitted[name].shape != own[name].shape]
    if wrong:
        raise ModelError(
            f"{path} does not fit: {wrong[0]} has shape {tuple(fitted[wrong[0]].shape)}, the "
            f"network's has {tuple(own[wrong[0]].shape)} ({len(wrong)} tensors differ)"
        )
    network.load_state_dict(fitted)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path}: no weights can be read there: {reason}") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ModelError(f"{path} holds no dictionary of tensors; give a state_dict")
    return content


def _by_order(tensors: dict[str, Tensor], own: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors to ours, in order; refuse what does not match."""
    pairs = list(zip(own.items(), tensors.items(), strict=False))
    differing = [
        f"{ours} {tuple(o.shape)} against {theirs} {tuple(t.shape)}"
        for (ours, o), (theirs, t) in pairs
        if _one_channel(t, o).shape != o.shape
    ]
    if len(own) != len(tensors) or differing:
        raise ModelError(
            f"{path} does not fit: {len(tensors)} tensors came and {len(own)} are needed"
            + (f"; {differing[0]}" if differing else "")
        )
    LOGGER.warning(
        "%s names its tensors differently; all %d shapes agree, so they were matched by order",
        path,
        len(own),
    )
    return {ours: tensor for (ours, _), (_, tensor) in pairs}


def _one_channel(tensor: Tensor, own: Tensor) -> Tensor:
    """Sum a colour kernel (out, 3, h, w) to (out, 1, h, w) where the network has one channel."""
    colours = tensor.ndim == 4 and own.ndim == 4 and tensor.shape[1] == 3 and own.shape[1] == 1
    return tensor.sum(1, keepdim=True) if colours else tensor
