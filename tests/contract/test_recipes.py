"""Every recipe resolves, reads back, and runs for a few steps on made audio."""

from __future__ import annotations

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
# One recipe of each kind runs by default, with a small network of timm in place of a large one. The
# others differ from one of these in numbers or in the network only, and run under `make full`.
ONE_OF_EACH_KIND = {
    "smoke": [],  # a head on a model's embedding
    "cnn": [],  # a network of our own
    "fast": [],  # a logistic head on frozen musicnn; but for its int8 layers this is "accurate"
    "s0-nn-scratch": [],  # an estimator that is trained in epochs and has a learning curve
    "table-svm-3s": [],  # any other estimator on rows of segments
    "s1-cnn-images": [],  # the published images as input
    "s3-resnet18": ["model.backbone=test_resnet"],  # a whole network of timm, the first seconds
    "s0-lite0": ["model.backbone=test_resnet", "features.segment_seconds=3.0"],  # frozen, a head
}


def parameters() -> Iterator[object]:
    for name, options in ONE_OF_EACH_KIND.items():
        yield pytest.param(next(path for path in RECIPES if path.stem == name), options, id=name)
    for path in RECIPES:
        is_tried = ONE_OF_EACH_KIND.get(path.stem) == []
        if not is_tried:
            yield pytest.param(path, [], id=f"{path.stem}-as-it-is", marks=pytest.mark.full)


def test_a_user_finds_few_recipes_and_the_reproductions_apart() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {"accurate", "cnn", "fast", "smoke"}
    reproductions = {path.stem for path in (FOLDER / "reproductions").glob("*.toml")}
    assert len(reproductions) > 20


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


@pytest.mark.parametrize(("path", "options"), list(parameters()))
def test_a_recipe_runs_with_smoke_and_its_model_predicts(
    path: Path, options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", str(path), *options, "--smoke", "--output", str(out)]
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 0, done.output
    prediction = Classifier(out / "model").predict_file(out / "smoke-data" / "low" / "0.wav")
    assert set(prediction.probabilities) == {"high", "low"}
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    card = registry.read(out / "model").card
    assert len(card.views[0].feature_means) == card.segments.n_bins
