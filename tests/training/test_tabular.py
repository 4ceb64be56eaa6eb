"""Tabular models: gradients, the scikit-learn interface, ONNX equal to the estimator, the leak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from genrekit.errors import DatasetError, ModelError, RecipeError
from genrekit.evaluation.result import EvaluationResult
from genrekit.features.handcrafted import COLUMNS
from genrekit.inference.aggregation import segment_probabilities
from genrekit.inference.classifier import Classifier
from genrekit.training import experiments, recipe
from genrekit.training.run import TrainingRun
from genrekit.training.tabular import estimators, from_scratch, to_onnx
from genrekit.training.tabular.from_scratch import (
    LogisticRegressionFromScratch,
    NeuralNetworkFromScratch,
)

QUICK = {"n_estimators": 10, "max_iter": 200}
N_ARTISTS = 8
SEGMENTS = 3


def few(name: str) -> dict[str, int]:
    return {k: v for k, v in QUICK.items() if k in estimators.parameters_of(name)}


def made_rows(n_labels: int, n_rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds on very different scales, rounded to float32 as features are."""
    rng = np.random.default_rng(n_labels)
    true = np.arange(n_rows) % n_labels
    rows = rng.normal(size=(n_rows, 6)) + 1.5 * rng.normal(size=(n_labels, 6))[true]
    return (rows * 10.0 ** np.arange(-3, 3) + 5).astype(np.float32), true


