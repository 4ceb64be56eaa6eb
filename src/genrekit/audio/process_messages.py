"""Messages between this process and its decoder process: JSON, followed by an array.

Nothing is unpickled, so that a decoder compromised by a malicious file can return only data.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import numpy as np

_LENGTH = struct.Struct("<Q")
# What a message may be called whose payload is an array, float32, as it lies in memory.
ARRAY = "array"


def send(stream: IO[bytes], name: str, payload: Any, *rest: Any) -> None:
    """Write a message.

    Args:
        stream: where to.
        name: what it is; ARRAY where the payload is an array.
        payload: what JSON can hold, or an array of float32.
        rest: more that JSON can hold.

    Raises:
        OSError: the other side is gone.
    """
    is_array = name == ARRAY
    header = (name, payload.shape if is_array else payload, *rest)
    data = json.dumps(header, default=str).encode()
    stream.write(_LENGTH.pack(len(data)) + data)
    if is_array:
        stream.write(np.ascontiguousarray(payload, np.float32).data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a message: [name, payload, ...]; tuples have become lists.

    Raises:
        EOFError: the other side is gone.
    """
    data = bytearray(_LENGTH.unpack(_exactly(stream, _LENGTH.size))[0])
    _fill(stream, memoryview(data))
    name, payload, *rest = json.loads(data)
    if name == ARRAY:
        array = np.empty(payload, np.float32)
        _fill(stream, array.reshape(-1).view(np.uint8).data)
        payload = array
    return name, payload, *rest


def _exactly(stream: IO[bytes], n_bytes: int) -> bytearray:
    data = bytearray(n_bytes)
    _fill(stream, memoryview(data))
    return data


def _fill(stream: Any, view: memoryview) -> None:
    while view:
        n_read = stream.readinto(view)
        if not n_read:
            raise EOFError
        view = view[n_read:]
