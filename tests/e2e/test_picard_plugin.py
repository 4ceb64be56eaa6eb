"""The Picard plugin in the real Picard, without a screen and with a new configuration.

Picard is a large dependency that nothing else needs, so it is none of the tests' own: install it
beside them, or name a Python that has it by GENREKIT_PICARD_PYTHON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import mutagen.flac
import pytest

from genrekit import __version__, demo, labels

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("GENREKIT_PICARD_PYTHON") or (
    sys.executable if importlib.util.find_spec("picard") else None
)
with_picard = pytest.mark.skipif(
    PYTHON is None,
    reason="needs Picard: pip install picard, or GENREKIT_PICARD_PYTHON=a Python that has it",
)
PLUGIN = ROOT / "plugins" / "picard"
OWN = shlex.join([sys.executable, "-m", "genrekit"])


@pytest.fixture
def tracks(tmp_path: Path) -> list[Path]:
    """Made tracks, the first with a genre, in a folder whose name is not plain."""
    folder = tmp_path / "mu sic é"
    demo.write(folder)
    found = sorted(folder.iterdir())
    tags = mutagen.flac.FLAC(found[0])
    tags["genre"] = "Folk"
    tags.save()
    return found


def picard(home: Path, command: str, *files: Path) -> dict[str, object]:
    """Install the plugin as a user does, and run the driver."""
    plugins = home / "plugins3"
    shutil.copytree(PLUGIN, plugins / "genrekit")
    own = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    settings = {**dict.fromkeys(own, str(home)), "PICARD_PLUGIN_DIR": str(plugins)}
    settings |= {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).parent / "picard_driver.py"), command, *map(str, files)],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@with_picard
def test_genres_are_shown_for_review_and_written_when_saved(
    tmp_path: Path, tracks: list[Path]
) -> None:
    before = {path: path.read_bytes() for path in tracks}
    found = picard(tmp_path / "home", OWN + " ", *tracks)
    assert found["pending"] == len(tracks)
    assert found["messages"] == []
    labelled = {True: 0, False: 0}
    for row in found["shown"]:
        is_sure = bool(row["genrekit"])
        labelled[is_sure] += 1
        if is_sure:
            (genre,) = row["genre"]
            assert genre == labels.display_name(genre)
            assert genre[0].isupper()
            assert row["state"] == "CHANGED"
            assert row["genrekit"].startswith(f"{genre} ")
            assert "% (fast " in row["genrekit"]
        else:
            assert row["genre"] == row["before"]
            assert row["state"] == "NORMAL"
    assert labelled[True] >= 1
    assert found["shown"][0]["before"] == ["Folk"]
    for path in tracks[1:]:
        assert path.read_bytes() == before[path], "only what is saved is written"
    saved, shown = mutagen.flac.FLAC(tracks[0]), found["shown"][0]
    assert saved["genre"] == shown["genre"]
    assert saved.get("genrekit", [""]) == [shown["genrekit"]]


@with_picard
def test_a_program_that_is_not_there_is_named_and_no_file_changes(
    tmp_path: Path, tracks: list[Path]
) -> None:
    found = picard(tmp_path / "home", "no-such-genrekit", *tracks)
    (message,) = found["messages"]
    assert "'no-such-genrekit' cannot be started" in message
    assert [row["state"] for row in found["shown"]] == ["NORMAL"] * len(tracks)


@with_picard
def test_a_wrong_setting_ends_in_the_programs_own_sentence(
    tmp_path: Path, tracks: list[Path]
) -> None:
    wrong = f"{sys.executable} -c 'raise SystemExit(\"genrekit: error: no model\")'"
    found = picard(tmp_path / "home", wrong, *tracks)
    assert found["messages"] == ["genrekit: genrekit: error: no model"]
    assert [row["state"] for row in found["shown"]] == ["NORMAL"] * len(tracks)


@with_picard
def test_picards_own_check_of_the_manifest_finds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from picard.plugin3.manifest import PluginManifest\n"
        "print(PluginManifest('genrekit', Path(sys.argv[1]).open('rb')).validate())"
    )
    manifest = PLUGIN / "MANIFEST.toml"
    done = subprocess.run(
        [str(PYTHON), "-c", code, str(manifest)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_plugin_has_the_display_names_of_all_labels_and_our_version() -> None:
    names = {
        label: labels.display_name(label)
        for name in labels.names()
        for label in labels.label_set(name).labels
    }
    kept = json.loads((PLUGIN / "display_names.json").read_text(encoding="utf-8"))
    assert kept == names, "write it anew: python scripts/write_display_names.py"
    manifest = tomllib.loads((PLUGIN / "MANIFEST.toml").read_text(encoding="utf-8"))
    assert __version__.startswith(manifest["version"])
