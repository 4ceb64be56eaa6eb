"""Export: ONNX equals torch, an attached head leaves the network alone, weights are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from genrekit.errors import ModelError, RecipeError
from genrekit.features.spec import FeatureSpec
from genrekit.inference.frontend import FrontEnd
from genrekit.models import registry
from genrekit.models.card import one_view
from genrekit.models.runtime import INPUT, Features
from genrekit.networks import backbones
from genrekit.networks.cnn import Cnn
from genrekit.networks.heads import GenreNetwork, Head
from genrekit.networks.musicnn import FRONT_END, Musicnn
from genrekit.training import export, smoke
from genrekit.training.frozen import FrozenNetwork
from genrekit.training.onnx_head import attach

SPEC = FeatureSpec(n_mels=32, segment_seconds=1.0)
OUTPUTS = ("logits", "embedding")


def segments(n_segments: int, spec: FeatureSpec = SPEC) -> np.ndarray:
    shape = (n_segments, spec.n_bins, spec.n_frames)
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def torch_logits(network: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        logits: np.ndarray = network.eval()(torch.from_numpy(features))[0].numpy()
    return logits


@pytest.fixture(scope="module")
def network() -> GenreNetwork:
    torch.manual_seed(3)
    return GenreNetwork(Cnn("concat"), Head(256, 5, hidden=8, dropout=0.5)).eval()


@pytest.fixture(scope="module")
def model(network: GenreNetwork) -> bytes:
    return export.to_onnx(network, SPEC, OUTPUTS)


def test_the_exported_network_has_the_contracts_names_and_a_free_batch(model: bytes) -> None:
    graph = onnx.load_from_string(model).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "features": ["batch", 32, 44],
        "logits": ["batch", 5],
        "embedding": ["batch", 256],
    }
    assert onnx.load_from_string(model).opset_import[0].version >= 17


def test_the_exported_network_equals_torch(model: bytes, network: GenreNetwork) -> None:
    def reference(features: Features) -> np.ndarray:
        return torch_logits(network, features[INPUT])

    exported = FrozenNetwork(model, one_view(SPEC))
    assert export.check(exported, reference, {INPUT: segments(5)}) < 1e-4


def test_a_network_that_differs_is_refused(model: bytes, network: GenreNetwork) -> None:
    def reference(features: Features) -> np.ndarray:
        return torch_logits(network, features[INPUT]) + 1e-3

    with pytest.raises(ModelError, match=r"differ from torch's by 1.0e-03; expected at most 1e-04"):
        export.check(FrozenNetwork(model, one_view(SPEC)), reference, {INPUT: segments(2)})


def test_no_path_of_this_machine_goes_into_the_file(model: bytes) -> None:
    assert str(Path(__file__).parents[2]).encode() not in model
    assert str(Path(torch.__file__).parent).encode() not in model


@pytest.mark.parametrize("hidden", [0, 6])
def test_an_attached_head_equals_torch_and_leaves_the_embedding_alone(
    tmp_path: Path, hidden: int
) -> None:
    folder = registry.read(smoke.write_model(tmp_path / "m"))
    views = folder.card.views
    frozen = FrozenNetwork(folder.onnx_path.read_bytes(), views)
    features = {INPUT: segments(4, folder.card.segments)}
    embedding = frozen.run(features, "embedding")
    torch.manual_seed(0)
    head = Head(embedding.shape[1], 3, hidden).eval()
    head.standardise.fit(
        torch.from_numpy(embedding.mean(axis=0)), torch.from_numpy(embedding.std(axis=0))
    )
    attached = FrozenNetwork(attach(frozen.model, head.dense_layers()), views)
    with torch.no_grad():
        expected = head(torch.from_numpy(embedding)).numpy()
    np.testing.assert_allclose(attached.run(features, "logits"), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(attached.run(features, "embedding"), embedding)
    again = FrozenNetwork(attach(attached.model, head.dense_layers()), views)
    np.testing.assert_array_equal(
        again.run(features, "logits"), attached.run(features, "logits")
    )  # attaching replaces the head and leaves none of the old one
    assert len(again.model) == len(attached.model)


def test_a_network_without_embedding_takes_no_head(model: bytes) -> None:
    bare = onnx.load_from_string(model)
    del bare.graph.output[1]
    with pytest.raises(ModelError, match="outputs logits but no 'embedding'"):
        attach(bare.SerializeToString(), [(torch.zeros(256, 2), torch.zeros(2))])


def test_units_that_hardly_change_do_not_spoil_the_folded_head() -> None:
    rng = np.random.default_rng(0)
    embedding = torch.from_numpy(rng.normal(size=(50, 40)).astype(np.float32))
    embedding[:, :20] = 55.0 + 1e-6 * embedding[:, :20]  # what a dead filter gives
    torch.manual_seed(0)
    head = Head(40, 3).eval()
    head.standardise.fit(embedding.mean(0), embedding.std(0))
    [(weight, bias)] = head.dense_layers()
    with torch.no_grad():
        torch.testing.assert_close(embedding @ weight + bias, head(embedding), atol=1e-4, rtol=0)


def test_an_unknown_backbone_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(RecipeError, match="unknown backbone 'resnt18'; did you mean 'resnet18'"):
        backbones.build("resnt18", SPEC)


def test_musicnn_refuses_another_front_end() -> None:
    with pytest.raises(RecipeError, match=r"features\.sample_rate = 16000"):
        Musicnn(SPEC)


@pytest.mark.parametrize("name", ["cnn", "musicnn"])
def test_missing_weights_are_named(tmp_path: Path, name: str) -> None:
    spec = SPEC if name == "cnn" else FeatureSpec(**FRONT_END)
    with pytest.raises(ModelError, match=f"no weights of {name} there"):
        backbones.build(name, spec, str(tmp_path / "none.pth"))


def test_weights_of_other_names_are_matched_by_order_and_colours_are_summed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Cnn().state_dict()
    renamed = {f"layer{i}": torch.randn(t.shape).to(t.dtype) for i, t in enumerate(own.values())}
    renamed["layer0"] = torch.randn(16, 3, 3, 3)
    torch.save(renamed | {"classifier.weight": torch.zeros(10, 128)}, tmp_path / "w.pth")
    network = backbones.build("cnn", SPEC, str(tmp_path / "w.pth"))
    loaded = list(network.state_dict().values())
    torch.testing.assert_close(loaded[0], renamed["layer0"].sum(1, keepdim=True))
    torch.testing.assert_close(loaded[1], renamed["layer1"])
    assert f"all {len(own)} shapes agree, so they were matched by order" in caplog.text


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="does not fit: 1 tensors came and"):
        backbones.build("cnn", SPEC, str(tmp_path / "w.pth"))


class Trap:
    """What a pickle with code in it looks like."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))


