"""A real S3-compatible server on loopback in a process of its own; it prints its port."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)  # noqa: T201
    sys.stdin.read()  # until whoever started it ends or closes the pipe
    server.stop()
