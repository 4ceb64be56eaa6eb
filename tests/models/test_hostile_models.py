"""Model folders are input: absurd cards, endless networks, weights elsewhere, damaged zips."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from genrekit import files
from genrekit.errors import ModelError
from genrekit.inference import verification
from genrekit.models import card as cards
from genrekit.models import graph, install, registry
from genrekit.models.card import ModelCard

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture(autouse=True)
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user's folder."""
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return registry.user_folder()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def seal(model: Path, text: str) -> None:
    (model / "card.json").write_text(text, encoding="utf-8")


def sealed(**changes: Any) -> str:
    """A card with a valid seal, whatever its values are."""
    fields = json.loads((TINY / "card.json").read_text(encoding="utf-8"))
    del fields["seal"]
    fields |= changes
    return json.dumps(fields | {"seal": cards.seal_of(fields)})


def with_network(model: Path, network: onnx.ModelProto) -> Path:
    """Put another network into the folder, with a card that fits it."""
    (model / "model.onnx").write_bytes(network.SerializeToString())
    fields = json.loads((TINY / "card.json").read_text(encoding="utf-8"))
    del fields["seal"]
    fields["onnx_sha256"] = files.sha256(model / "model.onnx")
    registry.write_card(model, ModelCard.model_validate(fields))
    return model


def spec(**changes: Any) -> dict[str, Any]:
    view = json.loads((TINY / "card.json").read_text(encoding="utf-8"))["views"][0]
    return {"views": [view | {"features": view["features"] | changes, "feature_means": []}]}


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": {"bias": [float("nan")] * 10}},
        {"calibration": {"bias": [1e300] * 10}},
        {"calibration": {"temperature": 5e-324}},
        {"calibration": {"track_temperature": 1e300}},
        {"calibration": {"temperature": float("inf")}},
        {"labels": [f"{index}" for index in range(20_000)]},
        {"labels": ["", "rock"]},
        spec(sample_rate=10**9),
        spec(n_fft=1 << 30),
        spec(n_mels=10**9),
        spec(segment_seconds=1e12, segment_hop_seconds=1e12),
        spec(segment_hop_seconds=1e-300),
        spec(segment_seconds=80_000.0),
        spec(std=1e-300),
        spec(mean=float("nan")),
    ],
    ids=str,
)
def test_absurd_numbers_are_refused(model: Path, changes: dict[str, Any]) -> None:
    seal(model, sealed(**changes))
    with pytest.raises(ModelError, match="is not a valid model card"):
        registry.read(model)


def test_a_card_that_is_nested_deeply_or_huge(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(model, "[" * 100_000 + "]" * 100_000)
    with pytest.raises(ModelError, match="is not a valid model card"):
        registry.read(model)
    seal(model, sealed()[:-1] + ', "recipe": ' + '{"a":' * 50_000 + "1" + "}" * 50_001)
    with pytest.raises(ModelError, match="is not a valid model card"):
        registry.read(model)
    monkeypatch.setattr(registry, "MAX_CARD_BYTES", 100)
    with pytest.raises(ModelError, match="a card has at most 100"):
        registry.read(model)


def network(*nodes: onnx.NodeProto, **initializers: np.ndarray) -> onnx.ModelProto:
    """The tiny model's inputs and outputs, with nodes before its own."""
    whole = onnx.load(TINY / "model.onnx")
    own = list(whole.graph.node)
    del whole.graph.node[:]
    whole.graph.node.extend([*nodes, *own])
    for name, values in initializers.items():
        whole.graph.initializer.append(numpy_helper.from_array(values, name))
    return whole


def endless_loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["", "true"], [], body=body)
    return network(loop, true=np.array(True))


def giant_constant() -> onnx.ModelProto:
    fill = helper.make_node("ConstantOfShape", ["shape"], ["giant"])
    return network(fill, shape=np.array([50_000, 50_000]))


