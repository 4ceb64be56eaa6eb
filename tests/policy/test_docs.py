"""Pages of the documentation that are run."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_on_scikit_learn_runs() -> None:
    found = doctest.testfile(str(DOCS / "scikit-learn.md"), module_relative=False)
    assert found.attempted > 15
    assert found.failed == 0
