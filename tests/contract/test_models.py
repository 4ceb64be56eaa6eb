"""Being registered is being tested: every model that this checkout or package holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrekit.models import install, readme, registry

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"


def embedded() -> list[Path]:
    folder = registry.embedded_folder()
    return sorted(path.parent for path in folder.glob(f"*/{registry.CARD}"))


@pytest.mark.parametrize("path", [GOLDEN, *embedded()], ids=lambda path: path.name)
def test_a_model_folder(path: Path) -> None:
    folder = registry.find(path)
    assert folder.card.name == path.name
    assert folder.card.license
    assert folder.card.unfit_for
    assert (path / "README.md").read_text(encoding="utf-8") == readme.write(folder.card)
    install.verify(folder)


@pytest.mark.parametrize("path", embedded(), ids=lambda path: path.name)
def test_an_embedded_model_says_what_it_reached(path: Path) -> None:
    card = registry.find(path).card
    assert card.metrics
    assert card.training_data is not None
    assert card.training_data.split_sha256
    for metrics in card.metrics:
        for interval in (metrics.accuracy, metrics.macro_recall, metrics.macro_f1):
            assert interval.low <= interval.value <= interval.high


def test_the_embedded_models_are_small() -> None:
    folder = registry.embedded_folder()
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert sum(sizes) <= 20_000_000
