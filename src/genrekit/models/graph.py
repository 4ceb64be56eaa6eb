"""Inspect an ONNX file before it runs: no external weights, no loops, no huge tensors.

Source: the fields of onnx.proto3 (ONNX IR version 10) and the Protocol Buffers wire format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from genrekit.errors import ModelError

MAX_CONSTANT_VALUES = 1 << 28  # as many numbers as in a network of 1 GB
_CONTROL_FLOW = {"Loop", "Scan", "If", "SequenceMap"}
_MAX_DEPTH = 20
_NO_END = {(1 << 31) - 1, (1 << 63) - 1}  # the stop of a Slice to the end
# Field numbers of ModelProto, GraphProto, FunctionProto, NodeProto, AttributeProto, TensorProto.
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODE = 7
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_DIMS, _TENSOR_INT64, _TENSOR_RAW = 1, 7, 9
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_INT64 = 7

Field = tuple[int, int, memoryview]  # number, value of a varint, bytes of everything else


def check(model: bytes, name: str) -> None:
    """Refuse a network that needs more than its own file.

    Args:
        model: the ONNX file's bytes.
        name: its name in errors.

    Raises:
        ModelError: it is not an ONNX file; has weights in other files; has loops or branches; or
            declares a tensor of more than MAX_CONSTANT_VALUES values.
    """
    try:
        problem = _in_model(memoryview(model))
    except (IndexError, ValueError) as error:
        raise ModelError(
            f"{name} cannot be loaded: it is not an ONNX file; install it again"
        ) from error
    if problem:
        raise ModelError(f"{name} is refused: {problem}")


def _in_model(data: memoryview) -> str | None:
    for number, _, part in _fields(data):
        problem = None
        if number == _MODEL_GRAPH:
            problem = _in_graph(part, 0)
        elif number == _MODEL_FUNCTION:
            problem = _in_nodes(part, _FUNCTION_NODE, 0)
        if problem:
            return problem
    return None


def _in_graph(data: memoryview, depth: int) -> str | None:
    if depth > _MAX_DEPTH:
        return f"its graphs are nested more than {_MAX_DEPTH} deep"
    for number, _, part in _fields(data):
        if number == _GRAPH_SPARSE:
            return "it has sparse tensors; export it with dense ones"
        problem = _in_tensor(part) if number == _GRAPH_INITIALIZER else None
        if problem:
            return problem
    return _in_nodes(data, _GRAPH_NODE, depth)


def _in_nodes(data: memoryview, node: int, depth: int) -> str | None:
    for number, _, part in _fields(data):
        if number == node:
            problem = _in_node(part, depth)
            if problem:
                return problem
    return None


def _in_node(data: memoryview, depth: int) -> str | None:
    for number, _, part in _fields(data):
        if number == _NODE_OPERATOR and bytes(part).decode(errors="replace") in _CONTROL_FLOW:
            operator = bytes(part).decode()
            return f"it has the operator {operator}, which may run forever; export it without"
        if number == _NODE_ATTRIBUTE:
            problem = _in_attribute(part, depth)
            if problem:
                return problem
    return None


def _in_attribute(data: memoryview, depth: int) -> str | None:
    for number, _, part in _fields(data):
        problem = None
        if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            problem = _in_graph(part, depth + 1)
        elif number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            problem = _in_tensor(part)
        if problem:
            return problem
    return None


def _in_tensor(data: memoryview) -> str | None:
    n_values = 1
    values: list[int] = []
    type_, raw = 0, memoryview(b"")
    for number, value, part in _fields(data):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            return "it has weights in another file; export it with all weights in model.onnx"
        if number == _TENSOR_DIMS:
            for size in _varints(part) if part else [value]:
                n_values *= size
        elif number == _TENSOR_INT64:
            values += _varints(part) if part else [value]
        elif number == 2:
            type_ = value
        elif number == _TENSOR_RAW:
            raw = part
    if type_ == _INT64 and len(raw) <= 64:  # possibly a shape, for Expand
        values += [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
    biggest = math.prod(
        value for value in values[:8] if 0 < value < 1 << 63 and value not in _NO_END
    )
    if max(n_values, biggest if len(values) <= 8 else 0) > MAX_CONSTANT_VALUES:
        return f"it declares a tensor of more than {MAX_CONSTANT_VALUES} values"
    return None


def _fields(data: memoryview) -> Iterator[Field]:
    """Yield the fields of a message."""
    at = 0
    nothing = memoryview(b"")
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value, nothing
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("a field extends past the end")
        yield key >> 3, 0, data[at : at + size]
        at += size


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
