"""Folds, grids and claims on a made feature table, by the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from genrekit.cli.main import build
from genrekit.errors import RecipeError
from genrekit.features.handcrafted import COLUMNS
from genrekit.reproduction import results, runner
from genrekit.training import grid, recipe
from genrekit.training.data import prepare

N_TRACKS = 40
RECIPE = """# Made for tests.
name = "{name}"
description = "Neighbours."

[claim]
source = "Somebody"
method = "Neighbours of rows."
split = "segment"
level = "segment"
accuracy = 99.0
artist_folds = 2
data = ["absent.csv", "table.csv"]

[data]
validation = "none"

[features]
kind = "handcrafted"

[model]
backbone = "tabular:knn"

[model.parameters]
n_neighbors = 1
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table in which a track is known by its columns, its genre a little."""
    rng = np.random.default_rng(0)
    lines = [",".join(["filename", "length", *COLUMNS, "label"])]
    for track in range(N_TRACKS):
        own = rng.normal(size=len(COLUMNS)) + 0.2 * (track % 2)
        for segment in range(3):
            cells = [f"{x:.5f}" for x in own + 0.1 * rng.normal(size=len(COLUMNS))]
            genre = ("calm", "wild")[track % 2]
            lines.append(",".join([f"t{track}.{segment}.wav", "66150", *cells, genre]))
    folder = tmp_path_factory.mktemp("data")
    (folder / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    """A folder of two recipes with a claim, one of which lacks its data, and one without."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "near.toml").write_text(RECIPE.format(name="near"))
    far = RECIPE.format(name="far").replace(', "table.csv"', "")
    (folder / "far.toml").write_text(far)
    (folder / "plain.toml").write_text('name = "plain"\n')
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), [str(argument) for argument in arguments])


def reproduced(data: Path, claims: Path, tmp_path: Path, *names: str) -> Result:
    options = ["--recipes", claims, "--data", data, "--output", tmp_path / "results"]
    places = ["--page", tmp_path / "results.md", "--runs", tmp_path / "runs"]
    return run("reproduce", *names, *options, *places)


