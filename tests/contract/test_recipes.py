"""Every recipe resolves, reads back, and runs for a few steps on made audio."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrekit import Classifier
from genrekit.cli.main import build
from genrekit.models import registry
from genrekit.training import recipe as recipes

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.rglob("*.toml"))
# One reproduction of each kind runs by default; the others differ from one of these in numbers or
# in the network's size only, and run under `make full`.
ONE_OF_EACH_KIND = {
    "s0-nn-scratch",  # an estimator that is trained in epochs and has a learning curve
    "table-svm-3s",  # any other estimator on rows of segments
    "s1-cnn-images",  # the published images as input
    "s3-resnet18",  # a whole network of timm on the first seconds of a track
    "stand-in-frozen",  # a frozen network of timm and a new head
}


def parameters() -> Iterator[object]:
    for path in RECIPES:
        by_default = path.parent == FOLDER or path.stem in ONE_OF_EACH_KIND
        yield pytest.param(path, id=path.stem, marks=() if by_default else pytest.mark.full)


def test_a_user_finds_few_recipes_and_the_reproductions_apart() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {"accurate", "cnn", "fast", "smoke"}
    reproductions = {path.stem for path in (FOLDER / "reproductions").glob("*.toml")}
    assert reproductions > ONE_OF_EACH_KIND


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_called_after_its_file_and_reads_back(path: Path, tmp_path: Path) -> None:
    recipe = recipes.load(path)
    assert recipe.name == path.stem
    assert recipe.description
    assert recipe.claim.is_made == (path.parent.name == "reproductions")
    assert path.read_text().startswith("# ")
    resolved = tmp_path / "resolved.toml"
    resolved.write_text(recipes.to_toml(recipe), encoding="utf-8")
    assert recipes.load(resolved) == recipe


@pytest.fixture
def untraced() -> Iterator[None]:
    """Leave the test out of the coverage: counting slows torch's exporter by a third."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("path", list(parameters()))
def test_a_recipe_runs_with_smoke_and_its_model_predicts(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(build(), ["train", str(path), "--smoke", "--output", str(out)])
    assert done.exit_code == 0, done.output
    prediction = Classifier(out / "model").predict_file(out / "smoke-data" / "low" / "0.wav")
    assert set(prediction.probabilities) == {"high", "low"}
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    card = registry.read(out / "model").card
    assert len(card.views[0].feature_means) == card.segments.n_bins
