"""From a fitted estimator to ONNX, with the same probabilities.

Everything but trees is computed in double precision, as in scikit-learn; trees compare in single
precision, as when they were fitted. The logits are log probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from genrekit.errors import ModelError
from genrekit.models.runtime import INPUT, LOGITS
from genrekit.training.tabular.estimators import NearestNeighbours, SupportVectorMachine
from genrekit.training.tabular.from_scratch import Layers, SoftmaxNetwork

OPSET = 18
ML_OPSET = 3
IR_VERSION = 10
# A share of votes can be zero, but not its logarithm; this changes probabilities by at most 1e-6.
SMALLEST = 1e-7

Floats = NDArray[np.float64]


class _Graph:
    """Nodes and constants in the order added; each method returns a value's name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name=name, **attributes))
        return name

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def to_onnx(pipeline: Pipeline, n_columns: int, n_labels: int) -> bytes:
    """Convert a fitted pipeline.

    Args:
        pipeline: as returned by ``estimators.make``, fitted to label indices.
        n_columns: length of a row of features.
        n_labels: number of labels.

    Returns:
        The bytes of an ONNX file: "features" float32 (batch, n_columns, 1) in, "logits" float32
        (batch, n_labels) out, whose softmax is the pipeline's predict_proba.

    Raises:
        ModelError: the estimator has no conversion.
    """
    graph = _Graph()
    flat = graph.add("Squeeze", INPUT, np.array([2]))
    logits = _log_probabilities(graph, flat, pipeline, n_columns)
    last = graph.add("Cast", logits, to=TensorProto.FLOAT)
    graph.nodes[-1].output[0] = LOGITS
    del last
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tabular",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", n_columns, 1])],
            [helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", n_labels])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="genrekit",
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _log_probabilities(graph: _Graph, flat: str, pipeline: Pipeline, n_columns: int) -> str:
    estimator = pipeline[-1]
    if not isinstance(pipeline[0], StandardScaler):
        return _log(graph, _trees(graph, flat, estimator, n_columns))
    scaled = _scale(graph, graph.add("Cast", flat, to=TensorProto.DOUBLE), pipeline[0])
    if isinstance(estimator, NearestNeighbours):
        return _log(graph, _votes(graph, scaled, estimator))
    if isinstance(estimator, SupportVectorMachine):
        return _log_softmax(graph, _decisions(graph, scaled, estimator))
    return _log_softmax(graph, _dense(graph, scaled, estimator))


def _scale(graph: _Graph, rows: str, scaler: StandardScaler) -> str:
    return graph.add("Div", graph.add("Sub", rows, scaler.mean_), scaler.scale_)


def _log(graph: _Graph, probabilities: str) -> str:
    """Return the logarithm of probabilities, some of which may be zero."""
    double = graph.add("Cast", probabilities, to=TensorProto.DOUBLE)
    return graph.add("Log", graph.add("Max", double, np.array(SMALLEST)))


def _log_softmax(graph: _Graph, logits: str) -> str:
    return graph.add("LogSoftmax", logits, axis=1)


def _dense(graph: _Graph, rows: str, estimator: Any) -> str:
    layers, activation = _layers(estimator)
    for index, (weight, bias) in enumerate(layers):
        rows = graph.add("Add", graph.add("MatMul", rows, weight), bias)
        if index < len(layers) - 1:
            rows = graph.add(activation, rows)
    return rows


def _layers(estimator: Any) -> tuple[Layers, str]:
    """Return weights (n_in, n_out) and biases of each layer, and the activation between them."""
    if isinstance(estimator, SoftmaxNetwork):
        return estimator.layers_, "Relu"
    if isinstance(estimator, LogisticRegression):
        return _both([(estimator.coef_.T, estimator.intercept_)]), "Relu"
    if isinstance(estimator, MLPClassifier):
        operators = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}
        layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
        return _both(layers), operators[estimator.activation]
    raise ModelError(f"{type(estimator).__name__} has no conversion to ONNX")


def _both(layers: Sequence[tuple[Floats, Floats]]) -> Layers:
    """Return a logit for each of two classes, where scikit-learn has only that of the second."""
    *hidden, (weight, bias) = layers
    if len(bias) == 1:
        weight = np.concatenate([np.zeros_like(weight), weight], axis=1)
        bias = np.concatenate([np.zeros_like(bias), bias])
    return [*hidden, (weight, bias)]


