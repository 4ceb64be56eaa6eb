"""The beets plugin: genres by genrekit on import and by ``beet genrekit [QUERY]``.

``beet genrekit-tree FOLDER`` writes genrekit's genres as the canonical tree and the whitelist of
the plugin lastgenre, so that both plugins write the same names.

In beets' configuration:

    plugins: genrekit
    genrekit:
        auto: yes             # on import
        force: no             # also where there is a genre: replace it
        keep: no              # with force: add to it instead
        top: 1                # how many genres at most
        min_precision: null   # write only where this share of such predictions was right; 0.9
        map: null             # your own genre names: a TOML file, or id3v1, discogs, ...
        style_field: null     # STYLE, GROUPING or SUBGENRE takes a style; the genre is its widest
        model: null           # a model's name or folder
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import confuse
import mediafile
from beets import ui
from beets.exceptions import UserError
from beets.plugins import BeetsPlugin

from genrekit import Classifier
from genrekit.errors import GenrekitError
from genrekit.prediction import FailedFile, Prediction, percent
from genrekit.tagging import lastgenre_tree, policy
from genrekit.tagging.plan_settings import PlanSettings
from genrekit.tags.formats.base import PROVENANCE, STYLE_FIELDS

N_OFFERED = 3
_SEPARATOR = "; "  # of several styles, as beets shows several genres
_STYLE_FIELD = confuse.Optional(confuse.Choice(STYLE_FIELDS))


class GenrekitPlugin(BeetsPlugin):
    """Predicts the genres of items; the provenance goes into a field of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.config.add(
            {
                "auto": True,
                "force": False,
                "keep": False,
                "top": 1,
                "min_precision": None,
                "map": None,
                "style_field": None,
                "model": None,
            }
        )
        self.add_media_field("genrekit", _media_field(PROVENANCE))
        if (style_field := self.config["style_field"].get()) in ("STYLE", "SUBGENRE"):
            self.add_media_field(style_field.lower(), _media_field(style_field))
        if self.config["auto"].get(bool):
            self.import_stages = [self.imported]

    def commands(self) -> list[ui.Subcommand]:
        """Return the commands ``beet genrekit`` and ``beet genrekit-tree``."""
        command = ui.Subcommand("genrekit", help="predict genres")
        command.parser.add_option(
            "-p", "--pretend", action="store_true", help="show what would change; change nothing"
        )
        command.parser.add_option(
            "-f", "--force", action="store_true", help="replace the genres that are there"
        )
        command.parser.add_option(
            "-k", "--keep", action="store_true", help="with --force: add to the genres instead"
        )
        command.parser.add_option(
            "-i", "--interactive", action="store_true", help="ask about each item"
        )
        command.func = self.run
        tree = ui.Subcommand("genrekit-tree", help="write genrekit's genres for lastgenre")
        tree.parser.usage = "%prog FOLDER"
        tree.func = self.write_tree
        return [command, tree]

    def run(self, library: Any, options: Any, query: list[str]) -> None:
        """Predict the genres of a query's items."""
        self.config.set_args(options)
        self._predict(
            library.items(query),
            pretend=bool(options.pretend),
            write=ui.should_write(),
            ask=bool(options.interactive),
        )

    def write_tree(self, library: Any, options: Any, folders: list[str]) -> None:
        """Write the tree and the whitelist, and say how beets' configuration names them.

        Raises:
            UserError: not one folder came, or it cannot be written.
        """
        del library, options
        if len(folders) != 1:
            raise UserError("genrekit-tree: name the folder to write to")
        try:
            tree, whitelist = lastgenre_tree.write(Path(folders[0]).expanduser().absolute())
        except OSError as error:
            raise UserError(f"genrekit-tree: {error.filename}: {error.strerror}") from error
        ui.print_(f"lastgenre:\n    canonical: {tree}\n    whitelist: {whitelist}")

    def imported(self, session: Any, task: Any) -> None:
        """Predict genres on import; whether tags are then written is beets' own setting."""
        del session
        self._predict(task.imported_items(), pretend=False, write=False)

    @cached_property
    def _classifier(self) -> Classifier:
        """The model, loaded for the first item."""
        return Classifier(self.config["model"].get())

    def _policy(self) -> policy.Policy:
        force, keep = self.config["force"].get(bool), self.config["keep"].get(bool)
        path = self.config["map"].get()
        settings = PlanSettings.of(
            mode="append" if force and keep else "replace" if force else "fill-missing",
            top=self.config["top"].get(int),
            min_precision=self.config["min_precision"].get(),
            genre_map=Path(path).expanduser() if path else None,
            style_field=self.config["style_field"].get(_STYLE_FIELD),
        )
        return settings.policy(self._classifier.card)

    def _predict(
        self, items: Iterable[Any], *, pretend: bool, write: bool, ask: bool = False
    ) -> None:
        """Predict those items that may get a genre, and set it.

        Raises:
            UserError: the model or the mapping cannot be used.
        """
        try:
            rules = self._policy()
        except (GenrekitError, OSError, ValueError) as error:
            raise UserError(f"genrekit: {error}") from error
        fills = rules.mode == "fill-missing"
        eligible = [item for item in items if not (fills and _is_complete(item, rules))]
        results = self._classifier.predict_files([item.filepath for item in eligible])
        for item, result in zip(eligible, results, strict=True):
            if isinstance(result, FailedFile):
                self._log.error("{}", result.error)
                continue
            chosen = rules.chosen(result.probabilities)
            if ask:
                answer = _ask(item, rules, result)
                if answer is None:
                    return
                chosen = answer
            if self._set(item, result, rules, chosen) and not pretend:
                item.try_sync(write=write, move=False)

    def _set(
        self,
        item: Any,
        prediction: Prediction,
        rules: policy.Policy,
        chosen: Mapping[str, float],
    ) -> bool:
        """Change an item in memory and show it; return whether there is a change."""
        genres, styles = tuple(item.genres), _styles(item, rules)
        if rules.style_field and chosen:
            wanted = rules.wanted_with_styles(genres, styles, chosen)
        else:
            wanted = rules.wanted(genres, chosen) or genres, styles
        if wanted == (genres, styles):
            self._log.debug("{}: stays; predicted {}", item, prediction.genres[:3])
            return False
        item.genres = list(wanted[0])
        shown = ["genres"]
        if rules.style_field:
            item[rules.style_field.lower()] = _SEPARATOR.join(wanted[1])
            shown.append(rules.style_field.lower())
        item["genrekit"] = policy.provenance(prediction.model, chosen)
        return bool(ui.show_model_changes(item, fields=shown))


