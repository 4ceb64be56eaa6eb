"""-o NAME.SUFFIX in every verb that has it: the form that the suffix names, or one sentence."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import soundfile

import made_music
from genrekit.cli import outputs
from in_process import Done, genrekit
from verb_commands import OPTIONS

TINY = Path(__file__).parents[1] / "golden" / "tiny"
WRITERS = sorted(OPTIONS["--output"])
# Each suffix that a habit may choose, and what a file of it begins as or can be read as.
SUFFIXES = [".csv", ".html", ".json", ".jsonl", ".npz", ".parquet", ".pdf", ".png", ".svg", ".tsv"]
SUFFIXES += [".txt", ".wav", ".xlsx", ".xml", ".yaml", ".zip", ".nonsense"]


def _is_table(path: Path, separator: str = ",") -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = list(csv.reader((its for its in lines if its[:1] != "#"), delimiter=separator))
    return len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])}


def _is_text(path: Path) -> bool:
    return path.read_text(encoding="utf-8")[0] not in "{[<"


HOLDS: dict[str, Callable[[Path], object]] = {
    ".csv": _is_table,
    ".html": lambda path: path.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype"),
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    ".parquet": lambda path: path.is_dir() or path.read_bytes()[:4] == b"PAR1",
    ".png": lambda path: path.read_bytes().startswith(b"\x89PNG"),
    ".svg": lambda path: ET.fromstring(path.read_text()).tag.endswith("svg"),  # noqa: S314
    ".tsv": lambda path: _is_table(path, "\t"),
    ".txt": _is_text,
    ".wav": lambda path: path.read_bytes()[:4] == b"RIFF",
    ".xml": lambda path: ET.fromstring(path.read_text()).tag,  # noqa: S314
    ".zip": zipfile.is_zipfile,
}
# What each verb takes besides -o; the forms that it has, where they are not refused.
ARGUMENTS: dict[str, tuple[list[str], set[str]]] = {
    "datasets audit": (["music", "--no-labels", "--min-seconds", "0.5"], {".tsv"}),
    "datasets get": (["fma-small", "--dry-run"], {".parquet", ".nonsense"}),
    "demo": ([], {".parquet", ".nonsense"}),
    "evaluate": (["missing", "--data", "music", "--split", "track"], set()),
    "explain": (["song.flac", "--model", str(TINY)], {".html", ".json", ".png", ".svg", ".wav"}),
    "features extract": (["song.flac", "--jobs", "1"], {".csv", ".jsonl", ".parquet"}),
    "genres add": (["new", "song.flac", "--db", "missing.db"], set()),
    "library export": (["--db", "music.db"], {".csv", ".jsonl", ".parquet", ".xml"}),
    "models export": ([str(TINY)], {".zip", ".nonsense", ".parquet"}),
    "models weights": (["unknown"], set()),
    "predict": (
        ["song.flac", "--model", str(TINY), "--jobs", "1"],
        {".csv", ".json", ".jsonl", ".parquet", ".txt"},
    ),
    "predict --timeline": (
        ["song.flac", "--model", str(TINY), "--jobs", "1"],
        {".csv", ".json", ".jsonl", ".png", ".svg", ".txt"},
    ),
    "reproduce": (["unknown"], set()),
    "spectrogram": (["song.flac"], {".png"}),
    "tag normalise": (["music"], {".jsonl"}),
    "tag plan": (["music", "--model", str(TINY), "--db", "music.db"], {".jsonl"}),
    "train": (["unknown"], set()),
}
FOLDERS = {"demo", "models export"}  # which a name that looks like no file is


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a song, a folder of two genres, and its library."""
    folder = tmp_path_factory.mktemp("outputs")
    soundfile.write(folder / "song.flac", made_music.song(0, 3), made_music.SAMPLE_RATE)
    for index, genre in enumerate(("one", "one", "two", "two")):
        path = folder / "music" / genre / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        made_music.write(path, made_music.song(index, 4))
    done = genrekit("library", "scan", "music", "--model", TINY, "--db", "music.db", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_verb_that_writes_is_tried() -> None:
    assert {verb.partition(" --")[0] for verb in ARGUMENTS} == set(WRITERS)


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_the_suffix_chooses_the_form_or_is_refused(verb: str, place: Path) -> None:
    arguments, forms = ARGUMENTS[verb]
    for suffix in SUFFIXES:
        output = place / f"{verb.replace(' ', '-')}{suffix}"
        done = genrekit(*verb.split(), *arguments, "-o", output.name, cwd=place)
        if suffix not in forms:
            assert done.returncode in (1, 2), f"{verb} took {suffix}"
            assert not output.exists(), f"{verb} wrote {suffix}"
            assert "Traceback" not in done.stderr
            if suffix in outputs.FILE_SUFFIXES - {".npz"}:
                assert (done.returncode, f"--output is {output.name}; " in _flat(done)) == (2, True)
        elif suffix not in HOLDS or (verb in FOLDERS and suffix != ".zip"):
            assert done.returncode == 0, done.stderr
            assert output.is_dir() or verb == "datasets get"
        elif verb != "datasets get":
            assert done.returncode == 0, f"{verb} {suffix}: {done.stderr}"
            assert HOLDS[suffix](output), f"{verb} {suffix}"


def _flat(done: Done) -> str:
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    "contradiction",
    [
        ["predict", "song.flac", "--json", "-o", "x.csv"],
        ["predict", "song.flac", "--csv", "-o", "x.json"],
        ["library", "export", "--db", "music.db", "--format", "jsonl", "-o", "x.csv"],
        ["library", "export", "--db", "music.db", "--format", "m3u", "-o", "x.csv"],
        ["predict", "song.flac", "--engine", "local", "-o", "x.json"],
        ["predict", "song.flac", "--engine", "local", "-o", "s3://bucket/x.png"],
    ],
    ids=lambda words: " ".join(words[:2] + words[-3:]),
)
def test_a_suffix_and_a_flag_do_not_contradict(contradiction: list[str], place: Path) -> None:
    done = genrekit(*contradiction, cwd=place)
    assert done.returncode == 2
    assert "--output is" in _flat(done)
    assert not (place / contradiction[-1]).exists()


def test_many_predictions_in_one_json_file_are_a_list(place: Path) -> None:
    done = genrekit("predict", "music", "--model", TINY, "-o", "all.json", cwd=place)
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "all.json").read_text(encoding="utf-8"))
    assert [Path(each["path"]).stem for each in found] == ["0", "1", "2", "3"]