def giant_by_multiplication() -> onnx.ModelProto:
    """What the look at the graph cannot see: 40 GB of small numbers multiplied."""
    nodes = [
        helper.make_node("Mul", ["a", "b"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["giant"]),
        helper.make_node("ReduceMean", ["giant"], ["lost"], keepdims=0),
        helper.make_node("Sub", ["lost", "lost"], ["zero"]),
        helper.make_node("Add", ["features", "zero"], ["moved"]),
    ]
    whole = network(*nodes, a=np.array([100, 1000]), b=np.array([1000, 100]))
    for node in whole.graph.node[len(nodes) :]:
        node.input[:] = ["moved" if name == "features" else name for name in node.input]
    return whole


def weights_elsewhere() -> onnx.ModelProto:
    whole = network()
    tensor = whole.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    for key, value in (("location", "../../../etc/passwd"), ("length", "64")):
        tensor.external_data.add(key=key, value=value)
    return whole


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (endless_loop, "has the operator Loop"),
        (giant_constant, "declares a tensor of more than"),
        (weights_elsewhere, "all weights in model.onnx"),
    ],
)
def test_networks_are_looked_at_before_they_run(model: Path, make: Any, message: str) -> None:
    folder = registry.read(with_network(model, make()))
    with pytest.raises(ModelError, match=message):
        graph.check(folder.onnx_path.read_bytes(), "it")
    with pytest.raises(ModelError, match=message):
        verification.verify(folder)


def test_control_flow_in_a_branch_and_in_a_function_is_found() -> None:
    loop = endless_loop().graph.node[0]
    branch = helper.make_graph([loop], "branch", [], [])
    outer = helper.make_node("Custom", ["true"], ["o"], then_branch=branch)
    function = helper.make_function("here", "F", [], [], [loop], [helper.make_opsetid("", 18)])
    whole = network()
    whole.functions.append(function)
    for model in (network(outer), whole):
        with pytest.raises(ModelError, match="operator Loop"):
            graph.check(model.SerializeToString(), "it")


@pytest.mark.parametrize("data", [b"\x0f", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"\x3a\x05a"])
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="it is not an ONNX file"):
        graph.check(data, "it")


def test_a_network_that_needs_too_much_ends_in_its_own_process(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = registry.read(with_network(model, giant_by_multiplication()))
    with pytest.raises(ModelError, match=r"cannot be verified|cannot be loaded"):
        verification.verify(folder)


@pytest.mark.slow
def test_verify_predicts_made_audio() -> None:
    for name in registry.names()[:1]:
        verification.verify(registry.find(name))
    verification.verify(registry.find(TINY))
    verification.verify(registry.find(TINY.with_name("tiny-two-views")))


def test_a_licence_that_is_a_link_or_too_large(model: Path, user_folder: Path) -> None:
    (model / "LICENSE").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match="LICENSE is a link"):
        install.install(str(model))
    (model / "LICENSE").unlink()
    with (model / "LICENSE").open("wb") as stream:
        stream.truncate(1_900_000_000)
    with pytest.raises(ModelError, match="LICENSE is larger than"):
        install.install(str(model))
    assert list(user_folder.iterdir()) == []


def test_a_zip_with_broken_deflate_data(tmp_path: Path, user_folder: Path) -> None:
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("card.json", "model.onnx"):
            archive.write(TINY / name, name)
    data = bytearray(path.read_bytes())
    for at in range(60, 400):
        data[at] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is not a readable zip"):
        install.install(str(path))
    assert list(user_folder.iterdir()) == []


def test_what_killed_installs_left_is_removed(model: Path, user_folder: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (user_folder / f".model-{child.pid}-half").mkdir(parents=True)
    shutil.copytree(TINY, user_folder / f".model-{child.pid}-away.old")
    (user_folder / f".model-{os.getpid()}-mine").mkdir()
    with pytest.raises(ModelError, match="is installed in"):  # it was set aside and is back
        install.install(str(model))
    names = sorted(path.name for path in user_folder.iterdir())
    assert names == [f".model-{os.getpid()}-mine", "tiny"]
