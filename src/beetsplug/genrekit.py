"""The beets plugin: genres by genrekit on import and by ``beet genrekit [QUERY]``.

In beets' configuration:

    plugins: genrekit
    genrekit:
        auto: yes             # on import
        force: no             # also where there is a genre: replace it
        keep: no              # with force: add to it instead
        top: 1                # how many genres at most
        min_precision: null   # write only where this share of such predictions was right
        map: null             # your own genre names, a TOML file
        model: null           # a model's name or folder
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import mediafile
from beets import ui
from beets.exceptions import UserError
from beets.plugins import BeetsPlugin

from genrekit import Classifier
from genrekit.errors import GenrekitError
from genrekit.prediction import FailedFile, Prediction
from genrekit.tagging import genre_map, policy
from genrekit.tags.formats.base import PROVENANCE


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
                "model": None,
            }
        )
        field = mediafile.MediaField(
            mediafile.MP3DescStorageStyle(PROVENANCE),
            mediafile.MP4StorageStyle(f"----:com.apple.iTunes:{PROVENANCE}"),
            mediafile.StorageStyle(PROVENANCE),
            mediafile.ASFStorageStyle(PROVENANCE),
        )
        self.add_media_field("genrekit", field)
        if self.config["auto"].get(bool):
            self.import_stages = [self.imported]

    def commands(self) -> list[ui.Subcommand]:
        """Return the command ``beet genrekit``."""
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
        command.func = self.run
        return [command]

    def run(self, library: Any, options: Any, query: list[str]) -> None:
        """Predict the genres of a query's items."""
        self.config.set_args(options)
        self._predict(library.items(query), pretend=bool(options.pretend), write=ui.should_write())

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
        return policy.Policy(
            mode="append" if force and keep else "replace" if force else "fill-missing",
            top=self.config["top"].get(int),
            min_probability=policy.least_probability(
                self._classifier.card, self.config["min_precision"].get()
            ),
            genre_map=genre_map.read_map(Path(path).expanduser()) if path else None,
        )

    def _predict(self, items: Iterable[Any], *, pretend: bool, write: bool) -> None:
        """Predict those items that may get a genre, and set it.

        Raises:
            UserError: the model or the mapping cannot be used.
        """
        try:
            rules = self._policy()
            if rules.genre_map:
                rules.genre_map.check(self._classifier.labels)
        except (GenrekitError, OSError, ValueError) as error:
            raise UserError(f"genrekit: {error}") from error
        eligible = [item for item in items if rules.mode != "fill-missing" or not item.genres]
        results = self._classifier.predict_files([item.filepath for item in eligible])
        for item, result in zip(eligible, results, strict=True):
            if isinstance(result, FailedFile):
                self._log.error("{}", result.error)
            elif self._set(item, result, rules) and not pretend:
                item.try_sync(write=write, move=False)

    def _set(self, item: Any, prediction: Prediction, rules: policy.Policy) -> bool:
        """Change an item in memory and show it; return whether there is a change."""
        chosen = rules.chosen(prediction.probabilities)
        target = rules.wanted(item.genres, chosen)
        if not target:
            self._log.debug("{}: stays; predicted {}", item, prediction.genres[:3])
            return False
        item.genres = list(target)
        item["genrekit"] = policy.provenance(prediction.model, chosen)
        return bool(ui.show_model_changes(item, fields=["genres"]))
