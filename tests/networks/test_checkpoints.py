"""The checkpoint reader against a checkpoint written here, byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from genrekit.errors import ModelError
from genrekit.networks import checkpoints

TENSORS = {
    "conv/bias": np.arange(3, dtype=np.float32),
    "conv/kernel": np.arange(300, dtype=np.float32).reshape(3, 10, 10),
    "scalar": np.array(7, np.float32),
}


def varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: list[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """A block with shared prefixes, one restart point, and its trailer of type and checksum."""
    out, last = b"", b""
    for key, value in entries:
        n_shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), 0)
        new = key[n_shared:]
        out += varint(n_shared) + varint(len(new)) + varint(len(value)) + new + value
        last = key
    return out + struct.pack("<II", 0, 1) + bytes([compression]) + b"\0\0\0\0"


def checkpoint(compression: int = 0) -> tuple[bytes, bytes]:
    entries, data = [(b"", field(1, 1))], b""
    for name, tensor in TENSORS.items():
        shape = b"".join(field(2, field(1, size)) for size in tensor.shape)
        place = field(4, len(data)) + field(5, tensor.nbytes)
        checksum = varint(6 << 3 | 5) + b"\1\2\3\4"
        entries.append((name.encode(), field(1, 1) + field(2, shape) + place + checksum))
        data += tensor.tobytes()
    entries.append((b"step", field(1, 9) + field(4, 0) + field(5, 8)))  # int64: left out
    rows = block(entries, compression)
    table = block([(b"zzz", varint(0) + varint(len(rows) - 5))])
    handles = varint(0) + varint(0) + varint(len(rows)) + varint(len(table) - 5)
    footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return rows + table + footer, data


def test_every_float_tensor_comes_back() -> None:
    found = checkpoints.read_tensors(*checkpoint())
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].shape == tensor.shape
        assert np.array_equal(found[name], tensor)


def test_cut_off_data() -> None:
    index, data = checkpoint()
    with pytest.raises(ModelError, match="not a whole TensorFlow V2 checkpoint: a tensor of shape"):
        checkpoints.read_tensors(index, data[:-1])


@pytest.mark.parametrize("index", [b"", b"x" * 100])
def test_no_checkpoint(index: bytes) -> None:
    with pytest.raises(ModelError, match="not a whole TensorFlow V2 checkpoint"):
        checkpoints.read_tensors(index, b"")


def test_a_compressed_block() -> None:
    with pytest.raises(ModelError, match="is compressed"):
        checkpoints.read_tensors(*checkpoint(compression=1))