@pytest.mark.parametrize(
    "estimator", [LogisticRegressionFromScratch(max_iter=40), NeuralNetworkFromScratch(max_iter=40)]
)
def test_the_estimators_from_scratch_keep_to_scikit_learns_interface(estimator: object) -> None:
    outcomes = check_estimator(estimator, on_skip=None)
    assert sum(outcome["status"] == "passed" for outcome in outcomes) > 50


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_gradients_are_those_of_finite_differences(hidden: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    layers = from_scratch.first_weights((3, *hidden, 4), rng)
    rows, targets = rng.normal(size=(7, 3)), np.eye(4)[rng.integers(4, size=7)]
    loss, gradients = from_scratch.loss_and_gradients(layers, rows, targets, 0.1)
    assert loss > 0
    for layer, gradient in zip(layers, gradients, strict=True):
        for array, found in zip(layer, gradient, strict=True):
            for place in np.ndindex(array.shape):
                kept, losses = array[place], []
                for moved in (kept + 1e-5, kept - 1e-5):
                    array[place] = moved
                    losses.append(from_scratch.loss_and_gradients(layers, rows, targets, 0.1)[0])
                array[place] = kept
                assert found[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-7)


def test_logistic_regression_from_scratch_reaches_scikit_learns_optimum() -> None:
    rows, true = made_rows(3)
    scaled = (rows - rows.mean(0)) / rows.std(0)
    ours = LogisticRegressionFromScratch(
        l2=0.01, validation_fraction=0, batch_size=120, max_iter=2000, patience=50, random_state=0
    ).fit(scaled, true)
    theirs = LogisticRegression(C=1 / (0.01 * len(rows))).fit(scaled, true)
    np.testing.assert_allclose(ours.predict_proba(scaled), theirs.predict_proba(scaled), atol=2e-3)


def test_early_stopping_keeps_the_best_epoch_and_tells_the_curve() -> None:
    rng = np.random.default_rng(0)
    rows, true = rng.normal(size=(80, 20)), rng.integers(2, size=80)  # nothing to learn
    network = NeuralNetworkFromScratch(
        (32,), l2=0.0, validation_fraction=0.3, patience=5, random_state=0
    ).fit(rows, true)
    best = min(row.nll for row in network.curve_)
    assert network.n_iter_ == len(network.curve_) < 300
    assert [row.nll for row in network.curve_].index(best) == network.n_iter_ - 6
    held = np.random.RandomState(0).permutation(80)[:24]
    predicted = network.predict_proba(rows[held])[np.arange(24), true[held]]
    assert -np.log(predicted).mean() == pytest.approx(best)


def test_the_penalty_shrinks_the_weights() -> None:
    rows, true = made_rows(2)
    scaled = (rows - rows.mean(0)) / rows.std(0)
    norms = [
        np.abs(LogisticRegressionFromScratch(l2=l2, random_state=0).fit(scaled, true).layers_[0][0])
        for l2 in (0.0, 1.0)
    ]
    assert norms[1].sum() < norms[0].sum() / 2


@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize("name", sorted(estimators.MAKERS))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_onnx_gives_the_estimators_own_probabilities(name: str, n_labels: int) -> None:
    rows, true = made_rows(n_labels)
    fitted = estimators.fit(estimators.make(name, few(name), 0), rows[:60], true[:60])
    session = onnxruntime.InferenceSession(to_onnx.to_onnx(fitted, rows.shape[1], n_labels))
    (logits,) = session.run(None, {"features": rows[:, :, None]})
    assert np.isfinite(logits).all()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(
        segment_probabilities(logits), estimators.probabilities(fitted, rows), atol=1e-5
    )
    alone = [session.run(None, {"features": row[None, :, None]})[0][0] for row in rows[:5]]
    np.testing.assert_allclose(alone, logits[:5], atol=1e-5)


def test_a_kernel_without_conversion_is_named() -> None:
    rows, true = made_rows(2)
    fitted = estimators.fit(estimators.make("svm", {"kernel": "linear"}, 0), rows, true)
    with pytest.raises(ModelError, match="kernel 'linear' has no conversion"):
        to_onnx.to_onnx(fitted, 6, 2)


def test_neighbours_and_vectors_answer_as_scikit_learns_do() -> None:
    rows, true = made_rows(4)
    scaled = (rows - rows.mean(0)) / rows.std(0)
    known, others, labels = scaled[:60], scaled[60:], true[:60]
    ours = estimators.NearestNeighbours().fit(known, labels)
    theirs = KNeighborsClassifier().fit(known, labels)
    np.testing.assert_array_equal(ours.predict_proba(others), theirs.predict_proba(others))
    np.testing.assert_array_equal(ours.predict(others), theirs.predict(others))
    vectors = estimators.SupportVectorMachine().fit(known, labels)
    plain = SVC(break_ties=True).fit(known, labels)
    np.testing.assert_array_equal(
        vectors.predict_proba(others).argmax(axis=1), plain.predict(others)
    )


def test_repeated_rows_tie_in_both_runtimes() -> None:
    rng = np.random.default_rng(3)
    rows = np.repeat(rng.normal(size=(40, 57)).astype(np.float32), 3, axis=0)
    fitted = estimators.fit(estimators.make("knn", {}, 0), rows, np.arange(120) % 4)
    session = onnxruntime.InferenceSession(to_onnx.to_onnx(fitted, 57, 4))
    (logits,) = session.run(None, {"features": rows[:, :, None]})
    np.testing.assert_allclose(
        segment_probabilities(logits), estimators.probabilities(fitted, rows), atol=1e-5
    )


def test_of_neighbours_at_one_distance_the_first_counts() -> None:
    known = np.array([[1.0], [1.0], [1.0], [9.0]])
    voters = estimators.NearestNeighbours(n_neighbors=1).fit(known, [2, 0, 1, 0])
    assert voters.predict_proba(np.array([[1.0]])).tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("forest", {}, "unknown tabular model 'forest'; did you mean 'random-forest'"),
        ("svm", {"c": 1}, "unknown key of model.parameters for svm 'c'"),
        ("svm", {"C": -1.0}, "model.parameters: The 'C' parameter"),
    ],
)
def test_estimators_that_cannot_be_made_say_why(
    name: str, parameters: dict[str, float], message: str
) -> None:
    rows, true = made_rows(2)
    with pytest.raises(RecipeError, match=message):
        estimators.fit(estimators.make(name, parameters, 0), rows, true)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.backbone=tabular:svm"], "'handcrafted' need each other"),
        (["model.backbone=cnn", "features.kind=handcrafted"], "'handcrafted' need each other"),
        (["optimiser.lr=1.0"], "does not use optimiser"),
        (["model.dropout=0.1"], "does not use model.dropout"),
        (["model.parameters.C={a=1}"], r"model\.parameters\.C"),
        (["claim.folds=1"], "one fold holds nothing out"),
        (["claim.method=much"], "a claim needs its source"),
    ],
)
def test_impossible_recipes_are_refused(overrides: list[str], message: str) -> None:
    fixed = ["model.backbone=tabular:svm", "features.kind=handcrafted"]
    alone = overrides[0].startswith("model.backbone")
    with pytest.raises(RecipeError, match=message):
        recipe.load(None, overrides if alone else [*fixed, *overrides])


