"""What a user says of the genres to propose, whoever asks: checked once, and made into rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genrekit.errors import LibraryError, TagError
from genrekit.models import registry
from genrekit.tagging.plan_settings import PlanSettings
from genrekit.tagging.policy import Policy, least_probability

CARD = registry.read(Path(__file__).parents[1] / "golden" / "tiny").card


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style_field": "STYLE", "depth": 1}, "cannot be had with depth 1"),
        ({"style_field": "STYLE", "with_parents": True}, "cannot be had with wider genres"),
        ({"style_field": "MOOD"}, "style_field: "),
        ({"top": 0}, "top: "),
        ({"min_precision": 1.5}, "min_precision: "),
        ({"placeholders": [""]}, "placeholders: "),
        ({"depht": 1}, "depht: "),
    ],
)
def test_what_cannot_be_is_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(LibraryError) as caught:
        PlanSettings.of(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_follow_from_settings_and_the_model() -> None:
    rules = PlanSettings().policy(CARD)
    assert rules == Policy(min_probability=least_probability(CARD))
    asked = {"mode": "merge", "top": 3, "by_album": True, "depth": 2, "with_parents": True}
    found = PlanSettings.of(**asked, min_precision=0, placeholders=["x"], genre_map="discogs")
    rules = found.policy(CARD)
    assert {name: getattr(rules, name) for name in asked} == asked
    assert (rules.min_probability, rules.placeholders) == (0, ("x",))
    assert rules.genre_map is not None
    assert rules.genre_map.chain("hiphop") == ("Hip Hop",)
    assert PlanSettings(style_field="GROUPING").policy(CARD).style_field == "GROUPING"


def test_lists_and_profiles_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[genres]\nRock = ["rokc"]\n')
    with pytest.raises(LibraryError, match="rokc"):
        PlanSettings(genre_map=own).policy(CARD)
    with pytest.raises(TagError, match="did you mean 'plex'"):
        PlanSettings(profile="plax").form()
