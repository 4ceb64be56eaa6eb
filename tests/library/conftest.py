"""What tests of a library's tables share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import made_library
import pytest

from genrekit.library import database


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A library with a model that has scanned nothing yet."""
    with database.opened(tmp_path / "library.sqlite3") as opened:
        made_library.add_model(opened)
        yield opened
