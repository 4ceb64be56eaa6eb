"""Recipes: defaults, TOML, overrides, and every way to be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrekit.errors import RecipeError
from genrekit.training import recipe as recipes


def test_a_file_holds_only_differences(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('name = "mine"\n[optimiser]\nlr = 0.5\n')
    recipe = recipes.load(path)
    assert (recipe.name, recipe.optimiser.lr) == ("mine", 0.5)
    assert recipe.schedule == recipes.Recipe().schedule


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[optimiser]\nlr = 0.5\n")
    overrides = ["optimiser.lr=1e-3", "model.backbone=cnn", "name=mine", "model.freeze=false"]
    recipe = recipes.load(path, overrides)
    assert (recipe.optimiser.lr, recipe.model.backbone, recipe.name) == (0.001, "cnn", "mine")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lr=1", r"unknown recipe key 'optimizer'; did you mean 'optimiser'"),
        ("model.picture=true", r"model.picture is a recipe key of genrekit 0.1; write model.image"),
        ("features.heard_seconds=3", r"genrekit 0.1; write features.first_seconds instead"),
        ("optimiser.learning_rate=1", r"unknown recipe key 'optimiser.learning_rate'"),
        ("schedule.epoch=3", r"did you mean 'schedule.epochs'"),
        ("features.n_mel=3", r"did you mean 'features.n_mels'"),
        ("schedule.epochs=many", r"schedule.epochs = 'many': Input should be a valid integer"),
        ("schedule.epochs=2.5", r"schedule.epochs = 2.5"),
        ('schedule.epochs="3"', r"schedule.epochs = '3'"),
        ("schedule.epochs=0", r"greater than 0"),
        ("model.freeze=1", r"valid boolean"),
        ("model.head=svm", r"'linear', 'mlp', 'fastai' or 'logistic'"),
        ("augmentation.mixup_alpha=nan", r"augmentation.mixup_alpha"),
        ("augmentation.noise_snr_db=[9, 3]", r"noise_snr_db = .9.0, 3.0.: give the lower number"),
        ("augmentation.low_pass_hz=[0, 3]", r"augmentation.low_pass_hz.0 = 0"),
        ("augmentation.noise_share=1.5", r"augmentation.noise_share = 1.5"),
        ("augmentation.time_masks=2", r"is frozen: .*altered_copies; give both or neither"),
        ("augmentation.random_crops=true", r"omit augmentation.random_crops"),
        ('data.validation="folds"', r"needs model.head = .logistic"),
        ("model.quantise=int8", r"model.quantise needs model.backbone"),
        ("model.l2=[1, -1]", r"model.l2.1 = -1"),
        ("features.n_mels=64", r"has its own front end"),
        ("teacher.unlabelled=there", r"needs teacher.model"),
        ("name=a/b", r"name = 'a/b'"),
        ("name.more=1", r"name"),
        ("schedule.epochs", r"write section.key=value"),
        ("name=2020-01-01", r"is not text, a number or a list"),
    ],
)
def test_what_is_wrong_is_named(override: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        recipes.load(None, [override])


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        recipes.load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(RecipeError, match="not valid TOML"):
        recipes.load(broken)
    broken.write_text('data = "songs"')
    with pytest.raises(RecipeError, match=r"data.source: data is a value, not a section"):
        recipes.load(broken, source="songs")


@pytest.mark.parametrize("backbone", ["cnn", "embedded:accurate"])
def test_the_resolved_recipe_reads_back(tmp_path: Path, backbone: str) -> None:
    overrides = [f"model.backbone={backbone}", 'description="a \\"b\\"\\n ü"', "unfit_for=['x']"]
    recipe = recipes.load(None, overrides)
    path = tmp_path / "resolved.toml"
    path.write_text(recipes.to_toml(recipe), encoding="utf-8")
    assert recipes.load(path) == recipe
