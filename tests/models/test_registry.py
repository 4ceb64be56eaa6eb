"""Model folders found, refused, installed and exported."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genrekit.errors import ModelError
from genrekit.models import install, readme, registry
from genrekit.models.card import ModelCard
from genrekit.models.runtime import BATCH_SIZE, EMBEDDING, INPUT, LOGITS, Network

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user's folder; nothing else is on the search path but what is embedded."""
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("GENREKIT_MODELS", raising=False)
    return registry.user_folder()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def edit_card(model: Path, **changes: object) -> None:
    """Change a card as a text editor would: its seal stays as it was."""
    card = json.loads((model / "card.json").read_text(encoding="utf-8"))
    (model / "card.json").write_text(json.dumps(card | changes), encoding="utf-8")


def rewrite_card(model: Path, **changes: object) -> None:
    """Change a card as genrekit does: with a new seal."""
    old = json.loads((TINY / "card.json").read_text(encoding="utf-8"))
    del old["seal"]
    registry.write_card(model, ModelCard.model_validate(old | changes))


def test_a_path_and_a_name_find_the_same(
    user_folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.find(model).card.name == "tiny"
    assert "tiny" not in registry.names()
    monkeypatch.setenv("GENREKIT_MODELS", str(model))
    assert registry.find("tiny").path == model
    monkeypatch.setenv("GENREKIT_MODELS", str(model.parent))
    assert registry.find("tiny").path == model


def test_an_unknown_name_gives_the_nearest(
    user_folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENREKIT_MODELS", str(model))
    with pytest.raises(ModelError, match="unknown model 'tinny'; did you mean 'tiny'"):
        registry.find("tinny")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a folder"):
        registry.find(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_a_half_copied_folder(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}; it was copied only in part"):
        registry.find(model)


def test_a_truncated_network(model: Path) -> None:
    network = model / "model.onnx"
    network.write_bytes(network.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"has sha256 .* edited or copied only in part"):
        registry.find(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unheard_of": 1}, "unheard_of: Extra inputs"),
        ({"labels": ["rock"] * 10}, "labels must differ"),
        ({"labels": ["rock"]}, "labels"),
        ({"calibration": {"bias": [1.0]}}, "calibration.bias has 1 numbers; there are 10"),
        ({"name": "../escape"}, "name: String should match"),
    ],
)
def test_an_edited_card(model: Path, changes: dict[str, object], message: str) -> None:
    edit_card(model, **changes)
    with pytest.raises(ModelError, match=f"not a valid model card: .*{message}"):
        registry.find(model)


@pytest.mark.parametrize(("version", "writer"), [(1, "genrekit 0.1"), (3, "another version")])
def test_a_card_of_another_format_says_who_wrote_it(model: Path, version: int, writer: str) -> None:
    edit_card(model, format_version=version)
    message = f"format_version is {version}, written by {writer}.*; expected 2: train the model"
    with pytest.raises(ModelError, match=message):
        registry.find(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description": "the best"}, "its seal does not match"),
        ({"calibration": {"temperature": 2.0}}, "its seal does not match"),
        ({"seal": None}, "its seal is missing"),
        ({"seal": "0" * 64}, "its seal does not match"),
    ],
)
def test_a_card_edited_to_other_valid_values(
    model: Path, changes: dict[str, object], message: str
) -> None:
    edit_card(model, **changes)
    with pytest.raises(ModelError, match=f"card.json: the card was edited: {message}; install"):
        registry.find(model)


def test_the_seal_is_of_what_the_card_says_not_of_its_layout(model: Path) -> None:
    card = json.loads((model / "card.json").read_text(encoding="utf-8"))
    shuffled = dict(reversed(card.items()))
    (model / "card.json").write_text(json.dumps(shuffled, indent=4), encoding="utf-8")
    assert registry.find(model).card == registry.find(TINY).card


def test_a_card_that_is_no_json(model: Path) -> None:
    (model / "card.json").write_text('{"name": "ti', encoding="utf-8")
    with pytest.raises(ModelError, match="not a valid model card"):
        registry.find(model)


def test_a_card_that_does_not_fit_its_network(model: Path) -> None:
    rewrite_card(model, labels=["rock", "pop"], calibration={})
    with pytest.raises(ModelError, match=r"logits of shape .* 2 labels"):
        Network.of(registry.find(model))
    rewrite_card(model, views=[{"features": {"n_mels": 64}}])
    with pytest.raises(ModelError, match=r"its card promises \(batch, 64, 130\)"):
        Network.of(registry.find(model))


def test_no_batch_changes_a_segments_logits() -> None:
    folder = registry.find(TINY)
    network = Network.of(folder)
    spec = folder.card.segments
    rng = np.random.default_rng(0)
    features = rng.normal(size=(BATCH_SIZE + 3, spec.n_bins, spec.n_frames)).astype(np.float32)
    together = network.run({INPUT: features}, LOGITS)[0]
    assert together.shape == (BATCH_SIZE + 3, 10)
    for index in range(len(features)):
        assert np.array_equal(
            network.run({INPUT: features[index : index + 1]}, LOGITS)[0][0], together[index]
        )
    assert network.run({INPUT: features}, EMBEDDING)[0].shape == (BATCH_SIZE + 3, 8)


def test_features_of_another_shape() -> None:
    with pytest.raises(ModelError, match=r"got features of shape \(1, 2, 3\)"):
        Network.of(registry.find(TINY)).run({INPUT: np.zeros((1, 2, 3), np.float32)}, LOGITS)


def test_logits_that_are_not_finite_are_no_answer() -> None:
    folder = registry.find(TINY)
    features = np.full((1, 48, folder.card.segments.n_frames), np.nan, np.float32)
    with pytest.raises(ModelError, match="logits that are not finite"):
        Network.of(folder).run({INPUT: features}, LOGITS)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_exported_and_installed_is_the_same(user_folder: Path, tmp_path: Path, kind: str) -> None:
    destination = tmp_path / ("out.zip" if kind == "zip" else "out")
    install.export(registry.find(TINY), destination)
    installed = install.install(str(destination))
    assert installed.path == user_folder / "tiny"
    assert installed.card == registry.find(TINY).card
    assert (installed.path / "README.md").read_text(encoding="utf-8") == readme.write(
        installed.card
    )
    assert registry.find("tiny").path == installed.path
    with pytest.raises(ModelError, match=r"is installed in .*--overwrite"):
        install.install(str(destination))
    assert install.install(str(destination), overwrite=True).path == installed.path
    assert [path.name for path in user_folder.iterdir()] == ["tiny"]


def test_export_writes_over_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="exists; give a new folder or zip"):
        install.export(registry.find(TINY), tmp_path)


