"""The options for which genres to propose, shared by planning and watching."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genrekit.cli import console
from genrekit.cli.options import check_share_or_zero, option

if TYPE_CHECKING:
    from genrekit.tagging.plan_settings import PlanSettings
    from genrekit.tagging.policy import Mode
    from genrekit.tags.profiles import Profile

_PANEL: dict[str, Any] = {"rich_help_panel": "What is proposed"}
AsMissing = Annotated[
    list[str] | None,
    option("Count this genre as missing, like Other and Unknown; repeat for several.", **_PANEL),
]
MapFile = Annotated[
    Path | None,
    option(
        "Your genre names: a TOML file, or id3v1, discogs, ten-genres, beets.", "--map", **_PANEL
    ),
]
ProfileName = Annotated[str, option("The form of genres for your player.", **_PANEL)]


@dataclass(frozen=True, kw_only=True)
class ProposalOptions:
    """Which files get genres, and which genres, as ``tag plan`` and ``watch --tag`` take it."""

    fill_missing: Annotated[
        bool,
        option(
            "Write only into files without a genre, or with Other, Unknown ...: the default.",
            **_PANEL,
        ),
    ] = False
    append: Annotated[bool, option("Add to the genres that a file has.", **_PANEL)] = False
    merge: Annotated[
        bool, option("Add to them, but let a style replace its wider genre.", **_PANEL)
    ] = False
    replace: Annotated[bool, option("Replace the genres that a file has.", **_PANEL)] = False
    top: Annotated[int, option("Write at most this many genres.", min=1, **_PANEL)] = 1
    depth: Annotated[
        Literal["1", "2", "all"],
        option(
            "Write only the widest genres (1), their styles too (2), or all that is predicted.",
            **_PANEL,
        ),
    ] = "all"
    parents: Annotated[bool, option("Write a style's wider genres before it.", **_PANEL)] = False
    style_field: Annotated[
        Literal["STYLE", "GROUPING", "SUBGENRE"] | None,
        option("Write a style into this field, and its widest genre as the genre.", **_PANEL),
    ] = None
    min_precision: Annotated[
        float | None,
        option(
            "Write only predictions that reached this precision in validation; 0 writes all.",
            callback=check_share_or_zero,
            show_default="0.9",
            **_PANEL,
        ),
    ] = None
    as_missing: AsMissing = None
    map_file: MapFile = None
    profile: ProfileName = "standard"

    def is_default(self) -> bool:
        """Return whether all of these options have their defaults."""
        return all(
            getattr(self, each.name) in (each.default, [])
            for each in dataclasses.fields(ProposalOptions)
        )

    def settings(self, *, by_album: bool = False) -> PlanSettings:
        """Return what these options ask for.

        Raises:
            typer.BadParameter: two of them exclude each other.
        """
        from genrekit.errors import LibraryError
        from genrekit.tagging.plan_settings import PlanSettings

        try:
            return PlanSettings.of(
                mode=self._mode(),
                by_album=by_album,
                top=self.top,
                min_precision=self.min_precision,
                depth=None if self.depth == "all" else int(self.depth),
                with_parents=self.parents,
                style_field=self.style_field,
                placeholders=tuple(self.as_missing or ()),
                genre_map=self.map_file,
                profile=self.profile,
            )
        except LibraryError as error:
            raise typer.BadParameter(str(error)) from error

    def _mode(self) -> Mode:
        """Return what to do with existing genres.

        Raises:
            typer.BadParameter: several things at once.
        """
        modes: tuple[Mode, ...] = ("fill-missing", "append", "merge", "replace")
        chosen = [mode for mode in modes if getattr(self, mode.replace("-", "_"))]
        if len(chosen) > 1:
            raise typer.BadParameter(f"--{' and --'.join(chosen)} exclude each other; give one")
        return chosen[0] if chosen else "fill-missing"


def note_cut(profile: Profile, genres: Iterable[str]) -> None:
    """Warn about genres that the player of a profile would read as several."""
    if cut := profile.cut(genres):
        console.say(
            f"note: {profile.name} splits genres at any of {profile.cuts_at} and would read "
            f"several in {', '.join(cut)}; give them other names with --map"
        )