def _media_field(name: str) -> mediafile.MediaField:
    """Return where a field of this name stands in each format."""
    return mediafile.MediaField(
        mediafile.MP3DescStorageStyle(name),
        mediafile.MP4StorageStyle(f"----:com.apple.iTunes:{name}"),
        mediafile.StorageStyle(name),
        mediafile.ASFStorageStyle(name),
    )


def _styles(item: Any, rules: policy.Policy) -> tuple[str, ...]:
    """Return what an item's field for styles holds; nothing where there is no such field."""
    text = item.get(rules.style_field.lower(), "") if rules.style_field else ""
    return tuple(filter(None, text.split(_SEPARATOR)))


def _is_complete(item: Any, rules: policy.Policy) -> bool:
    """Return whether an item has a genre, and a style where it could have one."""
    return bool(rules.present(item.genres) and (not rules.style_field or _styles(item, rules)))


def _ask(item: Any, rules: policy.Policy, prediction: Prediction) -> dict[str, float] | None:
    """Let the user choose an item's genre; return it, nothing to leave it, or None to stop."""
    plain = replace(rules, top=N_OFFERED, min_probability=0.0, style_field=None)
    offered = plain.chosen(prediction.probabilities)
    ui.print_(f"\n{item}\n  genres: {'; '.join(item.genres) or '-'}")
    for number, (name, probability) in enumerate(offered.items(), 1):
        ui.print_(f"  {number}. {name} ({percent(probability)})")
    answer = ui.input_options(
        ("Apply", "Skip", "Enter genre", "Quit"),
        prompt="[A]pply the first, its number, Skip, Enter genre, Quit?",
        numrange=(1, max(1, len(offered))),
    )
    names = list(offered)
    if answer == "q":
        return None
    if answer == "e":
        name = ui.input_("Genre:").strip()
        return _written(name, offered.get(name, 0.0), rules) if name else {}
    if answer == "s" or not names:
        return {}
    name = names[0 if answer == "a" else int(answer) - 1]
    return _written(name, offered[name], rules)


def _written(name: str, probability: float, rules: policy.Policy) -> dict[str, float]:
    """Return a name that was chosen, after its widest genre where that is written as well."""
    return dict.fromkeys(rules.with_widest(name), probability)
