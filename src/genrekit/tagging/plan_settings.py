"""What a user says of the genres to propose: the same for the command line, the page and beets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from genrekit.errors import LibraryError
from genrekit.models.card import ModelCard
from genrekit.strict import StrictModel
from genrekit.tagging import genre_map
from genrekit.tagging.plan_files import MAX_CHARACTERS, MAX_GENRES
from genrekit.tagging.policy import Mode, Policy, least_probability
from genrekit.tags import profiles
from genrekit.tags.formats.base import StyleField
from genrekit.tags.profiles import Profile

Placeholder = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]


class PlanSettings(StrictModel):
    """Which files get genres, which genres, and in which form; see ``tagging.policy.Policy``.

    ``min_precision`` None asks for the model's 90 % precision, where that was measured, and 0 for
    everything. ``depth`` 1 writes the widest genres only, 2 their styles, None what is predicted;
    ``with_parents`` writes a style's wider genres before it. ``style_field`` takes a style, and the
    genre is its widest one. ``genre_map`` is the user's list of names, or the name of one that
    comes with genrekit; ``profile`` is the form that a player wants.
    """

    mode: Mode = "fill-missing"
    by_album: bool = False
    top: Annotated[int, Field(ge=1, le=MAX_GENRES)] = 1
    min_precision: Annotated[float, Field(ge=0, le=1)] | None = None
    depth: Annotated[int, Field(ge=1, le=9)] | None = None
    with_parents: bool = False
    style_field: StyleField | None = None
    placeholders: Annotated[tuple[Placeholder, ...], Field(max_length=100)] = ()
    genre_map: Path | None = None
    profile: str = profiles.DEFAULT

    @classmethod
    def of(cls, **values: Any) -> PlanSettings:
        """Return the settings that somebody gave.

        Raises:
            LibraryError: a value is wrong, or two exclude each other.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            place = "".join(f"{name}: " for name in first["loc"][:1])
            raise LibraryError(place + first["msg"].removeprefix("Value error, ")) from error

    @model_validator(mode="after")
    def _writes_styles(self) -> PlanSettings:
        """Refuse a field for styles where no style is written, or where it stands as a genre."""
        if self.style_field and (self.with_parents or self.depth == 1):
            other = "wider genres before it" if self.with_parents else "depth 1, which has no style"
            raise ValueError(f"a style in a field of its own cannot be had with {other}")
        return self

    def policy(self, card: ModelCard) -> Policy:
        """Return the rules that these settings are for a model.

        Raises:
            LibraryError: the user's list cannot be read, or names a label that nobody knows.
            ModelError: the model cannot promise the precision that is asked for.
        """
        own = genre_map.read_map(self.genre_map) if self.genre_map else None
        if own:
            own.check(card.labels)
        return Policy(
            self.mode,
            self.top,
            least_probability(card, self.min_precision),
            own,
            self.by_album,
            depth=self.depth,
            with_parents=self.with_parents,
            placeholders=self.placeholders,
            style_field=self.style_field,
        )

    def form(self) -> Profile:
        """Return the form that genres are written in.

        Raises:
            TagError: no profile has this name.
        """
        return profiles.find(self.profile)