def test_a_broken_model_leaves_nothing(user_folder: Path, model: Path) -> None:
    (model / "model.onnx").write_bytes(b"edited")
    with pytest.raises(ModelError, match="sha256"):
        install.install(str(model))
    assert not user_folder.exists() or list(user_folder.iterdir()) == []


def test_a_network_that_is_no_onnx_leaves_nothing(user_folder: Path, model: Path) -> None:
    (model / "model.onnx").write_bytes(b"no network")
    rewrite_card(model, onnx_sha256=registry.files.sha256(model / "model.onnx"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        install.install(str(model))
    assert list(user_folder.iterdir()) == []


def zipped(path: Path, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def test_a_zip_cannot_write_elsewhere(user_folder: Path, tmp_path: Path) -> None:
    content = {name: (TINY / name).read_bytes() for name in ("card.json", "model.onnx")}
    evil = {f"../../{name}": data for name, data in content.items()}
    source = zipped(tmp_path / "evil.zip", evil | {"../../../evil.txt": b"x", "/evil.txt": b"x"})
    install.install(source)
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    inside = (user_folder / "tiny").relative_to(tmp_path)
    names = ("card.json", "model.onnx", "README.md")
    assert written == {"evil.zip", *(str(inside / name) for name in names)}


def test_a_zip_that_is_too_large(
    user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.export(registry.find(TINY), tmp_path / "tiny.zip")
    monkeypatch.setattr(install, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match=r"would unpack to .* bytes; expected at most 1000"):
        install.install(str(tmp_path / "tiny.zip"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "has 0 files named card.json"),
        ({"a/card.json": b"{}", "b/card.json": b"{}"}, "has 2 files"),
        ({"a/card.json": b"{}"}, "lacks model.onnx"),
    ],
)
def test_a_zip_without_a_model(
    user_folder: Path, tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        install.install(zipped(tmp_path / "some.zip", members))


def test_sources_that_are_none(user_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    with pytest.raises(ModelError, match="is not a readable zip"):
        install.install(str(tmp_path / "text.zip"))
    with pytest.raises(ModelError, match="neither a folder nor a zip"):
        install.install(str(tmp_path / "nothing"))


def test_the_golden_folder_is_what_its_script_makes() -> None:
    card = registry.read_card(TINY / "card.json")
    assert (TINY / "README.md").read_text(encoding="utf-8") == readme.write(card)