def _votes(graph: _Graph, rows: str, estimator: NearestNeighbours) -> str:
    """Return the shares of votes of the nearest rows; TopK selects the first in a tie."""
    apart = graph.add("Unsqueeze", rows, np.array([1]))  # (batch, 1, n_columns)
    difference = graph.add("Sub", apart, estimator._fit_X[None])  # (batch, n_known, n_columns)
    squares = graph.add("Mul", difference, difference)
    distances = graph.add("ReduceSum", squares, np.array([2]), keepdims=0)
    rounded = graph.add("Cast", distances, to=TensorProto.FLOAT)
    graph.add("TopK", rounded, np.array([estimator.n_neighbors]), axis=1, largest=0)
    nearest = f"nearest_{len(graph.nodes)}"
    graph.nodes[-1].output.append(nearest)
    one_hot = np.eye(len(estimator.classes_))[estimator._y]  # (n_known, n_labels)
    votes = graph.add("Gather", one_hot, nearest, axis=0)  # (batch, k, n_labels)
    return graph.add("ReduceMean", votes, np.array([1]), keepdims=0)


def _decisions(graph: _Graph, rows: str, estimator: SupportVectorMachine) -> str:
    """Return the one-against-rest decisions of a support vector machine with an RBF kernel.

    Source: scikit-learn's _ovr_decision_function: votes of all pairs, and confidences that cannot
    change their order.
    """
    if estimator.kernel != "rbf":
        raise ModelError(f"kernel {estimator.kernel!r} has no conversion to ONNX; use 'rbf'")
    vectors = estimator.support_vectors_
    apart = graph.add("Unsqueeze", rows, np.array([1]))
    difference = graph.add("Sub", apart, vectors[None])  # (batch, n_vectors, n_columns)
    squares = graph.add("Mul", difference, difference)
    distances = graph.add("ReduceSum", squares, np.array([2]), keepdims=0)
    kernel = graph.add("Exp", graph.add("Mul", distances, np.array(-estimator._gamma)))
    first, second, weights = _pairs(estimator)
    pairs = graph.add("Add", graph.add("MatMul", kernel, weights), estimator._intercept_)
    if len(estimator.classes_) == 2:  # scikit-learn flips the sign: positive means the second
        return graph.add("MatMul", pairs, np.array([[0.0, -1.0]]))
    loses = graph.add("Cast", graph.add("Less", pairs, np.array(0.0)), to=TensorProto.DOUBLE)
    wins = graph.add("Sub", np.array(1.0), loses)
    votes = graph.add("Add", graph.add("MatMul", wins, first), graph.add("MatMul", loses, second))
    sums = graph.add("MatMul", pairs, first - second)
    bounded = graph.add(
        "Mul", graph.add("Add", graph.add("Abs", sums), np.array(1.0)), np.array(3.0)
    )
    return graph.add("Add", votes, graph.add("Div", sums, bounded))


def _pairs(estimator: SupportVectorMachine) -> tuple[Floats, Floats, Floats]:
    """Return the first and second label of each pair, and each vector's weight in it.

    Returns:
        Two one-hot tables (n_pairs, n_labels), and weights (n_vectors, n_pairs).
    """
    n_labels = len(estimator.classes_)
    pairs = [(i, j) for i in range(n_labels) for j in range(i + 1, n_labels)]
    ends = np.cumsum(estimator._n_support)
    spans = [slice(end - n, end) for end, n in zip(ends, estimator._n_support, strict=True)]
    weights = np.zeros((len(estimator.support_vectors_), len(pairs)))
    for pair, (i, j) in enumerate(pairs):
        weights[spans[i], pair] = estimator._dual_coef_[j - 1, spans[i]]
        weights[spans[j], pair] = estimator._dual_coef_[i, spans[j]]
    one_hot = np.eye(n_labels)
    return one_hot[[i for i, _ in pairs]], one_hot[[j for _, j in pairs]], weights


def _trees(graph: _Graph, flat: str, estimator: Any, n_columns: int) -> str:
    """Insert the graph made by the forest's own converter; return its probabilities."""
    converted = _convert(estimator, n_columns)
    names = {converted.input[0].name: flat}
    renamed = {name: f"trees_{name}" for node in converted.node for name in node.output}
    names |= renamed | {c.name: f"trees_{c.name}" for c in converted.initializer}
    for node in converted.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"trees_{node.name}"
        copy.input[:] = [names[name] for name in node.input]
        copy.output[:] = [names[name] for name in node.output]
        graph.nodes.append(copy)
    for constant in converted.initializer:
        copied = onnx.TensorProto()
        copied.CopyFrom(constant)
        copied.name = names[constant.name]
        graph.constants.append(copied)
    return names["probabilities"]


def _convert(estimator: Any, n_columns: int) -> Any:
    from xgboost import XGBClassifier

    if isinstance(estimator, XGBClassifier):
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [("rows", FloatTensorType([None, n_columns]))]
        return convert_xgboost(estimator, initial_types=types, target_opset=15).graph
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType

    types = [("rows", FloatTensorType([None, n_columns]))]
    return convert(
        estimator, initial_types=types, options={"zipmap": False}, target_opset=OPSET
    ).graph
