"""From probabilities to the genres that a file should hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrekit.errors import LibraryError
from genrekit.models import registry
from genrekit.prediction import ModelReference
from genrekit.tagging import genre_map, policy
from genrekit.tagging.genre_map import GenreMap
from genrekit.tagging.policy import Policy

PREDICTED = {"metal": 0.5, "rock": 0.3, "jazz": 0.15, "disco": 0.05}


def test_the_most_probable_genres_come_first_and_improbable_ones_not_at_all() -> None:
    assert Policy().chosen(PREDICTED) == {"Metal": 0.5}
    assert Policy(top=3, min_probability=0.1).chosen(PREDICTED) == {"Metal": 0.5, "Jazz": 0.15}
    assert Policy(min_probability=0.9).chosen(PREDICTED) == {}


def test_where_no_style_is_sure_enough_its_wider_genre_may_be() -> None:
    assert Policy(min_probability=0.6).chosen(PREDICTED) == {"Rock": pytest.approx(0.8)}
    tree = {"punk": 0.3, "thrash metal": 0.25, "death metal": 0.25, "jazz": 0.2}
    assert Policy(min_probability=0.45).chosen(tree) == {"Metal": 0.5}
    assert Policy(min_probability=0.6).chosen(tree) == {"Rock": pytest.approx(0.8)}


def test_a_genre_stands_beside_its_wider_one_only_where_asked() -> None:
    tree = {"rock": 0.4, "metal": 0.35, "jazz": 0.25}
    assert list(Policy(top=2, min_probability=0.2).chosen(tree)) == ["Rock", "Jazz"]
    asked = Policy(with_parents=True).chosen({"thrash metal": 0.7, "rock": 0.3})
    assert asked == {"Rock": 1.0, "Metal": 0.7, "Thrash Metal": 0.7}


def test_depth_says_how_narrow_a_genre_may_be() -> None:
    tree = {"thrash metal": 0.5, "punk": 0.2, "jazz": 0.3}
    assert Policy(depth=1).chosen(tree) == {"Rock": 0.7}
    assert Policy(depth=2).chosen(tree) == {"Metal": 0.5}
    assert Policy(depth=None).chosen(tree) == {"Thrash Metal": 0.5}


@pytest.mark.parametrize(
    ("mode", "present", "expected"),
    [
        ("fill-missing", ["Blues"], ()),
        ("fill-missing", [], ("Hip-Hop",)),
        ("fill-missing", ["Other"], ("Hip-Hop",)),
        ("fill-missing", ["12"], ("Hip-Hop",)),
        ("append", ["Blues"], ("Blues", "Hip-Hop")),
        ("append", ["hip hop"], ()),
        ("append", ["Unknown"], ("Hip-Hop",)),
        ("append", [], ("Hip-Hop",)),
        ("merge", ["Blues"], ("Blues", "Hip-Hop")),
        ("merge", ["rap", "Blues"], ()),
        ("merge", ["Unknown"], ("Hip-Hop",)),
        ("replace", ["Blues"], ("Hip-Hop",)),
        ("replace", ["rap"], ()),
        ("replace", ["HipHop"], ()),
        ("replace", ["(7)"], ()),
        ("replace", ["Gangsta Rap"], ()),
        ("replace", ["Hip-Hop/Rap"], ()),
        ("replace", ["Blues", "Hip Hop"], ()),
    ],
)
def test_what_becomes_of_the_genres_that_are_there(
    mode: policy.Mode, present: list[str], expected: tuple[str, ...]
) -> None:
    assert Policy(mode).wanted(present, ["Hip-Hop"]) == expected


def test_a_style_takes_the_place_of_its_wider_genre_where_genres_are_merged() -> None:
    assert Policy("merge").wanted(["Rock", "Live"], ["Metal"]) == ("Live", "Metal")
    assert Policy("merge").wanted(["(17)"], ["Metal", "Jazz"]) == ("Metal", "Jazz")
    assert Policy("merge").wanted(["Thrash Metal"], ["Metal"]) == ()
    assert Policy("merge", with_parents=True).wanted(["Rock"], ["Rock", "Metal"]) == (
        "Rock",
        "Metal",
    )
    own = GenreMap(genres={"Loud": ("rock",), "Louder": ("metal",)}, parents={"Louder": "Loud"})
    assert Policy("merge", genre_map=own).wanted(["Loud", "Pop"], ["Louder"]) == ("Pop", "Louder")


def test_a_style_is_added_to_its_wider_genre_only_where_asked() -> None:
    assert Policy("append").wanted(["Rock"], ["Metal"]) == ()
    assert Policy("append", with_parents=True).wanted(["Rock"], ["Metal"]) == ("Rock", "Metal")
    assert Policy("replace").wanted(["Rock"], ["Metal"]) == ("Metal",)


def test_what_a_file_says_already_keeps_its_spelling_beside_what_is_new() -> None:
    assert Policy("replace", top=2).wanted(["rap"], ["Hip-Hop", "Jazz"]) == ("rap", "Jazz")


def test_a_genre_that_the_users_list_means_is_not_written_again() -> None:
    own = GenreMap(genres={"Hip-Hop & Rap": ("hiphop",)})
    assert Policy("replace", genre_map=own).wanted(["trap"], ["Hip-Hop & Rap"]) == ()


def test_placeholders_of_the_user() -> None:
    rules = Policy(placeholders=("my rip",))
    assert rules.wanted(["My Rip"], ["Jazz"]) == ("Jazz",)
    assert Policy().wanted(["My Rip"], ["Jazz"]) == ()


def test_what_is_proposed_is_as_sure_as_nine_of_ten_unless_asked_otherwise() -> None:
    card = registry.read(Path(__file__).parents[1] / "golden" / "tiny").card
    assert policy.least_probability(card) == 0.5
    assert policy.least_probability(card, 0.7) == policy.MIN_PROBABILITY
    assert policy.least_probability(card, 0) == 0
    unmeasured = card.model_copy(update={"precision_curve": ()})
    assert policy.least_probability(unmeasured) == policy.PRECISION
    assert "never measured" in policy.threshold_in_words(unmeasured, None)
    said = "proposed from 50.0 % on, where 90.0 % of the model's validation tracks were right"
    assert policy.threshold_in_words(card, None) == said


def test_a_bound_that_no_precision_asks_for_is_not_explained_by_one() -> None:
    card = registry.find("fast").card
    always = (
        "proposed from 30.0 % on and never below, though 80.0 % of the model's validation tracks "
        "were right whatever the probability; --min-precision 0 proposes every prediction"
    )
    assert policy.threshold_in_words(card, 0.8) == always
    points = [
        card.precision_curve[0].model_copy(update={"threshold": at, "precision": share})
        for at, share in ((0.1, 0.6), (0.2, 0.9), (0.4, 0.95))
    ]
    made = card.model_copy(update={"precision_curve": tuple(points)})
    assert "were right from 20.0 % on;" in policy.threshold_in_words(made, None)
    assert "from 40.0 % on, where 92.0 %" in policy.threshold_in_words(made, 0.92)


def written(own: GenreMap, probabilities: dict[str, float]) -> dict[str, float]:
    """Return everything that a list makes of some probabilities."""
    return Policy(genre_map=own, top=99, min_probability=0).chosen(probabilities)


def test_many_labels_become_one_name_with_the_sum_of_their_probabilities() -> None:
    own = GenreMap(genres={"Heavy": ("metal", "rock"), "Jazz": ()})
    assert written(own, PREDICTED) == {"Heavy": pytest.approx(0.8), "Jazz": 0.15}


def test_a_label_counts_for_its_nearest_wider_genre() -> None:
    own = GenreMap(genres={"Rock": (), "Electronic": ()})
    expected = {"Rock": pytest.approx(0.8), "Electronic": 0.05}
    assert written(own, PREDICTED) == expected
    assert own.chain("thrash metal") == ("Rock",)
    nearer = GenreMap(genres={"Rock": (), "Metal": ()})
    assert nearer.chain("thrash metal") == ("Metal", "Rock")
    assert GenreMap(genres={"Rock": ()}, roll_up=False).chain("metal") == ()


def test_what_has_no_name_is_dropped_or_kept() -> None:
    assert GenreMap(genres={"Rock": ()}).chain("jazz") == ()
    assert GenreMap(genres={"Rock": ()}, keep_others=True).chain("jazz") == ("Jazz",)
    dropping = GenreMap(genres={"Rock": ()}, drop=("metal",), keep_others=True)
    assert written(dropping, PREDICTED) == {"Rock": 0.3, "Jazz": 0.15, "Disco": 0.05}


def test_a_name_is_not_written_where_something_without_a_name_is_more_probable() -> None:
    own = GenreMap(genres={"Jazz": (), "Rock": ()}, roll_up=False)
    predicted = {"metal": 0.45, "rock": 0.4, "jazz": 0.15}
    assert Policy(genre_map=own).chosen(predicted) == {}
    assert Policy(genre_map=own, top=2).chosen(predicted) == {"Rock": 0.4}


@given(st.dictionaries(st.sampled_from([*PREDICTED, "blues", "pop"]), st.floats(0, 1), min_size=1))
def test_rolling_up_neither_makes_nor_loses_probability(probabilities: dict[str, float]) -> None:
    own = GenreMap(genres={"Rock": (), "Other": ("jazz", "pop")}, keep_others=True)
    assert sum(written(own, probabilities).values()) == pytest.approx(sum(probabilities.values()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[genres]\nRock = ['rokc']", "unknown label 'rokc'; did you mean 'rock'"),
        ("drop = ['jaz']\n[genres]\nRock = []", "unknown label 'jaz'; did you mean 'jazz'"),
        ("[genres]\nRock = ['metal']\nMetal = []", "'Metal' belongs to both 'Rock' and 'Metal'"),
        ("[genres]\nRock = 'metal'", "is not a mapping"),
        ("colour = 1\n[genres]", "colour"),
        ("genres = [", "not a TOML file"),
        ("[genres]\na = []\nb = []\n[parents]\na = 'b'\nb = 'a'", "form a cycle"),
        ("[genres]\na = []\n[parents]\na = 'c'", "unknown genre in parents 'c'"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(content)
    with pytest.raises(LibraryError, match=message):
        genre_map.read_map(path).check(PREDICTED)


def test_provenance_says_who_and_how_sure() -> None:
    model = ModelReference(name="fast", version="1", sha256="ab" * 32)
    said = json.loads(policy.provenance(model, {"Rock & Pöp": 0.83456}))
    assert said == {
        "model": "fast",
        "version": "1",
        "sha256": "abababababab",
        "genres": {"Rock & Pöp": 0.835},
    }


def test_a_style_with_a_field_of_its_own_goes_there_and_its_widest_genre_is_the_genre() -> None:
    tree = {"thrash metal": 0.6, "disco": 0.3, "rock": 0.1}
    by_depth = {}
    for depth in (2, None):
        rules = Policy(depth=depth, min_probability=0.2, top=2, style_field="STYLE")
        chosen = rules.chosen(tree)
        by_depth[depth] = rules.divided(chosen)
        assert chosen["Rock"] == pytest.approx(0.7)
    assert by_depth[2] == (("Rock", "Electronic"), ("Metal", "Disco"))
    assert by_depth[None] == (("Rock", "Electronic"), ("Thrash Metal", "Disco"))
    plain = Policy(style_field="STYLE")
    assert plain.divided(plain.chosen({"jazz": 1.0})) == (("Jazz",), ())


@pytest.mark.parametrize(
    ("mode", "genres", "styles", "expected"),
    [
        ("fill-missing", (), (), (("Rock",), ("Metal",))),
        ("fill-missing", ("Other",), (), (("Rock",), ("Metal",))),
        ("fill-missing", (), ("Mine",), (("Rock",), ("Mine",))),
        ("fill-missing", ("rock",), (), (("rock",), ("Metal",))),
        ("fill-missing", ("Rock", "Other"), (), (("Rock", "Other"), ("Metal",))),
        ("fill-missing", ("Indie Rock",), (), (("Indie Rock",), ())),
        ("fill-missing", ("Thrash Metal",), (), (("Thrash Metal",), ())),
        ("fill-missing", ("Rock",), ("Punk",), (("Rock",), ("Punk",))),
        ("fill-missing", ("Jazz",), (), (("Jazz",), ())),
        ("append", ("Jazz",), ("Bop",), (("Jazz", "Rock"), ("Bop", "Metal"))),
        ("append", ("Thrash Metal",), (), (("Thrash Metal",), ())),
        ("append", ("Rock",), ("metal",), (("Rock",), ("metal",))),
        ("merge", ("Jazz",), ("Bop",), (("Jazz", "Rock"), ("Bop", "Metal"))),
        ("replace", ("Jazz",), ("Bop",), (("Rock",), ("Metal",))),
        ("replace", ("Thrash Metal",), (), (("Rock",), ("Thrash Metal",))),
        ("replace", ("rock",), ("heavy metal",), (("rock",), ("heavy metal",))),
    ],
)
def test_what_becomes_of_genres_and_styles_that_are_there(
    mode: policy.Mode,
    genres: tuple[str, ...],
    styles: tuple[str, ...],
    expected: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    rules = Policy(mode, style_field="STYLE")
    chosen = rules.chosen({"metal": 0.9, "jazz": 0.1})
    assert rules.wanted_with_styles(genres, styles, chosen) == expected


def test_a_field_for_styles_is_never_emptied() -> None:
    rules = Policy("replace", style_field="GROUPING")
    chosen = rules.chosen({"jazz": 1.0})
    assert rules.wanted_with_styles(("Rock",), ("Wedding",), chosen) == (("Jazz",), ("Wedding",))