def test_a_weight_file_with_code_in_it_is_refused_unrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, "w.pth")
    with pytest.raises(ModelError, match="no weights can be read there"):
        backbones.build("cnn", SPEC, "w.pth")
    assert not Path("sprung").exists()


@pytest.mark.shared
def test_musicnn_gives_the_published_tags(shared_data: Path) -> None:
    """The published activations of one clip, through our audio and front end."""
    published = np.load(shared_data / "gtzan" / "training_data_GTZAN_MSDmusicnn_taggram.npz")
    spec = FeatureSpec(**FRONT_END, segment_seconds=3.0)
    network = Musicnn(spec, ("tags",))
    network.load_npz(shared_data / "weights" / "MSD_musicnn.npz")
    ids = [str(name) for name in published["IDS"]]
    clip = next(n for n in ids if (clip_path(shared_data, n)).exists())
    expected = published["X"][[name == clip for name in ids]].mean(axis=0)
    features = FrontEnd(one_view(spec)).open(clip_path(shared_data, clip)).all().features[INPUT]
    with torch.no_grad():
        tags = network.eval()(torch.from_numpy(features)).sigmoid().numpy().mean(axis=0)
    assert np.corrcoef(tags, expected)[0, 1] > 0.97


def clip_path(shared_data: Path, name: str) -> Path:
    stem = Path(name).stem
    return shared_data / "gtzan" / "audio" / stem.split(".")[0] / f"{stem}.ogg"


@pytest.mark.shared
def test_published_lite0_weights_load_by_order(shared_data: Path) -> None:
    path = shared_data / "weights" / "efficientnet-lite0-57934424.pth"
    network = backbones.build("tf_efficientnet_lite0", SPEC, str(path))
    first = torch.load(path, weights_only=True)["_conv_stem.weight"]
    stem = network.state_dict()["network.conv_stem.weight"]
    torch.testing.assert_close(stem, first.sum(1, keepdim=True))
