"""Read a TensorFlow V2 checkpoint without TensorFlow, and fetch musicnn's.

A checkpoint is two files. ``PREFIX.index`` is a sorted string table in LevelDB's format: blocks of
prefix-compressed keys, found through an index block, found through a footer. Each value is a
protocol buffer (BundleEntryProto) that gives where in ``PREFIX.data-00000-of-00001`` a tensor lies.

Source: LevelDB's table format (doc/table_format.md), TensorFlow's tensor_bundle.proto.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.files import write_beside

MUSICNN_PACKAGE = "musicnn==0.1.0"
MUSICNN_WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
MUSICNN_CHECKPOINT = "musicnn/MSD_musicnn/"
MUSICNN_N_TENSORS = 64

_FOOTER_BYTES = 48
_TABLE_MAGIC = 0xDB4775248B80FB57
_FLOAT32 = 1
# Field numbers of BundleEntryProto, TensorShapeProto and TensorShapeProto.Dim.
_DTYPE, _SHAPE, _OFFSET, _SIZE = 1, 2, 4, 5
_DIM, _DIM_SIZE = 2, 1

Tensors = dict[str, NDArray[np.float32]]
Message = dict[int, list[int | bytes]]
Value = TypeVar("Value", int, bytes)


def fetch_musicnn(destination: Path) -> Path:
    """Take musicnn's weights out of its PyPI package and write them as one .npz.

    pip downloads the package (29 MB) without its dependencies; nothing of it is run.

    Args:
        destination: the .npz to write: 64 float32 tensors under the names of the checkpoint's
            variables, with "__" in the place of "/".

    Returns:
        The destination.

    Raises:
        ModelError: pip cannot download the package, or what came has another SHA-256.
        OSError: the destination cannot be written.

    Source: Pons & Serra (2019), musicnn: pre-trained convolutional neural networks for music audio
    tagging, arXiv:1909.06654. ISC licence.
    """
    with tempfile.TemporaryDirectory() as name:
        wheel = _download(MUSICNN_PACKAGE, Path(name)).read_bytes()
    found = hashlib.sha256(wheel).hexdigest()
    if found != MUSICNN_WHEEL_SHA256:
        raise ModelError(
            f"the package {MUSICNN_PACKAGE} that came has sha256 {found}; expected "
            f"{MUSICNN_WHEEL_SHA256}; try again or use another index"
        )
    tensors = read_musicnn_wheel(wheel)
    with write_beside(destination) as stream:
        np.savez(stream, **tensors)  # type: ignore[arg-type]
    return destination


def musicnn_path() -> Path:
    """Return where musicnn's weights are kept when no other place is named."""
    import platformdirs

    return Path(platformdirs.user_data_dir("genrekit", appauthor=False)) / "weights/MSD_musicnn.npz"


def read_musicnn_wheel(wheel: bytes) -> Tensors:
    """Return the 64 tensors of musicnn's MSD model out of the package's wheel.

    Raises:
        ModelError: the wheel holds no such checkpoint or another number of tensors.
    """
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        index = archive.read(f"{MUSICNN_CHECKPOINT}.index")
        data = archive.read(f"{MUSICNN_CHECKPOINT}.data-00000-of-00001")
    variables = read_tensors(index, data)
    kept = {k: v for k, v in variables.items() if "Adam" not in k and not k.startswith("beta")}
    if len(kept) != MUSICNN_N_TENSORS:
        raise ModelError(f"musicnn's checkpoint has {MUSICNN_N_TENSORS} tensors; found {len(kept)}")
    return {name.replace("/", "__"): kept[name] for name in sorted(kept)}


def read_tensors(index: bytes, data: bytes) -> Tensors:
    """Return every float32 variable of a checkpoint by its name.

    Args:
        index: the bytes of PREFIX.index.
        data: the bytes of PREFIX.data-00000-of-00001.

    Raises:
        ModelError: the bytes are no TensorFlow V2 checkpoint, are compressed or cut off.
    """
    try:
        return dict(_tensors(index, data))
    except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise ModelError(f"not a whole TensorFlow V2 checkpoint: {error}") from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    footer = index[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:])[0] != _TABLE_MAGIC:
        raise ValueError("its index lacks the magic number of a table")
    # The footer: handles of the meta-index and of the index block, each as offset and size.
    _, _, table_offset, table_size = _varints(io.BytesIO(footer), 4)
    for _, handle in _entries(index, table_offset, table_size):
        for key, value in _entries(index, *_varints(io.BytesIO(handle), 2)):
            entry = _message(value)
            if key and _field(entry, _DTYPE, int) == _FLOAT32:
                yield key.decode(), _tensor(entry, data)


def _tensor(entry: Message, data: bytes) -> NDArray[np.float32]:
    dimensions = _message(_field(entry, _SHAPE, bytes)).get(_DIM, [])
    shape = [_field(_message(dim), _DIM_SIZE, int) for dim in dimensions if isinstance(dim, bytes)]
    offset, size = _field(entry, _OFFSET, int), _field(entry, _SIZE, int)
    if size != 4 * math.prod(shape) or offset + size > len(data):
        raise ValueError(f"a tensor of shape {shape} has {size} bytes at {offset} of {len(data)}")
    return np.frombuffer(data, "<f4", math.prod(shape), offset).reshape(shape)


def _entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block; each key shares a prefix with the one before."""
    if table[offset + size]:
        raise ValueError("its index is compressed")
    block = table[offset : offset + size]
    n_restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 - 4 * n_restarts
    stream, key = io.BytesIO(block), b""
    while stream.tell() < end:
        n_shared, n_new, n_value = _varints(stream, 3)
        key = key[:n_shared] + stream.read(n_new)
        yield key, stream.read(n_value)


def _message(data: bytes) -> Message:
    """The fields of a protocol buffer: numbers and byte strings by field number."""
    fields: Message = {}
    stream = io.BytesIO(data)
    value: int | bytes
    while stream.tell() < len(data):
        tag = _varint(stream)
        wire_type = tag & 7
        if wire_type == 0:
            value = _varint(stream)
        elif wire_type in (1, 5):
            value = int.from_bytes(stream.read(8 if wire_type == 1 else 4), "little")
        elif wire_type == 2:
            value = stream.read(_varint(stream))
        else:
            raise ValueError(f"its index holds a field of wire type {wire_type}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _field(message: Message, number: int, kind: type[Value]) -> Value:
    """A field's first value, or 0 or no bytes."""
    value = message.get(number, [kind()])[0]
    if not isinstance(value, kind):
        expected = "number" if kind is int else "message"
        raise TypeError(f"field {number} of its index is no {expected}")
    return value


def _varints(stream: IO[bytes], count: int) -> list[int]:
    return [_varint(stream) for _ in range(count)]


def _varint(stream: IO[bytes]) -> int:
    """A number in groups of seven bits, lowest first; the eighth bit means that more follow."""
    value = shift = 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    options = ["--disable-pip-version-check", "--quiet", "--dest", str(folder), package]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.strip().splitlines()
        raise ModelError(
            f"pip cannot download {package}: {lines[-1] if lines else 'no reason given'}; "
            "check the network, and that `python -m pip` works"
        )
    return wheels[0]