def test_parameters_of_a_network_are_refused() -> None:
    with pytest.raises(RecipeError, match="are for tabular models"):
        recipe.load(None, ["model.backbone=cnn", "model.head=linear", "model.parameters.C=1"])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows a track; a track is known by its first columns, its genre by nothing at all."""
    rng = np.random.default_rng(0)
    lines = [",".join(["filename", "length", *COLUMNS, "label"])]
    for track in range(80):
        genre = ("calm", "wild")[track % 2]
        own = rng.normal(size=len(COLUMNS))
        for segment in range(SEGMENTS):
            cells = [f"{x:.5f}" for x in own + 0.1 * rng.normal(size=len(COLUMNS))]
            lines.append(",".join([f"t{track}.{segment}.wav", "66150", *cells, genre]))
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def settings(table: Path, *overrides: str, name: str = "knn") -> recipe.Recipe:
    fixed = [
        f"model.backbone=tabular:{name}",
        "features.kind=handcrafted",
        "model.parameters.n_neighbors=1",
    ]
    return recipe.load(None, [*fixed, *overrides], str(table))


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., EvaluationResult]:
    def run(its: recipe.Recipe, kind: str, n_folds: int | None = None) -> EvaluationResult:
        return experiments.evaluate(its, kind, tmp_path / kind, lambda line: None, n_folds=n_folds)

    return run


def test_the_leak_between_rows_of_a_track_shows_and_is_called_leaky(
    table: Path, evaluate: Callable[..., EvaluationResult]
) -> None:
    its = settings(table, "data.validation=none")
    leaky, honest = evaluate(its, "segment"), evaluate(its, "track", 4)
    assert "LEAKY" in leaky.split_title
    assert leaky.levels["segment"].accuracy.value > 0.9
    low, high = (getattr(honest.levels["segment"].accuracy, end) for end in ("low", "high"))
    assert low < 0.5 < high
    assert honest.levels["segment"].n_items == 80 * SEGMENTS
    assert honest.levels["majority_vote"].n_items == 80


def test_rows_that_leaky_folds_held_out_vote_together(
    table: Path, evaluate: Callable[..., EvaluationResult]
) -> None:
    leaky = evaluate(settings(table, "data.validation=none"), "segment", 4)
    assert leaky.levels["segment"].n_items == 80 * SEGMENTS
    assert leaky.levels["majority_vote"].n_items == leaky.n_tracks == len(leaky.tracks) == 80


@pytest.mark.parametrize("validation", ["given", "folds", "none"])
def test_a_run_ends_in_a_model_that_reads_the_table_again(
    table: Path, tmp_path: Path, validation: str
) -> None:
    its = settings(table, f"data.validation={validation}", "data.split=track")
    folder = TrainingRun(its, tmp_path / "run", lambda line: None).train()
    data, calibration = folder.card.training_data, folder.card.calibration
    assert data is not None
    assert data.n_tracks == (
        {"train": 56, "validation": 8} if validation == "given" else {"train": 64, "validation": 0}
    )
    described = {"given": "8 validation", "folds": "64 training and validation", "none": ""}
    assert calibration.fitted_on.startswith(described[validation])
    assert bool(calibration.fitted_on) == (validation != "none")
    assert folder.card.segments.kind == "handcrafted"
    assert folder.card.segments.segment_seconds == 3.0
    rows = np.zeros((2, len(COLUMNS), 1), np.float32)
    prediction = Classifier(folder.path).predict_features(rows)
    assert [s.start_seconds for s in prediction.segments] == [0.0, 3.0]
    assert prediction.duration_seconds == 6.0


def test_a_network_and_another_length_refuse_the_table(table: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has hand-crafted features and no audio"):
        TrainingRun(recipe.load(None, [], str(table)), tmp_path / "run", lambda line: None).train()
    assert not (tmp_path / "run").exists()


def test_genres_are_chosen_by_the_recipe(table: Path, tmp_path: Path) -> None:
    its = settings(table, 'data.genres=["calm", "loud"]')
    with pytest.raises(DatasetError, match="'loud'"):
        TrainingRun(its, tmp_path / "run", lambda line: None).train()


def test_what_is_learnt_from_scratch_leaves_its_curve(table: Path, tmp_path: Path) -> None:
    fixed = ["model.backbone=tabular:nn-scratch", "features.kind=handcrafted"]
    its = recipe.load(
        None, [*fixed, "model.parameters.max_iter=3", "data.validation=none"], str(table)
    )
    TrainingRun(its, tmp_path / "run", lambda line: None).train()
    lines = (tmp_path / "run/metrics.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "epoch,train_loss,nll,accuracy"
    assert len(lines) == 4
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")
