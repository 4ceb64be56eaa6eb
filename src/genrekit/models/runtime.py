"""Run a network with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.models import graph
from genrekit.models.card import View

INPUT = "features"  # of a network with one view
LOGITS = "logits"
EMBEDDING = "embedding"
BATCH_SIZE = 4  # measured: docs/design.md
_ERRORS_ONLY = 3
_GPU_PROVIDERS = ("CUDAExecutionProvider",)

if TYPE_CHECKING:
    from genrekit.models.registry import ModelFolder

Floats = NDArray[np.float32]
# A network's input: the features of every view by its name, (n_segments, n_bins, n_frames).
Features = Mapping[str, Floats]


def silence(views: Sequence[View]) -> Features:
    """Return one segment of zeros for every view."""
    shapes = {view.name: (1, view.features.n_bins, view.features.n_frames) for view in views}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


class Network:
    """A network ready to run, checked against its views.

    Segments run in batches of BATCH_SIZE, so memory does not grow with the length of the track.
    """

    def __init__(
        self, model: bytes, views: Sequence[View], name: str = "network", n_threads: int = 1
    ) -> None:
        """Load the network on the GPU if ONNX Runtime has one, otherwise on the CPU.

        Args:
            model: the ONNX file's bytes.
            views: its inputs.
            name: its name in errors.
            n_threads: threads inside one operator.

        Raises:
            ModelError: ONNX Runtime cannot load the file, or its inputs are not the views.
        """
        self.views = tuple(views)
        self.name = name
        graph.check(model, name)
        self._session = _session(model, name, n_threads)
        self.outputs = {output.name: output.shape for output in self._session.get_outputs()}
        self._check_inputs()

    @classmethod
    def of(cls, folder: ModelFolder, n_threads: int = 1) -> Network:
        """Load a model folder's network.

        Raises:
            ModelError: as for __init__; or the logits do not match the card.
        """
        card = folder.card
        name = str(folder.onnx_path)
        network = cls(folder.onnx_path.read_bytes(), card.views, name, n_threads)
        shape = network.outputs.get(LOGITS)
        if shape is None:
            raise ModelError(f"{name} has outputs {sorted(network.outputs)}; expected '{LOGITS}'")
        if not _fits(shape, [None, len(card.labels)]):
            raise ModelError(
                f"{name} returns logits of shape {shape}; its card has {len(card.labels)} labels"
            )
        gate, shape = card.music_gate, network.outputs.get(EMBEDDING)
        if gate and (shape is None or not _fits(shape, [None, len(gate.weights)])):
            raise ModelError(
                f"{name} returns an embedding of shape {shape}; its card's music_gate has "
                f"{len(gate.weights)} weights"
            )
        return network

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that runs the network, such as CPUExecutionProvider."""
        name: str = self._session.get_providers()[0]
        return name

    @property
    def has_embedding(self) -> bool:
        """Whether the network has an embedding as well as logits."""
        return EMBEDDING in self.outputs

    def run(self, features: Features, *outputs: str) -> list[Floats]:
        """Run segments through the network.

        Args:
            features: by the view's name. Shapes (n_segments, n_bins, n_frames).
            outputs: the names of the requested outputs.

        Returns:
            One array per requested output. Shapes (n_segments, d).

        Raises:
            ModelError: a missing view or output, features of a wrong shape, or values that are
                not finite.
        """
        missing = [output for output in outputs if output not in self.outputs]
        if missing:
            raise ModelError(
                f"{self.name} has no {missing[0]}, only {', '.join(self.outputs)}; use a model "
                "that has"
            )
        n_segments = self._check_features(features)
        inputs = {view.name: features[view.name] for view in self.views}
        batches = [
            self._session.run(
                list(outputs),
                {name: rows[start : start + BATCH_SIZE] for name, rows in inputs.items()},
            )
            for start in range(0, max(n_segments, 1), BATCH_SIZE)
        ]
        results = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
        for output, result in zip(outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise ModelError(
                    f"{self.name} returned {output} that are not finite; "
                    "check it with `genrekit models verify`"
                )
        return results

    def _check_features(self, features: Features) -> int:
        """Return the number of segments, which must be the same in all views."""
        counts = set()
        for view in self.views:
            expected = (view.features.n_bins, view.features.n_frames)
            given = features.get(view.name)
            if given is None or given.ndim != 3 or given.shape[1:] != expected:
                shape = "none" if given is None else f"shape {given.shape}"
                raise ModelError(
                    f"got {view.name} of {shape}; {self.name} expects "
                    f"(n_segments, {expected[0]}, {expected[1]})"
                )
            counts.add(len(given))
        if len(counts) > 1:
            raise ModelError(
                f"got views of {sorted(counts)} segments; expected the same number of each"
            )
        return counts.pop()

    def _check_inputs(self) -> None:
        inputs = {node.name: node.shape for node in self._session.get_inputs()}
        names = [view.name for view in self.views]
        if sorted(inputs) != sorted(names):
            raise ModelError(
                f"{self.name} has inputs {sorted(inputs)}; its card's views are {sorted(names)}"
            )
        for view in self.views:
            expected = (view.features.n_bins, view.features.n_frames)
            if not _fits(inputs[view.name], [None, *expected]):
                raise ModelError(
                    f"{self.name} takes {view.name} of shape {inputs[view.name]}; its card "
                    f"promises (batch, {expected[0]}, {expected[1]})"
                )


def _session(model: bytes, name: str, n_threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads that spin would take CPU time from the decoder and the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    here = onnxruntime.get_available_providers()
    providers = [p for p in _GPU_PROVIDERS if p in here] + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # its exceptions share no public base class
        raise ModelError(f"{name} cannot be loaded: {error}") from error


def _fits(shape: list[Any], expected: list[int | None]) -> bool:
    """Whether a shape with symbolic dimensions (text) fits the expected one (None: any size)."""
    if len(shape) != len(expected):
        return False
    fixed = [(a, b) for a, b in zip(shape, expected, strict=True) if isinstance(a, int)]
    return all(size == want for size, want in fixed) and not isinstance(shape[0], int)
