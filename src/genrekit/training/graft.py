"""Graft a trained head onto a network that already has an embedding, as ONNX graphs.

The network itself is not touched: whatever made it fast (int8 weights, rewritten layers) stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx.utils
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from genrekit.errors import ModelError
from genrekit.models.runtime import EMBEDDING, LOGITS

PREFIX = "grafted_head"


def graft(model: bytes, layers: Sequence[tuple[Tensor, Tensor]]) -> bytes:
    """Replace whatever follows a network's embedding by dense layers with ReLU between them.

    Args:
        model: an ONNX file's bytes, with an output "embedding" of shape (batch, d).
        layers: (weight, bias) of each layer, of shapes (n_in, n_out) and (n_out,).

    Returns:
        The bytes of a network with the outputs "logits" and "embedding".

    Raises:
        ModelError: the network has no embedding, or the result is no valid ONNX.
    """
    network = onnx.load_from_string(model)
    _keep_embedding(network)
    value = EMBEDDING
    for index, (weight, bias) in enumerate(layers):
        is_last = index == len(layers) - 1
        value = _add_layer(network.graph, index, value, (weight, bias), is_last)
    n_labels = layers[-1][1].shape[0]
    network.graph.output.append(
        helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", n_labels])
    )
    try:
        onnx.checker.check_model(network)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the grafted network is not valid ONNX: {error}") from error
    return bytes(network.SerializeToString())


def _keep_embedding(network: onnx.ModelProto) -> None:
    """Drop every other output, and every node and weight that only those needed."""
    graph = network.graph
    kept = [output for output in graph.output if output.name == EMBEDDING]
    if not kept:
        names = ", ".join(output.name for output in graph.output)
        raise ModelError(
            f"the network has outputs {names} but no '{EMBEDDING}', so no head can be put on it; "
            "use a model that has one"
        )
    del graph.output[:]
    graph.output.extend(kept)
    needed = {EMBEDDING}
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    shapes = [value for value in graph.value_info if value.name in needed]
    del graph.value_info[:]
    graph.value_info.extend(shapes)


def _add_layer(
    graph: onnx.GraphProto, index: int, value: str, layer: tuple[Tensor, Tensor], is_last: bool
) -> str:
    """Add one Gemm, and ReLU unless it is the last; return the name of the result."""
    name = f"{PREFIX}.{index}"
    for suffix, tensor in zip(("weight", "bias"), layer, strict=True):
        array = numpy_helper.from_array(tensor.contiguous().numpy(), f"{name}.{suffix}")
        graph.initializer.append(array)
    result = LOGITS if is_last else f"{name}.sum"
    inputs = [value, f"{name}.weight", f"{name}.bias"]
    graph.node.append(helper.make_node("Gemm", inputs, [result], name=name))
    if is_last:
        return result
    graph.node.append(helper.make_node("Relu", [result], [f"{name}.relu"], name=f"{name}.relu"))
    return f"{name}.relu"
