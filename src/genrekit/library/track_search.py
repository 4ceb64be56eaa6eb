"""Windows of a library's table: sorted, filtered and searched in SQLite, quick for 100,000 files.

An order of all files, and the files that meet some conditions, are kept until the index changes.
So a window further down costs no more than the first one.
"""

from __future__ import annotations

import json
import operator
import sqlite3
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genrekit import labels
from genrekit.library import embedding_map, track_index
from genrekit.library.embedding_map import LibraryMap
from genrekit.library.keys import LAST, key
from genrekit.library.query import UsedModel
from genrekit.library.track_index import Flag
from genrekit.library.track_query import Filter, Sort, TrackQuery

Ids = NDArray[np.int32]
Orders = tuple[Ids, Ids]  # ascending and descending
_ID = np.int32  # SQLite numbers the files from 1 on
_N_KEPT = 24  # results of SQLite, 0.4 MB each for 100,000 files
_COLUMNS: dict[Sort, tuple[str, str]] = {  # and what is true of a file that has a value there
    "artist": ("artist_key", f"artist_key < '{LAST}'"),
    "title": ("title_key", f"title_key < '{LAST}'"),
    "album": ("album_key", f"album_key < '{LAST}'"),
    "tag": ("tag_key", f"tag_key < '{LAST}'"),
    "label": ("label", "label IS NOT NULL"),
    "probability": ("probability", "probability IS NOT NULL"),
    "agreement": ("agreement", "agreement <> 'none'"),
    "duration": ("duration_seconds", "duration_seconds IS NOT NULL"),
}
# Else SQLite takes the index of one column, and reads every row that it leads to.
_FACTS = "track_index INDEXED BY track_index_facts"
_HERE = f"NOT flags & {int(Flag.GONE)}"
_ANALYSED = f"{_HERE} AND flags & {int(Flag.ANALYSED)}"
CONDITIONS: dict[Filter, str] = {
    "all": _HERE,
    "disagrees": f"{_ANALYSED} AND flags & {int(Flag.DISAGREES)}",
    "missing": f"{_HERE} AND flags & {int(Flag.UNTAGGED)}",
    "placeholder": f"{_HERE} AND flags & {int(Flag.PLACEHOLDER)}",
    "not_music": f"{_ANALYSED} AND flags & {int(Flag.NOT_MUSIC)}",
    "below": f"{_ANALYSED} AND probability < :threshold",
    "failed": f"{_HERE} AND flags & {int(Flag.FAILED)}",
    "corrected": f"{_HERE} AND flags & {int(Flag.CORRECTED)}",
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
        self._revision = 0  # of the index that all of the following was read from
        self._kept: OrderedDict[Hashable, Ids] = OrderedDict()
        self._orders: dict[Sort, Orders] = {}
        self._map: LibraryMap | None = None
        self._counts: dict[str, int] | None = None
        self._n_by_label: dict[str, int] | None = None

    def ids(self, connection: sqlite3.Connection, wanted: TrackQuery) -> Ids:
        """Return the ids of all files of a query, in order."""
        self._forget_old(connection)
        return self._keep(wanted, lambda: self._found(connection, wanted))

    def window(
        self, connection: sqlite3.Connection, wanted: TrackQuery, offset: int, limit: int
    ) -> Window:
        """Return a part of a query's files."""
        found = self.ids(connection, wanted)
        ids = found[offset : offset + limit].tolist()
        return Window(ids, len(found), self._revision)

    def prepare(self, connection: sqlite3.Connection) -> bool:
        """Sort by one more column, so that nobody has to wait for it; return whether one was left.

        Until the index changes.
        """
        self._forget_old(connection)
        for sort in ("path", *_COLUMNS):
            if sort not in self._orders:
                self._order(connection, sort)
                return True
        return False

    def map(self, connection: sqlite3.Connection) -> LibraryMap:
        """Return the points of the library's files, read again after every change."""
        self._forget_old(connection)
        return self._points(connection)

    def counts(self, connection: sqlite3.Connection) -> dict[str, int]:
        """Return how many files each filter gives."""
        self._forget_old(connection)
        if self._counts is None:
            self._counts = _counts(connection, self._threshold)
        return self._counts

    def n_by_label(self, connection: sqlite3.Connection) -> dict[str, int]:
        """Return of how many files that are there each label is the most probable one."""
        self._forget_old(connection)
        if self._n_by_label is None:
            statement = f"SELECT label, count(*) FROM {_FACTS} WHERE {_HERE} GROUP BY label"  # noqa: S608
            self._n_by_label = dict(connection.execute(statement).fetchall())
        return self._n_by_label

    def _forget_old(self, connection: sqlite3.Connection) -> None:
        """Forget what was read from the index before its last change."""
        revision = track_index.revision(connection)
        if revision != self._revision:
            self._revision = revision
            self._kept.clear()
            self._orders.clear()
            self._map = self._counts = self._n_by_label = None

    def _points(self, connection: sqlite3.Connection) -> LibraryMap:
        if self._map is None:
            self._map = embedding_map.points(connection, self._model)
        return self._map

    def _found(self, connection: sqlite3.Connection, wanted: TrackQuery) -> Ids:
        order = self._order(connection, wanted.sort)[wanted.descending]
        conditions, values = self._conditions(wanted)
        kept = [self._matching(connection, conditions, values)]
        if words := tuple(map(key, wanted.search.split())):
            kept.append(self._keep(("words", words), partial(_with_words, connection, words)))
        if wanted.lasso:
            kept.append(self._points(connection).inside(wanted.lasso).astype(_ID))
        for chosen in kept:
            if not len(order) or not len(chosen):
                return order[:0]
            is_chosen = np.zeros(max(int(order.max()), int(chosen.max())) + 1, np.bool_)
            is_chosen[chosen] = True
            order = order[is_chosen[order]]
        return order

    def _order(self, connection: sqlite3.Connection, sort: Sort) -> Orders:
        """Return all files in an order, and in the other direction."""
        orders = self._orders
        if "path" not in orders:
            found = _ids(connection, "SELECT file_id FROM track_index ORDER BY path_key", {})
            orders["path"] = found, found[::-1]
        if sort not in orders:
            orders[sort] = _sorted(connection, sort, orders["path"][0])
        return orders[sort]

    def _matching(
        self,
        connection: sqlite3.Connection,
        conditions: Sequence[str],
        values: dict[str, Any],
    ) -> Ids:
        where = " AND ".join(conditions)
        statement = f"SELECT file_id FROM {_FACTS} WHERE {where}"  # noqa: S608 - constants
        key = (where, *sorted(values.items()))
        return self._keep(key, lambda: _ids(connection, statement, values))

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
        return conditions, values


def narrower(genre: str, known: Sequence[str]) -> list[str]:
    """Return those labels that are a genre or lie below it in the trees of genres.

    >>> narrower("rock", ["metal", "rock", "jazz"])
    ['metal', 'rock']
    """
    name = labels.spelling(genre)
    return [label for label in known if name in map(labels.spelling, (label, *labels.wider(label)))]


def _counts(connection: sqlite3.Connection, threshold: float) -> dict[str, int]:
    """Count by every condition, over groups of files that are alike in all of them."""
    sums = ", ".join(f"sum(CASE WHEN {its} THEN n ELSE 0 END)" for its in CONDITIONS.values())
    row = connection.execute(
        f"SELECT {sums} FROM (SELECT flags, min(probability) AS probability, count(*) AS n "  # noqa: S608
        f"FROM {_FACTS} GROUP BY flags, probability < :threshold)",
        {"threshold": threshold},
    ).fetchone()
    return {name: n or 0 for name, n in zip(CONDITIONS, row, strict=True)}


def _sorted(connection: sqlite3.Connection, sort: Sort, paths: Ids) -> Orders:
    """Return all files sorted by a column in both directions, those of one value by their paths.

    Those that have no value come last in either direction.
    """
    column, is_there = _COLUMNS[sort]
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are quicker
    rows = cursor.execute(
        f"SELECT file_id, {column} FROM track_index WHERE {is_there} ORDER BY {column}"  # noqa: S608
    ).fetchall()
    found = np.fromiter((row[0] for row in rows), _ID, len(rows))
    values = [row[1] for row in rows]
    is_another = np.fromiter(map(operator.ne, values[1:], values), np.bool_, max(len(rows) - 1, 0))
    places = np.concatenate([[0], np.cumsum(is_another)])[: len(rows)]  # of each file's value
    rank = np.zeros(int(paths.max()) + 1 if len(paths) else 1, np.int64)
    rank[paths] = np.arange(len(paths))
    is_absent = np.ones(len(rank), np.bool_)
    is_absent[found] = False
    absent = paths[is_absent[paths]]
    ascending, descending = (
        np.concatenate([found[np.lexsort((rank[found], keys))], absent])
        for keys in (places, -places)
    )
    return ascending, descending


def _with_words(connection: sqlite3.Connection, words: Sequence[str]) -> Ids:
    longest_first = sorted(words, key=len, reverse=True)  # the rarest, as a rule
    conditions = " AND ".join("instr(words, ?)" for _ in words)
    statement = f"SELECT file_id FROM track_words WHERE {conditions}"  # noqa: S608 - no value in it
    return _ids(connection, statement, longest_first)


def _ids(connection: sqlite3.Connection, statement: str, values: Any) -> Ids:
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are quicker
    return np.fromiter((row[0] for row in cursor.execute(statement, values)), _ID)
