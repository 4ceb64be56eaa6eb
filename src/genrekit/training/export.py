"""From a trained torch network to a checked model folder: ONNX, card and README, no pickle."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genrekit import files
from genrekit.errors import ModelError
from genrekit.features.spec import FeatureSpec
from genrekit.models import card as cards
from genrekit.models import readme
from genrekit.models.card import ModelCard
from genrekit.models.registry import CARD, NETWORK, README
from genrekit.models.runtime import INPUT, LOGITS, Features

if TYPE_CHECKING:
    from torch import nn

    from genrekit.training.frozen import FrozenNetwork

OPSET = 18
TOLERANCE = 1e-4
MAX_BATCH = 65536

Floats = NDArray[np.float32]


def to_onnx(network: nn.Module, spec: FeatureSpec, outputs: Sequence[str]) -> bytes:
    """Export a network.

    Args:
        network: maps (batch, n_bins, n_frames) to as many tensors as there are outputs.
        spec: for the input's shape.
        outputs: their names.

    Returns:
        The bytes of an ONNX file with a dynamic batch size and no trace of this machine.

    Raises:
        ModelError: torch cannot export the network.
    """
    network = network.float().cpu().eval()
    import torch

    probe = torch.zeros(2, spec.n_bins, spec.n_frames)
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (probe,),
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        raise ModelError(f"torch cannot export this network to ONNX: {error}") from error
    if program is None:
        raise ModelError("torch returned no ONNX program for this network")
    return _without_traces(program.model_proto)


def _without_traces(model: object) -> bytes:
    """Drop the exporter's metadata, which contains paths and stack traces."""
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    for holder in (copy, copy.graph, *copy.graph.node, *copy.graph.value_info):
        del holder.metadata_props[:]
    for holder in (*copy.graph.input, *copy.graph.output, *copy.graph.initializer):
        del holder.metadata_props[:]
    for node in copy.graph.node:
        node.ClearField("doc_string")
    return bytes(copy.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the messages of torch's exporter."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="onnxscript")
            yield
    finally:
        logger.setLevel(level)


def check(
    network: FrozenNetwork,
    reference: Callable[[Features], Floats],
    real: Features,
    output: str = LOGITS,
) -> float:
    """Compare an ONNX network's output with torch's, on noise and on real segments.

    Args:
        network: the exported network.
        reference: torch's output for the features of every view.
        real: features of real segments, by the view's name. Shapes (n_segments, n_bins, n_frames).
        output: the name of the output to compare.

    Returns:
        The largest difference, relative to the largest value if that is above one.

    Raises:
        ModelError: the difference is above 1e-4, or a logit is not finite.
    """
    rng, specs = np.random.default_rng(0), {view.name: view.features for view in network.views}
    noise = {
        name: rng.normal(size=(3, spec.n_bins, spec.n_frames)).astype(np.float32)
        for name, spec in specs.items()
    }
    first = {name: rows[:1] for name, rows in real.items()}
    worst = 0.0
    for features in (noise, real, first):
        expected = reference(features)
        difference = np.abs(network.run(features, output) - expected).max()
        worst = max(worst, float(difference / max(1.0, np.abs(expected).max())))
    if not worst <= TOLERANCE:  # also true for NaN
        raise ModelError(
            f"the exported network's {output} differ from torch's by {worst:.1e}; expected at most "
            f"{TOLERANCE:.0e}; the model was not written"
        )
    return worst


def write_folder(target: Path, model: bytes, card: ModelCard) -> Path:
    """Write a model folder under a temporary name and rename it when it is complete.

    Args:
        target: the folder; an existing one is replaced.
        model: the ONNX file's bytes.
        card: its card, whose onnx_sha256 is set here.

    Raises:
        ModelError: the folder cannot be written, or the disk is full; target is unchanged.
    """
    card = card.model_copy(update={"onnx_sha256": hashlib.sha256(model).hexdigest()})
    content = {
        NETWORK: model,
        CARD: cards.to_json(card).encode(),
        README: readme.write(card).encode(),
    }
    try:
        _write_beside(target, content)
    except OSError as error:
        raise ModelError(
            f"the model folder {target} cannot be written ({error.strerror}); nothing was left "
            "behind; free some space and run `genrekit train --resume` on the run's folder"
        ) from error
    return target


def _write_beside(target: Path, content: dict[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        for name, data in content.items():
            with files.write_beside(staged / name) as stream:
                stream.write(data)
        staged.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
