"""What the library's tests share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import made_library
import pytest


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with made_library.opened(tmp_path / "library.sqlite3") as opened:
        yield opened
