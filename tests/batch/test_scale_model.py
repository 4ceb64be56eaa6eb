"""The simulation of large collections: known queues, and a page that says what it says."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("scale_model")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_workers_without_a_link_are_never_idle(model: Any) -> None:
    found = model.simulate(4, [0.25], n_files=4000)
    assert found.rate == pytest.approx(16.0)
    assert found.worker_share == pytest.approx(1.0)
    assert found.bottleneck == "cores"


def test_a_full_link_sets_the_rate(model: Any) -> None:
    found = model.simulate(100, [0.5], file_bytes=1e6, link_bits=8e7, n_files=2000)
    assert found.rate == pytest.approx(10.0, rel=0.01)
    assert found.link_share == pytest.approx(1.0, rel=0.01)
    assert found.bottleneck == "link"


def test_files_under_way_hide_the_wait_for_the_store_until_there_are_too_few(model: Any) -> None:
    hidden = model.simulate(1, [0.1], request_seconds=0.4, n_files=2000)
    assert hidden.rate == pytest.approx(10.0, rel=0.01)
    # N_AHEAD + 1 files come back every two seconds: by Little's law no more.
    late = model.simulate(1, [0.1], request_seconds=2.0, n_files=2000)
    assert late.rate == pytest.approx((model.N_AHEAD + 1) / 2.1, rel=0.2)


@pytest.mark.slow
def test_the_page_shows_what_the_simulation_says(model: Any) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    shown = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- end -->", page, re.DOTALL))
    assert shown == model.tables(model.read_times())
