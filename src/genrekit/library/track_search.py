"""Windows of a library's table: sorted, filtered and searched in SQLite, quick for 100,000 files.

An order of all files, and the files that meet some conditions, are kept until the index changes.
So a window further down costs no more than the first one.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.library import track_index
from genrekit.library.query import UsedModel
from genrekit.library.track_index import LAST, Flag
from genrekit.library.track_query import Filter, Sort, TrackQuery

Ids = NDArray[np.int64]
_N_KEPT = 24  # results of SQLite, 0.8 MB each for 100,000 files
_COLUMNS: dict[Sort, tuple[str, str]] = {  # and what is true of a file that has no value there
    "path": ("path_key", "path_key IS NULL"),
    "artist": ("artist_key", f"artist_key = '{LAST}'"),
    "title": ("title_key", f"title_key = '{LAST}'"),
    "album": ("album_key", f"album_key = '{LAST}'"),
    "tag": ("tag_key", f"tag_key = '{LAST}'"),
    "label": ("label", "label IS NULL"),
    "probability": ("probability", "probability IS NULL"),
    "agreement": ("agreement", "agreement = 'none'"),
    "duration": ("duration_seconds", "duration_seconds IS NULL"),
}
_HERE = f"NOT flags & {int(Flag.GONE)}"
_ANALYSED = f"{_HERE} AND flags & {int(Flag.ANALYSED)}"
CONDITIONS: dict[Filter, str] = {
    "all": _HERE,
    "disagrees": f"{_ANALYSED} AND flags & {int(Flag.DISAGREES)}",
    "missing": f"{_HERE} AND flags & {int(Flag.UNTAGGED)}",
    "below": f"{_ANALYSED} AND probability < :threshold",
    "failed": f"{_HERE} AND flags & {int(Flag.FAILED)}",
    "gone": f"flags & {int(Flag.GONE)}",
}


@dataclass(frozen=True)
class Window:
    """A part of a table: ids of files, how many there are in all, and the index's revision."""

    ids: list[int]
    total: int
    revision: int


class TrackTable:
    """A library's table. One thread at a time may use it."""

    def __init__(self, model: UsedModel, threshold: float) -> None:
        """Describe a table.

        Args:
            model: whose labels its genres are.
            threshold: probabilities below count as "below".
        """
        self._model, self._threshold = model, threshold
        self._kept: OrderedDict[Hashable, Ids] = OrderedDict()

    def ids(self, connection: sqlite3.Connection, wanted: TrackQuery) -> Ids:
        """Return the ids of all files of a query, in order."""
        revision = track_index.state(connection).revision
        order = self._keep(
            (revision, wanted.sort, wanted.descending),
            lambda: _order(connection, wanted.sort, wanted.descending),
        )
        conditions, values = self._conditions(wanted)
        chosen = self._keep(
            (revision, tuple(conditions), json.dumps(values)),
            lambda: _matching(connection, conditions, values),
        )
        if not len(order) or not len(chosen):
            return chosen[:0]
        is_chosen = np.zeros(max(int(order.max()), int(chosen.max())) + 1, np.bool_)
        is_chosen[chosen] = True
        return order[is_chosen[order]]

    def window(
        self, connection: sqlite3.Connection, wanted: TrackQuery, offset: int, limit: int
    ) -> Window:
        """Return a part of a query's files."""
        revision = track_index.state(connection).revision
        found = self.ids(connection, wanted)
        return Window(found[offset : offset + limit].tolist(), len(found), revision)

    def counts(self, connection: sqlite3.Connection) -> dict[str, int]:
        """Return how many files each filter gives."""
        sums = ", ".join(f"sum({condition} AND 1)" for condition in CONDITIONS.values())
        row = connection.execute(
            f"SELECT {sums} FROM track_index",  # noqa: S608 - constants
            {"threshold": self._threshold},
        ).fetchone()
        return {name: n or 0 for name, n in zip(CONDITIONS, row, strict=True)}

    def _keep(self, key: Hashable, make: Any) -> Ids:
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _conditions(self, wanted: TrackQuery) -> tuple[list[str], dict[str, Any]]:
        conditions = [CONDITIONS[wanted.filter]]
        values: dict[str, Any] = {"threshold": self._threshold}
        if wanted.genre is not None:
            conditions.append("label IN (SELECT value FROM json_each(:labels))")
            values["labels"] = json.dumps(narrower(wanted.genre, self._model.labels))
        if wanted.min_probability is not None:
            conditions.append("probability >= :min_probability")
            values["min_probability"] = wanted.min_probability
        if wanted.max_probability is not None:
            conditions.append("probability <= :max_probability")
            values["max_probability"] = wanted.max_probability
        for number, word in enumerate(wanted.search.split()):
            conditions.append(f"instr(words, :word{number})")
            values[f"word{number}"] = track_index.key(word)
        return conditions, values


def narrower(genre: str, known: Sequence[str]) -> list[str]:
    """Return those labels that are a genre or lie below it in the trees of genres.

    >>> narrower("rock", ["metal", "rock", "jazz"])
    ['metal', 'rock']
    """
    name = labels.spelling(genre)
    return [label for label in known if name in map(labels.spelling, (label, *labels.wider(label)))]


def _order(connection: sqlite3.Connection, sort: Sort, descending: bool) -> Ids:
    column, absent = _COLUMNS[sort]
    direction = "DESC" if descending else "ASC"
    return _ids(
        connection,
        f"SELECT file_id FROM track_index ORDER BY {absent}, {column} {direction}, path_key",  # noqa: S608
        {},
    )


def _matching(
    connection: sqlite3.Connection, conditions: Sequence[str], values: dict[str, Any]
) -> Ids:
    where = " AND ".join(conditions)
    return _ids(connection, f"SELECT file_id FROM track_index WHERE {where}", values)  # noqa: S608


def _ids(connection: sqlite3.Connection, statement: str, values: dict[str, Any]) -> Ids:
    return np.fromiter((row[0] for row in connection.execute(statement, values)), np.int64)
