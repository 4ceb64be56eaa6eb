"""Being registered is being tested: every layout opens a made example and does not leak."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from genrekit.datasets import Dataset, gtzan, layouts, open_dataset

LAYOUTS = layouts()
ROOT = Path(__file__).resolve().parents[2]
DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}


EXAMPLES = Path(__file__).resolve().parents[1] / "datasets" / "examples"  # a module a layout


def make(layout: str, root: Path) -> Path:
    """Make the tiny example of a layout below a folder; return what is to be opened."""
    source = EXAMPLES / f"{layout.replace('-', '_')}.py"
    assert source.is_file(), f"{source} has to make a tiny example of the layout"
    module = runpy.run_path(str(source))
    return module["make"](root) or root


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return {name: open_dataset(make(name, tmp_path_factory.mktemp(name))) for name in LAYOUTS}


def test_no_example_is_of_a_layout_that_is_gone() -> None:
    assert {path.stem.replace("_", "-") for path in EXAMPLES.glob("*.py")} == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_itself_opens_its_example_as_open_dataset_does(
    name: str, examples: dict[str, Dataset]
) -> None:
    dataset = examples[name]
    assert LAYOUTS[name].open(dataset.path) == dataset
    assert LAYOUTS[name].open(dataset.path / "nothing") is None
    assert all(track.path.is_file() for track in dataset.tracks)
    assert len(dataset.labels) == 2
    assert dataset.problems == ()


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_split_that_is_promised_can_be_made_and_holds_every_track_once(
    name: str, examples: dict[str, Dataset]
) -> None:
    dataset = examples[name]
    promised = [kind for kind in LAYOUTS[name].split_kinds if "LEAKY" not in kind]
    assert list(dataset.split_kinds) == promised
    ids = {track.track_id for track in dataset.tracks}
    for kind in promised:
        split = dataset.split(kind)
        parts = (split.train, split.validation, split.test)
        assert all(parts)
        assert sum(map(len, parts)) == len(set().union(*parts))
        assert set(split.assignment) == ids if kind not in dataset.fixed else True
        assert set(split.assignment) <= ids


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_group_is_on_two_sides_of_a_split_that_keeps_artists_apart(
    name: str, examples: dict[str, Dataset]
) -> None:
    dataset = examples[name]
    splits = [dataset.split(kind) for kind in dataset.split_kinds if kind != "track"]
    if dataset.has_artists:
        splits += dataset.folds("artist", 3)
    for split in splits:
        sides: dict[str, set[str]] = {}
        for track_id, part in split.assignment.items():
            sides.setdefault(dataset.groups[track_id], set()).add(part)
        assert {len(parts) for parts in sides.values()} == {1}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_segment_split_of_every_layout_says_leaky(
    name: str, examples: dict[str, Dataset]
) -> None:
    dataset = examples[name]
    split = dataset.segment_split({track.track_id: 4 for track in dataset.tracks})
    assert "LEAKY" in split.title
    assert any("LEAKY" in kind for kind in LAYOUTS[name].split_kinds)


@pytest.mark.parametrize("name", LAYOUTS)
def test_archives_are_checked_and_bounded(name: str) -> None:
    for archive in LAYOUTS[name].archives:
        algorithm, _, digest = archive.checksum.partition(":")
        assert re.fullmatch(rf"[0-9a-f]{{{DIGITS[algorithm]}}}", digest)
        assert archive.url.startswith("https://")
        assert archive.file_name.endswith((".zip", ".tar.gz"))
        assert archive.max_bytes > 0
        assert archive.provides


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/datasets.md").read_text(encoding="utf-8")


def test_the_tables_that_are_shipped_cite_their_sources() -> None:
    tables = sorted((Path(gtzan.__file__).parent / "splits").glob("*.tsv"))
    assert len(tables) == 3
    assert all("# Source: " in table.read_text(encoding="utf-8") for table in tables)
