"""What somebody types who meets genrekit for the first time."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrekit import demo, metrics
from genrekit.models import readme, registry
from genrekit.training.recipe import catalogue
from in_process import genrekit
from verb_commands import COMMANDS

TINY = Path(__file__).parents[1] / "golden" / "tiny"
ADDRESS = "https://example.org/song.mp3"
# What a verb needs beside the argument that is an address.
BESIDE = {
    "compare": ["b"],
    "evaluate": ["--split", "track"],
    "genres add": ["song.flac"],
    "library export": ["-o", "x.csv"],
    "models export": ["-o", "x.zip"],
    "spectrogram": ["-o", "x.png"],
}
ARGUMENT_OF = {"evaluate": ["--data"], "train": ["--data"], "demo": ["-o"], "reproduce": ["--data"]}
ARGUMENT_OF |= {"library export": ["--db"], "models verify": []}
NO_INPUT = {"datasets list", "datasets get", "doctor", "models list", "serve", "models weights"}
OF_SERVERS = {"features extract", "batch status"}  # object stores and servers are read there


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer")
    demo.write(folder / "demo")
    return folder


def test_without_arguments_five_things_are_shown_and_each_is_a_verb() -> None:
    done = genrekit()
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line.split() for line in done.stdout.splitlines() if line.startswith("  genrekit ")]
    assert [words[1] for words in shown] == ["predict", "serve", "tag", "train", "explain"]
    assert {words.partition(" ")[0] for words in COMMANDS} >= {words[1] for words in shown}


def test_a_file_or_folder_in_a_verb_s_place_is_predicted(place: Path) -> None:
    named = genrekit("demo/drums.flac", "--model", TINY, cwd=place)
    assert named.returncode == 0
    assert named.stdout == genrekit("predict", "demo/drums.flac", "--model", TINY, cwd=place).stdout
    assert genrekit("./demo", "--model", TINY, "--json", cwd=place).stdout.count("\n") == 3
    missing = genrekit("Song.MP3", cwd=place)
    assert missing.returncode == 1
    assert "Song.MP3: no such file" in missing.stderr
    assert "No such command" in genrekit("song", cwd=place).stderr


@pytest.mark.parametrize("verb", sorted(set(COMMANDS) - NO_INPUT - OF_SERVERS))
def test_an_address_is_refused_as_such(verb: str, place: Path) -> None:
    own = ARGUMENT_OF.get(verb)
    if own is None:
        takes = [its for its in COMMANDS[verb].params if its.param_type_name == "argument"]
        own = [] if takes else ["--db"]
    done = genrekit(*verb.split(), *own, ADDRESS, *BESIDE.get(verb, []), cwd=place)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert f"{ADDRESS} is a URL" in said
    assert f"download it (curl -LO {ADDRESS})" in said


def test_an_address_in_a_verb_s_place_is_refused() -> None:
    assert f"{ADDRESS} is a URL" in " ".join(genrekit(ADDRESS).stderr.split())


def test_no_row_reads_zero_per_cent(place: Path) -> None:
    done = genrekit("predict", "demo", "--top", 10, cwd=place)
    assert done.returncode == 0
    assert " 0.0 %" not in done.stdout
    assert "%" in done.stdout


def test_the_intervals_of_few_groups_come_with_a_caution() -> None:
    assert metrics.caution(500, metrics.FEW_GROUPS, 0.9) is None
    assert "76.8 % still allows" in str(metrics.caution(14, 14, 1.0))
    assert "none was right, as a true accuracy of 23.2 %" in str(metrics.caution(14, 14, 0.0))
    card = registry.find(None).card
    (measured,) = card.metrics[:1]
    few = measured.model_copy(update={"n_tracks": 14, "n_artist_groups": 9})
    assert "means little" not in readme.write(card)
    assert "14 tracks of 9 artist groups means little" in readme.write(
        card.model_copy(update={"metrics": (few,)})
    )


def test_recipes_are_found_by_name_wherever_the_program_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert catalogue.find("cnn") == catalogue.find("recipes/cnn.toml") == catalogue.find("cnn.toml")
    assert catalogue.find("s1-cnn-mel").parent.name == catalogue.REPRODUCTIONS
    (tmp_path / "cnn.toml").write_text("")
    assert catalogue.find("cnn.toml") == Path("cnn.toml")
    assert "cnn" in catalogue.completions("c")
    assert catalogue.completions("c", catalogue.REPRODUCTIONS) == []


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("cnnn", "did you mean 'cnn'"), ("nowhere/cnn.toml", "the recipe cannot be read")],
)
def test_an_unknown_recipe_is_answered_with_the_nearest(
    typed: str, answer: str, tmp_path: Path
) -> None:
    done = genrekit("train", typed, "--dry-run", cwd=tmp_path)
    assert done.returncode == 2
    assert answer in " ".join(done.stderr.split())


def test_a_folder_of_music_in_the_place_of_a_recipe_is_no_traceback(place: Path) -> None:
    done = genrekit("train", "demo", "--dry-run", cwd=place)
    assert done.returncode == 2
    assert "for a folder of music give --data" in " ".join(done.stderr.split())


def test_reproductions_are_listed_outside_a_clone(tmp_path: Path) -> None:
    done = genrekit("reproduce", "--list", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == len(catalogue.completions("", catalogue.REPRODUCTIONS))
