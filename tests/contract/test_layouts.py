"""Being registered is being tested: every layout opens a made example and does not leak."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from genrekit.datasets import Dataset, gtzan, layouts, manifest, open_dataset
from genrekit.features.handcrafted import COLUMNS

LAYOUTS = layouts()
ROOT = Path(__file__).resolve().parents[2]
DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(0.3 * np.arange(800)), 8000, format="WAV")


def make_gtzan(root: Path) -> None:
    # Every third track of two genres whose artists are many.
    for genre in ("country", "metal"):
        for number in range(0, 100, 3):
            put(root / f"genres/{genre}/{genre}.{number:05d}.wav")


def make_fma(root: Path) -> None:
    lines = [",artist,set,set,track", ",id,split,subset,genre_top", "track_id,,,,"]
    for number in range(1, 25):
        put(root / f"fma_small/000/{number:06d}.mp3")
        part = ("training", "training", "validation", "test")[number // 2 % 4]
        lines.append(f"{number},{number // 2},{part},small,{('Rock', 'Folk')[number // 2 % 2]}")
    (root / "fma_metadata").mkdir()
    (root / "fma_metadata/tracks.csv").write_text("\n".join(lines))


def make_folder(root: Path) -> None:
    for number in range(20):
        put(root / f"{('polka', 'ska')[number % 2]}/{number}.wav")


def make_manifest(root: Path) -> None:
    lines = ["path,genre,artist,split"]
    for number in range(24):
        put(root / f"{number}.wav")
        genre, part = ("polka", "ska")[number % 2], ("train", "valid", "test", "")[number // 2 % 4]
        lines.append(f"{number}.wav,{genre},artist {number // 2},{part}")
    (root / manifest.FILE_NAME).write_text("\n".join(lines))


def make_feature_table(root: Path) -> Path:
    lines = [",".join(["filename", "length", *COLUMNS, "label"])]
    for genre in ("country", "metal"):
        for number in range(0, 100, 3):
            cells = [str(number)] * len(COLUMNS)
            lines.append(",".join([f"{genre}.{number:05d}.wav", "661794", *cells, genre]))
    (root / "features.csv").write_text("\n".join(lines))
    return root / "features.csv"


def make_images(root: Path) -> None:
    for genre in ("country", "metal"):
        (root / genre).mkdir()
        for number in range(0, 100, 3):
            Image.new("L", (32, 24)).save(root / genre / f"{genre}{number:05d}.png")


# What each makes below a folder; it returns the path to open where that is not the folder.
MAKERS: dict[str, Callable[[Path], Path | None]] = {
    "feature-table": make_feature_table,
    "gtzan": make_gtzan,
    "fma-small": make_fma,
    "folder": make_folder,
    "images": make_images,
    "manifest": make_manifest,
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    found = {}
    for name, make in MAKERS.items():
        root = tmp_path_factory.mktemp(name)
        found[name] = open_dataset(make(root) or root)
    return found


def test_every_layout_has_an_example() -> None:
    assert set(MAKERS) == set(LAYOUTS)


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
