"""Run a model folder's network with ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.models.registry import ModelFolder

INPUT = "features"
LOGITS = "logits"
EMBEDDING = "embedding"
BATCH_SIZE = 4  # measured: docs/design.md
_ERRORS_ONLY = 3
_GPU_PROVIDERS = ("CUDAExecutionProvider",)


class Network:
    """A network ready to run, checked against its card.

    The segments run in batches of BATCH_SIZE whatever their number, so memory does not grow with
    the track.
    """

    def __init__(self, folder: ModelFolder, n_threads: int = 1) -> None:
        """Load the network on the GPU where ONNX Runtime has one, otherwise on the CPU.

        Args:
            folder: where the network lies.
            n_threads: threads inside one operator.

        Raises:
            ModelError: ONNX Runtime cannot load the file, or its inputs and outputs are not those
                that the card promises.
        """
        import onnxruntime

        self._folder = folder
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Idle threads that spin take the core from the decoder and from the other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        here = onnxruntime.get_available_providers()
        providers = [p for p in _GPU_PROVIDERS if p in here] + ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(
                folder.onnx_path.read_bytes(), options, providers=providers
            )
        except Exception as error:  # its exceptions share no public base class
            raise ModelError(f"{folder.onnx_path} cannot be loaded: {error}") from error
        self._check()

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that runs the network, such as CPUExecutionProvider."""
        name: str = self._session.get_providers()[0]
        return name

    @property
    def has_embedding(self) -> bool:
        """Whether the network gives an embedding beside its logits."""
        return EMBEDDING in self._outputs

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of every segment.

        Args:
            features: normalised features. Shape (n_segments, n_bins, n_frames).

        Returns:
            Shape (n_segments, n_labels).

        Raises:
            ModelError: features of another shape, or logits that are not finite.
        """
        return self._run([LOGITS], features)[0]

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embedding of every segment: the vector before the classifier.

        Args:
            features: normalised features. Shape (n_segments, n_bins, n_frames).

        Returns:
            Shape (n_segments, d).

        Raises:
            ModelError: the network has no embedding; features of another shape; values that are
                not finite.
        """
        if not self.has_embedding:
            raise ModelError(f"model {self._folder.card.name!r} gives no embedding, only logits")
        return self._run([EMBEDDING], features)[0]

    def hear(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the logits and the embedding of every segment, in one pass.

        Args:
            features: normalised features. Shape (n_segments, n_bins, n_frames).

        Returns:
            Shapes (n_segments, n_labels) and (n_segments, d); None where the network gives none.

        Raises:
            ModelError: features of another shape, or values that are not finite.
        """
        if not self.has_embedding:
            return self.logits(features), None
        logits, embedding = self._run([LOGITS, EMBEDDING], features)
        return logits, embedding

    def _run(self, outputs: list[str], features: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        spec = self._folder.card.features
        if features.ndim != 3 or features.shape[1:] != (spec.n_bins, spec.n_frames):
            raise ModelError(
                f"features of shape {features.shape} came; model {self._folder.card.name!r} takes "
                f"(n_segments, {spec.n_bins}, {spec.n_frames})"
            )
        batches = [
            self._session.run(outputs, {INPUT: features[start : start + BATCH_SIZE]})
            for start in range(0, max(len(features), 1), BATCH_SIZE)
        ]
        results = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
        for output, result in zip(outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise ModelError(
                    f"model {self._folder.card.name!r} gave {output} that are not finite; "
                    "check it with `genrekit models verify`"
                )
        return results

    def _check(self) -> None:
        card = self._folder.card
        self._outputs = {output.name for output in self._session.get_outputs()}
        inputs = {node.name: node.shape for node in self._session.get_inputs()}
        wanted = [card.features.n_bins, card.features.n_frames]
        if LOGITS not in self._outputs or list(inputs) != [INPUT]:
            raise ModelError(
                f"{self._folder.onnx_path} has inputs {sorted(inputs)} and outputs "
                f"{sorted(self._outputs)}; it needs input '{INPUT}' and output '{LOGITS}'"
            )
        if not _fits(inputs[INPUT], [None, *wanted]):
            raise ModelError(
                f"{self._folder.onnx_path} takes features of shape {inputs[INPUT]}; its card "
                f"promises (batch, {wanted[0]}, {wanted[1]})"
            )
        shape = next(out.shape for out in self._session.get_outputs() if out.name == LOGITS)
        if not _fits(shape, [None, len(card.labels)]):
            raise ModelError(
                f"{self._folder.onnx_path} gives logits of shape {shape}; its card has "
                f"{len(card.labels)} labels"
            )


def _fits(shape: list[Any], wanted: list[int | None]) -> bool:
    """Whether a shape with symbolic dimensions (text) can be the wanted one (None: any size)."""
    if len(shape) != len(wanted):
        return False
    fixed = [(a, b) for a, b in zip(shape, wanted, strict=True) if isinstance(a, int)]
    return all(size == want for size, want in fixed) and not isinstance(shape[0], int)