def test_a_claim_is_measured_as_its_source_did_and_honestly(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    done = reproduced(data, claims, tmp_path, "near")
    assert done.exit_code == 0, done.output
    kept = results.load(tmp_path / "results")["near"]
    assert list(kept.measurements) == ["source", "track"]  # the table names no artists
    leaky, honest = kept.measurements.values()
    assert leaky.is_leaky
    assert not honest.is_leaky
    assert leaky.levels["segment"].accuracy.value > 0.95
    assert honest.levels["segment"].accuracy.value < 0.85
    assert honest.n_tracks == N_TRACKS
    assert kept.data == f"table.csv, {N_TRACKS} tracks"
    assert str(tmp_path) not in kept.model_dump_json()
    assert kept.seconds > 0


def test_what_was_measured_is_kept_and_the_page_is_made_of_it(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    assert reproduced(data, claims, tmp_path, "all").exit_code == 0
    path = tmp_path / "results/near.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["measurements"]["source"]["levels"]["segment"]["accuracy"]["value"] = 0.123
    path.write_text(json.dumps(content), encoding="utf-8")
    again = reproduced(data, claims, tmp_path, "all")
    assert "near: source is there" in again.output
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert re.search(r"\| `near` \| Somebody \| 99 \| 12\.3 \[.*\] LEAKY \|", page)
    prose = " ".join(page.split())
    assert "Its protocol is LEAKY: segments of one track are in both training and test." in prose
    assert "| `far` | Somebody | 99 | not measured |" in page
    assert "Not measured with this recipe yet; it needs absent.csv." in page
    assert "`near` reaches 12.3 % where 99 % is claimed" in prose
    assert "| `genrekit reproduce far --data DATA` | absent.csv | - | - | - |" in page
    assert (tmp_path / "pictures/results.png").read_bytes().startswith(b"\x89PNG")
    row = next(line for line in page.splitlines() if line.startswith("| `near`"))
    assert row.endswith("| - | - | - | - |")  # no artists are known


def test_another_recipe_is_measured_anew(data: Path, claims: Path, tmp_path: Path) -> None:
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    changed = (claims / "near.toml").read_text().replace("n_neighbors = 1", "n_neighbors = 3")
    (claims / "near.toml").write_text(changed)
    done = reproduced(data, claims, tmp_path, "near")
    assert done.exit_code == 0
    assert "is there" not in done.output
    kept = results.load(tmp_path / "results")["near"]
    assert kept.recipe["model"]["parameters"] == {"n_neighbors": 3}


def test_a_second_seed_is_added_to_the_first(data: Path, claims: Path, tmp_path: Path) -> None:
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    two = (claims / "near.toml").read_text().replace("artist_folds", "seeds = 2\nartist_folds")
    (claims / "near.toml").write_text(two)
    done = reproduced(data, claims, tmp_path, "near")
    assert done.exit_code == 0, done.output
    assert "near: source is there" in done.output
    kept = results.load(tmp_path / "results")["near"]
    assert list(kept.measurements) == ["source", "track", "source, seed 1", "track, seed 1"]
    first, second = kept.seeds("source")
    assert first.split_sha256 != second.split_sha256


def test_a_recipe_that_validates_on_the_test_tracks_is_leaky(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    chosen = (
        (claims / "near.toml").read_text().replace('validation = "none"', 'validation = "test"')
    )
    chosen = chosen.replace('split = "segment"', 'split = "track"')
    (claims / "near.toml").write_text(chosen)
    done = reproduced(data, claims, tmp_path, "near")
    assert done.exit_code == 0, done.output
    kept = results.load(tmp_path / "results")["near"].measurements
    assert [(key, its.is_leaky) for key, its in kept.items()] == [("source", True)]


def stand_in(claims: Path, name: str, role: str, change: tuple[str, str] = ("", "")) -> None:
    text = (claims / "near.toml").read_text().replace('"near"', f'"{name}"').replace(*change)
    (claims / f"{name}.toml").write_text(
        text.replace('source = "Somebody"', f'source = "Somebody"\nrole = "{role}"\nof = ["far"]')
    )


def test_a_stand_in_stands_right_below_its_row_and_never_replaces_it(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    stand_in(claims, "beside", "stand-in", ("n_neighbors = 1", "n_neighbors = 3"))
    stand_in(claims, "lucky", "leaky", ('validation = "none"', 'validation = "test"'))
    assert reproduced(data, claims, tmp_path, "beside", "lucky").exit_code == 0
    lines = (tmp_path / "results.md").read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("| `far`"))
    assert "| not measured |" in lines[at]
    assert lines[at + 1].startswith("| stand-in: `beside` | Somebody | - | 100")
    assert lines[at + 2].startswith("| LEAKY: `lucky` | Somebody | - |")
    assert "A stand-in for `far`." in lines
    assert "for 1 of them a stand-in was, which shows" in " ".join(" ".join(lines).split())


def test_a_row_that_lacks_something_says_what_to_get_and_what_runs_meanwhile(
    data: Path, claims: Path
) -> None:
    stand_in(claims, "beside", "stand-in")
    found = runner.claims(claims, data)
    with pytest.raises(RecipeError) as refused:
        runner.choose(found, ["far"])
    assert str(refused.value) == (
        f"far cannot run here: absent.csv not found in {data}; meanwhile measure what stands for "
        "it: beside"
    )
    text = (claims / "near.toml").read_text().replace("artist_folds", "n_genres = 3\nartist_folds")
    (claims / "near.toml").write_text(text)
    assert runner.claims(claims, data)["near"].missing == (
        f"{data / 'table.csv'} holds 2 of the source's 3 genres (calm, wild); get the others, or "
        "train its recipe on these by genrekit train"
    )


def test_data_that_are_not_there_are_named_in_a_sentence(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    found = {folder: runner.claims(claims, folder) for folder in (data, tmp_path, data / "absent")}
    near = {folder: its["near"].missing for folder, its in found.items()}
    assert near == {
        data: "",
        tmp_path: f"neither absent.csv nor table.csv found in {tmp_path}",
        data / "absent": f"there is no folder {data / 'absent'}",
    }


@pytest.mark.parametrize("role", ['role = "stand-in"', 'of = ["near"]'])
def test_a_stand_in_without_its_row_is_refused(data: Path, claims: Path, role: str) -> None:
    text = (claims / "near.toml").read_text()
    (claims / "near.toml").write_text(text.replace("[claim]", f"[claim]\n{role}"))
    with pytest.raises(RecipeError, match="names the rows that it belongs to"):
        runner.claims(claims, data)


def test_the_number_of_another_recipe_does_not_stand_under_this_name(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    smaller = tmp_path / "results/smoke-size"
    smaller.mkdir()
    (smaller / "near.json").write_bytes((tmp_path / "results/near.json").read_bytes())
    changed = (claims / "near.toml").read_text().replace("n_neighbors = 1", "n_neighbors = 3")
    (claims / "near.toml").write_text(changed)
    stand_in(claims, "beside", "stand-in")
    assert reproduced(data, claims, tmp_path, "beside").exit_code == 0
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| `near` | Somebody | 99 | not measured with this recipe yet |" in page
    assert "**Smoke-size measurement, not this recipe's**" in page


def test_learning_curves_are_drawn_and_one_that_stopped_early_is_marked(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    kept = results.load(tmp_path / "results")["near"]
    curve = results.Curve(train_loss=(2.0, 1.0), nll=(2.0, 1.0), accuracy=(0.5, 0.6))
    training = results.Training(
        n_networks=1, n_epochs=2, seconds=4.0, waiting_share=0.01, curves=(curve,)
    )
    source = kept.measurements["source"].model_copy(update={"training": training})
    found = {**kept.measurements, "source": source}
    results.save(kept.model_copy(update={"measurements": found}), tmp_path / "results")
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "LEAKY (loss still falling) |" in page
    assert "![Learning curves of near](pictures/curves/near.png)" in page
    assert (tmp_path / "pictures/curves/near.png").read_bytes().startswith(b"\x89PNG")


def test_the_list_says_what_is_missing(data: Path, claims: Path) -> None:
    done = run("reproduce", "--list", "--json", "--recipes", claims, "--data", data)
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"near", "far"}
    assert rows["near"]["can_run"]
    assert rows["near"]["needs"] == "absent.csv or table.csv"
    assert not rows["far"]["can_run"]
    assert rows["far"]["missing"] == f"absent.csv not found in {data}"


def test_the_list_breaks_no_name_and_asks_for_the_data_once(
    data: Path, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "a-name-of-many-letters-that-is-longer-than-a-column-should-be"
    (claims / "long.toml").write_text(RECIPE.format(name=name))
    listed = run("reproduce", "--list", "--recipes", claims)
    assert len([line for line in listed.stdout.splitlines() if line.strip()]) == 4  # one a claim
    assert listed.output.count("--data") == 1
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("reproduce", "--list", "--recipes", claims, "--data", data)
    assert name in narrow.stdout
    assert f"not found in {data}" in " ".join(narrow.stdout.split()) or "absent" in narrow.stdout


def network(claims: Path, weights: str) -> Path:
    path = claims / "net.toml"
    tabular = '[data]\nvalidation = "none"\n\n[features]\nkind = "handcrafted"\n'
    text = RECIPE.format(name="net").replace(tabular, "").split("[model.parameters]")[0]
    path.write_text(text.replace('"tabular:knn"', f'"resnet18"\nweights = "{weights}"'))
    return path


def test_weights_that_are_fetched_and_weights_that_are_not_there_are_named(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    network(claims, "imagenet")
    fetched = runner.claims(claims, data)["net"]
    assert (fetched.can_run, fetched.fetches) == (True, runner.FETCHED["imagenet"])
    listed = run("reproduce", "--list", "--recipes", claims, "--data", data).stdout
    assert "with a network" in next(line for line in listed.splitlines() if "net " in line)
    network(claims, "some.pth")
    assert runner.claims(claims, data)["net"].missing == (
        "the weights some.pth are not there; give their folder: --weights"
    )
    (tmp_path / "some.pth").write_bytes(b"")
    there = runner.claims(claims, data, tmp_path)["net"]
    assert there.can_run
    assert there.recipe.model.weights == str(tmp_path / "some.pth")
    assert there.needs.endswith("the weights some.pth")


def test_one_that_fails_leaves_the_others_and_is_named_at_the_end(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    wrong = (claims / "near.toml").read_text().replace('"near"', '"awry"')
    (claims / "awry.toml").write_text(wrong.replace("n_neighbors = 1", "n_neighbors = 100"))
    done = reproduced(data, claims, tmp_path, "all")
    assert done.exit_code == 1
    assert list(results.load(tmp_path / "results")) == ["near"]
    assert "1 could not be measured:\nawry: " in done.output


def test_another_aggregation_of_the_same_models_trains_nothing(
    data: Path, claims: Path, tmp_path: Path
) -> None:
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    voting = (claims / "near.toml").read_text().replace('"near"', '"voting"')
    voting = voting.replace("[claim]", 'aggregation = "majority_vote"\n\n[claim]')
    voting = voting.replace('level = "segment"', 'level = "majority_vote"')
    (claims / "voting.toml").write_text(voting)
    done = reproduced(data, claims, tmp_path, "voting")
    assert done.exit_code == 0, done.output
    assert "exporting" not in done.output
    kept = results.load(tmp_path / "results")
    assert kept["voting"].trained_by == "near"
    assert kept["voting"].measurements == kept["near"].measurements
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "The models are those of `near`, joined another way." in page
    assert list((tmp_path / "runs").iterdir()) == list((tmp_path / "runs").glob("near-*"))


def test_the_leaky_split_can_be_measured_besides(data: Path, claims: Path, tmp_path: Path) -> None:
    near = (claims / "near.toml").read_text()
    besides = near.replace('split = "segment"', 'split = "track"\nleaky_too = true')
    (claims / "near.toml").write_text(besides)
    assert reproduced(data, claims, tmp_path, "near").exit_code == 0
    kept = results.load(tmp_path / "results")["near"].measurements
    assert [(key, its.is_leaky) for key, its in kept.items()] == [
        ("source", False),
        ("segment", True),
    ]
    (claims / "near.toml").write_text(near.replace('"segment"', '"segment"\nleaky_too = true', 1))
    with pytest.raises(RecipeError, match="is LEAKY already"):
        runner.claims(claims, data)


def test_epochs_are_summed_up_with_the_share_of_waiting(tmp_path: Path) -> None:
    head = "epoch,train_loss,nll,accuracy,seconds,waiting_share\n"
    log = f"{head}1,2.1,2.2,0.1,10,0.1\n2,1.9,2.0,0.2,30,0.3\n"
    logs = {"a": log, "b": "epoch,loss\n1,2\n"}
    for name, log in logs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(log)
    assert results.training(tmp_path / "none") is None
    curve = results.Curve(train_loss=(2.1, 1.9), nll=(2.2, 2.0), accuracy=(0.1, 0.2))
    assert results.training(tmp_path) == results.Training(
        n_networks=1, n_epochs=2, seconds=40.0, waiting_share=0.25, curves=(curve,)
    )


@pytest.mark.parametrize(
    ("nll", "falls"),
    [
        ((2.0, 1.5), True),  # too short to know
        ((2.0, 1.0, 1.0, 1.1, 1.2), False),
        ((2.0, 1.0, 0.999, 0.995, 1.2), False),  # by less than a hundredth
        ((2.0, 1.0, 1.0, 1.1, 0.98), True),
    ],
)
def test_a_validation_loss_that_still_fell_is_marked(nll: tuple[float, ...], falls: bool) -> None:
    curve = results.Curve(train_loss=nll, nll=nll, accuracy=nll)
    assert curve.still_falls == falls


@pytest.mark.parametrize(
    ("names", "message"),
    [(["nearr"], "did you mean 'near'"), (["far"], "far cannot run here: absent.csv not found")],
)
def test_what_cannot_be_reproduced_says_why(
    data: Path, claims: Path, names: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        runner.choose(runner.claims(claims, data), names)


def test_a_folder_without_claims_and_a_damaged_result_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no recipe with a claim"):
        runner.claims(tmp_path, None)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RecipeError, match="is no result of this version"):
        results.load(tmp_path)


def fixed(data: Path) -> recipe.Recipe:
    keys = ["model.backbone=tabular:knn", "features.kind=handcrafted", "data.validation=none"]
    return recipe.load(None, keys, str(data / "table.csv"))


def test_a_grid_is_searched_without_the_test_tracks(data: Path, tmp_path: Path) -> None:
    its = fixed(data)
    tried = grid.search(
        its, {"model.parameters.n_neighbors": [1, 28]}, 3, tmp_path, lambda line: None
    )
    accuracies = [one.scores.accuracy.value for one in tried]
    assert accuracies == sorted(accuracies, reverse=True)
    lines = [
        line
        for path in tmp_path.rglob("split.tsv")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    test = set(prepare(its).split.test)
    assert test
    assert not test & {line.split("\t")[0] for line in lines}
    content = json.loads((tmp_path / "grid.json").read_text(encoding="utf-8"))
    assert content["folds"] == "track, 3 folds"
    assert [row["model.parameters.n_neighbors"] for row in content["tried"]] == [
        one.values["model.parameters.n_neighbors"] for one in tried
    ]


def test_the_best_of_a_grid_is_trained(data: Path, tmp_path: Path) -> None:
    options = ["model.backbone=tabular:knn", "features.kind=handcrafted", "data.validation=none"]
    where = ["--data", data / "table.csv", "--output", tmp_path / "run"]
    done = run(
        "train", *options, *where, "--grid", "model.parameters.n_neighbors=1,9", "--folds", 2
    )
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "run/grid.json").read_text(encoding="utf-8"))
    best = content["tried"][0]["model.parameters.n_neighbors"]
    trained = recipe.load(tmp_path / "run/recipe.toml")
    assert trained.model.parameters == {"n_neighbors": best}
    assert (tmp_path / "run/model/model.onnx").is_file()


def test_folds_are_measured_and_written(data: Path, tmp_path: Path) -> None:
    options = ["model.backbone=tabular:knn", "features.kind=handcrafted", "data.validation=none"]
    where = ["--data", data / "table.csv", "--output", tmp_path / "run"]
    done = run("train", *options, *where, "--folds", 2, "--split", "track", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["split"] == "track, 2 folds"
    assert (result["n_tracks"], len(result["runs"])) == (N_TRACKS, 2)
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == result


def test_values_of_a_grid_are_read_as_toml_or_as_words() -> None:
    assert grid.parse(["a.b=1,2.5", "c=scale,0.1", "d=[1, 2],[3]"]) == {
        "a.b": [1, 2.5],
        "c": ["scale", 0.1],
        "d": [[1, 2], [3]],
    }


@pytest.mark.parametrize("texts", [["a"], ["a="], ["=1"], ["a=1", "a=2"]])
def test_a_grid_of_another_form_is_refused(texts: list[str]) -> None:
    with pytest.raises(RecipeError, match=r"write section\.key=a,b,c"):
        grid.parse(texts)


def test_only_the_chosen_genres_are_trained(data: Path) -> None:
    options = ["model.backbone=tabular:knn", "features.kind=handcrafted"]
    where = ["--data", data / "table.csv", "--dry-run", "--genres"]
    assert (
        'genres = [\n    "calm",\n    "wild",\n]'
        in run("train", *options, *where, "calm, wild").stdout
    )
    refused = run("train", *options, *where, "calm,wilt")
    assert refused.exit_code == 1
    assert "'wilt'; did you mean 'wild'" in refused.output
