"""The beets plugin in the real beets, with a temporary library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mutagen
import pytest
import yaml

from genrekit import demo, labels
from genrekit.tags import formats

pytest.importorskip("beets")
TINY = Path(__file__).parents[1] / "golden" / "tiny"
LABELS = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A configuration, and `incoming` with one track that has a genre and two that have none."""
    demo.write(tmp_path / "incoming")
    for path in (tmp_path / "incoming").iterdir():
        file = mutagen.File(path)
        file["title"], file["artist"] = path.stem, "genrekit"
        if path.stem == "guitar":
            file["genre"] = ["Folk", "Live"]
        file.save()
    (tmp_path / "map.toml").write_text(f"[genres]\nMade = {json.dumps([*LABELS, 'rock'])}\n")
    settings = {
        "plugins": "genrekit",
        "directory": str(tmp_path / "music"),
        "library": str(tmp_path / "library.db"),
        "import": {"copy": True, "write": True, "log": str(tmp_path / "log")},
        "genrekit": {"model": str(TINY), "map": str(tmp_path / "map.toml")},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    return tmp_path


def beet(home: Path, *arguments: str, answers: str = "", **settings: object) -> str:
    """Run beets as a user does; settings change the plugin's configuration."""
    config = json.loads((home / "config.yaml").read_text())
    config["genrekit"].update(settings)
    (home / "config.yaml").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "beets", *arguments],
        env={**os.environ, "BEETSDIR": str(home), "HOME": str(home)},
        input=answers,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def genres(home: Path) -> dict[str, tuple[str, ...]]:
    """Return the genres in the files of beets' music folder, by title."""
    contents = [formats.read(path) for path in (home / "music").rglob("*.flac")]
    return {str(content.title): content.genres for content in contents}


@pytest.mark.slow
def test_on_import_then_pretend_keep_and_force(home: Path) -> None:
    beet(home, "import", "-qA", str(home / "incoming"))  # as it is: beets writes no tags by itself
    assert genres(home)["drums"] == ()
    beet(home, "write")
    imported = {"drums": ("Made",), "strings": ("Made",), "guitar": ("Folk", "Live")}
    assert genres(home) == imported
    drums = next((home / "music").rglob("*drums.flac"))
    assert json.loads(formats.read(drums).provenance or "")["genres"]["Made"] == 1.0
    assert "Made" in beet(home, "genrekit", "--pretend", "--force", "title:guitar")
    assert genres(home) == imported
    beet(home, "genrekit", "--force", "--keep", "title:guitar")
    assert genres(home)["guitar"] == ("Folk", "Live", "Made")
    shutil.copy(home / "config.yaml", drums)
    assert str(drums) in beet(home, "genrekit", "--force"), "a file that cannot be decoded is named"
    drums.unlink()
    expected = {"strings": ("Made",), "guitar": ("Folk", "Live", "Made")}
    assert genres(home) == expected, "a file that says it among others is left alone"
    beet(home, "genrekit", "--force", map=None, min_precision=0)
    display_names = {(labels.display_name(label),) for label in (*LABELS, "rock")}
    assert set(genres(home).values()) <= display_names


@pytest.mark.slow
def test_a_style_in_a_field_of_its_own(home: Path) -> None:
    with (home / "map.toml").open("a") as file:
        file.write('Wide = []\n[parents]\nMade = "Wide"\n')
    beet(home, "import", "-qA", str(home / "incoming"), auto=False)
    beet(home, "genrekit", style_field="STYLE")
    for path in (home / "music").rglob("*.flac"):
        contents = formats.read(path, style_field="STYLE")
        expected = ("Folk", "Live"), ()
        if contents.title != "guitar":
            expected = ("Wide",), ("Made",)
        assert (contents.genres, contents.styles) == expected
    beet(home, "genrekit", "--interactive", "--force", "title:guitar", answers="a\n")
    guitar = formats.read(next((home / "music").rglob("*guitar.flac")), style_field="STYLE")
    assert (guitar.genres, guitar.styles) == (("Wide",), ("Made",))


def test_a_wrong_setting_is_named_in_one_line(home: Path) -> None:
    with pytest.raises(AssertionError, match="genrekit: unknown model 'tinny'"):
        beet(home, "genrekit", model="tinny")
    with pytest.raises(AssertionError, match=r"genrekit\.style_field"):
        beet(home, "genrekit", model=str(TINY), style_field="MOOD")


@pytest.mark.slow
def test_interactive_takes_what_the_user_says(home: Path) -> None:
    beet(home, "import", "-qA", str(home / "incoming"), auto=False, map=None)
    asked = ("genrekit", "--interactive", "--force", "title+")
    shown = beet(home, *asked, answers="2\ne\nPolka\ns\n")
    assert "genres: Folk; Live" in shown
    names = [line.split(". ", 1)[1] for line in shown.splitlines() if line.startswith("  2. ")]
    found = genres(home)
    assert found["drums"] == (names[0].rpartition(" (")[0],)
    assert found["drums"][0][0].isupper(), "a display name"
    assert found["guitar"] == ("Polka",)
    assert found["strings"] == ()
    shown = beet(home, *asked, answers="q\n")
    assert shown.count("genres:") == 1
    assert genres(home) == found


@pytest.mark.full
def test_lastgenre_with_our_tree_writes_the_names_that_we_write(home: Path) -> None:
    pytest.importorskip("pylast")
    beet(home, "import", "-qA", str(home / "incoming"), auto=False, map=None)
    written = beet(home, "genrekit-tree", str(home / "own tree"))
    config = json.loads((home / "config.yaml").read_text())
    config["plugins"] = "genrekit lastgenre"
    settings = yaml.safe_load(written)["lastgenre"]
    assert Path(settings["canonical"]).parent == Path(settings["whitelist"]).parent
    # Nothing is fetched: the genres that are there are cleaned up by the tree and the whitelist.
    config["lastgenre"] = {**settings, "auto": False, "cleanup_existing": True, "count": 2}
    (home / "config.yaml").write_text(json.dumps(config))
    beet(home, "modify", "-y", "title:drums", "genres=rap")
    beet(home, "modify", "-y", "title:strings", "genres=Thrash Metal")
    beet(home, "lastgenre", "--items", "title+")
    beet(home, "write")
    assert genres(home)["drums"] == ("Hip-Hop",)
    assert genres(home)["strings"] == ("Thrash Metal", "Metal")
    beet(home, "genrekit", "title:drums")
    assert genres(home)["drums"] == ("Hip-Hop",), "both plugins are on, and agree"


@pytest.mark.full
def test_the_tree_needs_one_folder_that_can_be_written(home: Path) -> None:
    with pytest.raises(AssertionError, match="name the folder to write to"):
        beet(home, "genrekit-tree")
    with pytest.raises(AssertionError, match=r"genrekit-tree: .*config\.yaml"):
        beet(home, "genrekit-tree", str(home / "config.yaml" / "tree"))
