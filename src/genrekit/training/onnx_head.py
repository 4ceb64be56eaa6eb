"""Attach a trained head to a network that already has an embedding, as ONNX graphs.

The network itself is unchanged: its optimisations (int8 weights, rewritten layers) are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.utils
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from genrekit.errors import ModelError
from genrekit.models.runtime import EMBEDDING, LOGITS

if TYPE_CHECKING:
    from torch import Tensor

    from genrekit.training.taught import Start

PREFIX = "grafted_head"  # a name in the bytes of the embedded models
WIDENED = "widened_head"
TAUGHT = "taught_head"


def attach(model: bytes, layers: Sequence[tuple[Tensor, Tensor]]) -> bytes:
    """Replace everything after a network's embedding by dense layers with ReLU between them.

    Args:
        model: an ONNX file's bytes, with an output "embedding" of shape (batch, d).
        layers: (weight, bias) of each layer, of shapes (n_in, n_out) and (n_out,).

    Returns:
        The bytes of a network with the outputs "logits" and "embedding".

    Raises:
        ModelError: the network has no embedding, or the result is not valid ONNX.
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
    return _checked(network)


def _keep_embedding(network: onnx.ModelProto) -> None:
    """Drop every other output, and every node and weight that only those need."""
    graph = network.graph
    _check_embedding(graph)
    kept = [output for output in graph.output if output.name == EMBEDDING]
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


def widen(model: bytes, weight: NDArray[np.float64], bias: float) -> bytes:
    """Add one logit to a network, linear in its embedding; the others are unchanged.

    Args:
        model: an ONNX file's bytes, with the outputs "logits" and "embedding".
        weight: shape (d,).
        bias: added to the new logit.

    Returns:
        The bytes of a network with one more logit, the last one.

    Raises:
        ModelError: the network has no embedding.
    """
    network = onnx.load_from_string(model)
    graph = network.graph
    _check_embedding(graph)
    name = f"{WIDENED}.{sum(node.op_type == 'Concat' for node in graph.node)}"
    old, new = f"{name}.old", f"{name}.new"
    _rename(graph, LOGITS, old)
    arrays = {"weight": weight[:, None], "bias": np.array([bias])}
    for suffix, array in arrays.items():
        graph.initializer.append(
            numpy_helper.from_array(array.astype(np.float32), f"{name}.{suffix}")
        )
    inputs = [EMBEDDING, f"{name}.weight", f"{name}.bias"]
    graph.node.append(helper.make_node("Gemm", inputs, [new], name=new))
    graph.node.append(helper.make_node("Concat", [old, new], [LOGITS], name=name, axis=1))
    for output in graph.output:
        if output.name == LOGITS:
            output.type.tensor_type.shape.dim[1].dim_value += 1
    return _checked(network)


def teach(
    model: bytes, start: Start, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> bytes:
    """Put a head on a network that adds to the network's own logits; see ``taught``.

    Args:
        model: an ONNX file's bytes, with the outputs "logits" and "embedding".
        start: how the old logits become the new labels' starting logits.
        weight: of the embedding's contribution. Shape (d, n_new).
        bias: shape (n_new,).

    Returns:
        The bytes of a network whose logits are the new ones; ``untaught`` undoes it.

    Raises:
        ModelError: the network has no embedding, or the result is not valid ONNX.
    """
    network = onnx.load_from_string(model)
    graph = network.graph
    _check_embedding(graph)
    _rename(graph, LOGITS, f"{TAUGHT}.old")
    arrays = {
        "old_bias": start.bias,
        "temperature": np.array([start.temperature]),
        "mapping": start.mapping,
        "floor": start.floor,
        "weight": weight,
        "bias": bias,
    }
    for name, array in arrays.items():
        values = np.ascontiguousarray(array, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(values, f"{TAUGHT}.{name}"))
    steps = (
        ("Add", ("old", "old_bias"), "shifted"),
        ("Div", ("shifted", "temperature"), "cooled"),
        ("Softmax", ("cooled",), "probabilities"),  # over the last axis
        ("MatMul", ("probabilities", "mapping"), "mapped"),
        ("Add", ("mapped", "floor"), "floored"),
        ("Log", ("floored",), "start"),
    )
    for kind, inputs, output in steps:
        names = [f"{TAUGHT}.{name}" for name in inputs]
        result = f"{TAUGHT}.{output}"
        graph.node.append(helper.make_node(kind, names, [result], name=result))
    linear = [EMBEDDING, f"{TAUGHT}.weight", f"{TAUGHT}.bias"]
    added = f"{TAUGHT}.added"
    graph.node.append(helper.make_node("Gemm", linear, [added], name=added))
    both = [f"{TAUGHT}.start", added]
    graph.node.append(helper.make_node("Add", both, [LOGITS], name=f"{TAUGHT}.sum"))
    _set_logits(graph, len(bias))
    return _checked(network)


def untaught(model: bytes) -> bytes | None:
    """Return the network that ``teach`` was given; None if its head was not added last."""
    network = onnx.load_from_string(model)
    graph = network.graph
    last = [node.name for node in graph.node if LOGITS in node.output]
    if last != [f"{TAUGHT}.sum"]:
        return None
    (mapping,) = [array for array in graph.initializer if array.name == f"{TAUGHT}.mapping"]
    for items in (graph.node, graph.initializer):
        kept = [item for item in items if not item.name.startswith(f"{TAUGHT}.")]
        del items[:]
        items.extend(kept)
    _rename(graph, f"{TAUGHT}.old", LOGITS)
    _set_logits(graph, mapping.dims[0])
    return _checked(network)


def _rename(graph: onnx.GraphProto, name: str, to: str) -> None:
    """Rename a value of a graph; the graph's outputs keep their names."""
    for node in graph.node:
        node.output[:] = [to if value == name else value for value in node.output]
        node.input[:] = [to if value == name else value for value in node.input]


def _set_logits(graph: onnx.GraphProto, n_labels: int) -> None:
    for output in graph.output:
        if output.name == LOGITS:
            output.type.tensor_type.shape.dim[1].dim_value = n_labels


def _checked(network: onnx.ModelProto) -> bytes:
    try:
        onnx.checker.check_model(network)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the network with its head is not valid ONNX: {error}") from error
    return bytes(network.SerializeToString())


def run_head(model: bytes, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits of embeddings by a network's own head.

    Args:
        model: an ONNX file's bytes, with the outputs "logits" and "embedding".
        embeddings: shape (n, d).

    Returns:
        Shape (n, n_labels).

    Raises:
        ModelError: the network has no embedding, or its logits depend on more than that.
    """
    import onnxruntime

    network = onnx.load_from_string(model)
    _check_embedding(network.graph)
    try:
        head = onnx.utils.Extractor(network).extract_model([EMBEDDING], [LOGITS])
        session = onnxruntime.InferenceSession(
            head.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        raise ModelError(f"the network's head cannot be separated: {error}") from error
    logits: NDArray[np.float32] = session.run([LOGITS], {EMBEDDING: embeddings})[0]
    return logits


def _check_embedding(graph: onnx.GraphProto) -> None:
    names = [output.name for output in graph.output]
    if EMBEDDING not in names:
        raise ModelError(
            f"the network has outputs {', '.join(names)} but no '{EMBEDDING}', so no head can be "
            "put on it; use a model that has one"
        )
