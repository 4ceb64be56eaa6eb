from __future__ import annotations

from pathlib import Path

import pytest

from genrekit import labels
from genrekit.errors import DatasetError


@pytest.mark.parametrize("name", labels.names())
def test_every_label_set_reads_and_knows_its_own_labels_and_aliases(name: str) -> None:
    label_set = labels.label_set(name)
    assert label_set.name == name
    assert len(label_set.labels) >= 2
    for label, aliases in label_set.aliases.items():
        assert [label_set.canonical(spelled) for spelled in (label, *aliases)] == [label] * (
            1 + len(aliases)
        )


@pytest.mark.parametrize("spelled", ["hiphop", "Hip-Hop", "HIP HOP", "hip_hop", " rap "])
def test_every_spelling_of_hiphop_is_one_label(spelled: str) -> None:
    assert labels.label_set("gtzan").canonical(spelled) == "hiphop"
    assert labels.label_set("fma_small").canonical(spelled) == "Hip-Hop"
    assert spelled in labels.label_set("gtzan")


def test_gtzan_has_its_ten_genres_in_order() -> None:
    genres = "blues classical country disco hiphop jazz metal pop reggae rock"
    assert labels.label_set("gtzan").labels == tuple(genres.split())


def test_an_unknown_label_names_the_nearest() -> None:
    with pytest.raises(DatasetError, match="unknown gtzan label 'jaz'; did you mean 'jazz'"):
        labels.label_set("gtzan").canonical("jaz")
    assert "jaz" not in labels.label_set("gtzan")
    assert 3 not in labels.label_set("gtzan")


def test_an_unknown_label_set_names_the_nearest() -> None:
    with pytest.raises(DatasetError, match="did you mean 'gtzan'"):
        labels.label_set("gtzam")


def test_other_scripts_are_spellings_too() -> None:
    assert labels.spelling("ロック") == "ロック"
    assert labels.spelling("ÉLECTRO") == labels.spelling("électro")


def test_wider_genres_by_any_spelling() -> None:
    assert labels.wider("thrash-metal") == ["metal", "rock"]
    assert labels.wider("Drum & Bass") == ["electronic"]
    assert labels.wider("jazz") == []
    assert labels.is_known("HipHop")
    assert not labels.is_known("jaz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('name = "x"\n[aliases]\na = ["b"]\nb = []\n', "means both 'a' and 'b'"),
        ('name = "x"\n', "exactly `name`, a table"),
        ('name = "x"\ncolour = 1\n[aliases]\na = []\n', "exactly `name`, a table"),
        ('name = "x"\n[aliases]\na = "b"\n', "a list of strings"),
        ('name = "x"\n[aliases]\n', "a list of strings"),
        ('name = "x"\n[aliases]\na = []\n[parents]\na = 1\n', "one label each"),
        ('name = "x"\n[aliases]\na = []\nb = []\n[parents]\na = "b"\nb = "a"\n', "form a cycle"),
        ('name = "x"\n[aliases]\na = []\n[parents]\na = "c"\n', "unknown x label 'c'"),
        ("name =", "not a TOML file"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        labels.read(path)
