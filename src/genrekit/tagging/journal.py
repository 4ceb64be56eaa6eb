"""The journal of tag changes in the library database: what was written, and how to undo it.

A change goes through these states, each committed to the disk before the next step begins:

    planned   its temporary file may be there; the file itself is as it was
    written   the temporary file is complete; it may have taken the file's place
    done      the file holds the new genre
    undoing   as written, on the way back
    undone    the file is as it was, to the byte

After a crash the file's own hash says on which side of the rename it is.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from genrekit import files
from genrekit.errors import LibraryError, TagError
from genrekit.library import database, store
from genrekit.tagging.plan_files import PlanEntry, TagPlan
from genrekit.tags import formats

OPEN_STATES = ("planned", "written", "undoing")
UNDOABLE_STATES = ("written", "done", "undoing")
_UNDOABLE = f"state IN {UNDOABLE_STATES}"


@dataclass(frozen=True)
class TagChange:
    """One file of a run. ``recipe`` turns the written file back into the previous one."""

    id: int
    run_id: int
    path: Path
    temporary: Path
    state: str
    sha256_before: str
    sha256_after: str
    recipe: bytes
    mtime_ns_before: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Transaction:
    """An applied plan, with the number of its files in each state."""

    id: int
    started: str
    n_files: dict[str, int]

    @property
    def is_undoable(self) -> bool:
        """Whether a file has, or may have, what it wrote."""
        return any(state in self.n_files for state in UNDOABLE_STATES)


@contextmanager
def locked(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep other processes from changing tags of this library while the block runs.

    The lock ends with the process, however that ends.

    Raises:
        LibraryError: another process holds it.
    """
    busy = "another genrekit is changing tags of this library; wait until it is done"
    with database.locked(connection, ".lock", busy):
        yield


def begin(connection: sqlite3.Connection, plan: TagPlan) -> int:
    """Return the number of a plan's run; applying a plan again continues its run."""
    connection.execute(
        "INSERT INTO tag_runs (plan_sha256, started) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (plan.sha256, time.strftime("%Y-%m-%d %H:%M:%S")),
    )
    query = "SELECT id FROM tag_runs WHERE plan_sha256 = ?"
    return int(connection.execute(query, (plan.sha256,)).fetchone()[0])


def enter(connection: sqlite3.Connection, run_id: int, entry: PlanEntry) -> TagChange:
    """Commit that a file is about to be changed, before its temporary file is made."""
    path = Path(entry.path)
    # A short name, as the file's own may have the maximum of 255 bytes of most systems.
    temporary = path.with_name(f".genrekit-{secrets.token_hex(8)}{path.suffix[:8]}")
    row = connection.execute(
        "INSERT INTO tag_changes "
        "(run_id, path, temporary, state, mtime_ns_before, old, new, style) "
        "VALUES (?, ?, ?, 'planned', ?, ?, ?, ?) RETURNING *",
        (
            run_id,
            database.encode_path(path),
            database.encode_path(temporary),
            entry.mtime_ns,
            json.dumps(entry.old),
            json.dumps(entry.new),
            entry.style and json.dumps(dict(entry.style)),
        ),
    ).fetchone()
    return _change(row)


def _change(row: sqlite3.Row) -> TagChange:
    named = {field.name: row[field.name] for field in fields(TagChange)}
    paths = {key: database.decode_path(row[key]) for key in ("path", "temporary")}
    values = {key: tuple(json.loads(row[key])) for key in ("old", "new")}
    return TagChange(**{**named, **paths, **values})


def written(connection: sqlite3.Connection, change: TagChange) -> None:
    """Commit how to undo a change, before the rename."""
    connection.execute(
        "UPDATE tag_changes SET state = 'written', sha256_before = ?, sha256_after = ?, recipe = ? "
        "WHERE id = ?",
        (change.sha256_before, change.sha256_after, change.recipe, change.id),
    )


def enter_state(connection: sqlite3.Connection, change: TagChange, state: str) -> None:
    """Commit that a change is in a state."""
    connection.execute("UPDATE tag_changes SET state = ? WHERE id = ?", (state, change.id))


def finish(connection: sqlite3.Connection, change: TagChange, state: str) -> None:
    """Commit that a file is done or undone, and its current tags."""
    with database.transaction(connection):
        enter_state(connection, change, state)
        with suppress(TagError, OSError):  # changed by another program since: a scan will find it
            genres = formats.read(change.path).genres
            store.save_genres(connection, change.path, change.path.stat(), genres)


def recover(connection: sqlite3.Connection) -> None:
    """Settle every change that a crash left open; needs the lock.

    One whose temporary file cannot be removed now, on a drive that is read-only, stays open.
    """
    for change in _select(connection, f"state IN {OPEN_STATES}"):
        with suppress(OSError):
            settle(connection, change)


def settle(connection: sqlite3.Connection, change: TagChange) -> None:
    """Settle an interrupted change: the file's hash shows if it is done, undone or never began.

    Its temporary file is removed.

    Raises:
        OSError: the temporary file cannot be removed, or the file cannot be read.
    """
    if os.path.lexists(
        change.temporary
    ):  # a read-only file system refuses to remove what is absent
        change.temporary.unlink()
    row = connection.execute("SELECT * FROM tag_changes WHERE id = ?", (change.id,)).fetchone()
    change = _change(row)
    now = files.sha256(change.path) if change.path.is_file() else ""
    if change.state == "planned" or (change.state == "written" and now == change.sha256_before):
        connection.execute("DELETE FROM tag_changes WHERE id = ?", (change.id,))
    elif change.state in OPEN_STATES:
        finish(connection, change, "undone" if now == change.sha256_before else "done")


def chosen(connection: sqlite3.Connection, what: str | None = None) -> list[TagChange]:
    """Return the changes that a user wants to undo, the latest first.

    Args:
        connection: the library's database.
        what: the number of a run, or a file, for its last change; None is the last run that can
            be undone.

    Raises:
        LibraryError: nothing can be undone.
    """
    if what is not None and not what.isdecimal():
        found = _select(connection, f"{_UNDOABLE} AND path = ?", database.encode_path(what))[:1]
    else:
        latest = f"SELECT max(run_id) FROM tag_changes WHERE {_UNDOABLE}"  # noqa: S608
        run_id = _run_id(what) if what else connection.execute(latest).fetchone()[0]
        found = _select(connection, f"{_UNDOABLE} AND run_id = ?", run_id)
    if not found:
        name = connection.execute("PRAGMA database_list").fetchone()["file"]
        raise LibraryError(
            f"{name} has nothing to undo{f' for {what}' if what else ''}; `genrekit tag runs` "
            "lists its runs; to undo a plan applied with another database, name it with --db"
        )
    return found


def _run_id(text: str) -> int:
    """Return the number of a run; one too large for SQLite is not valid."""
    return int(text) if len(text) < 19 else 0


def is_done(connection: sqlite3.Connection, change: TagChange) -> bool:
    """Return whether a change is still in the journal as done."""
    query = "SELECT state = 'done' FROM tag_changes WHERE id = ?"
    row = connection.execute(query, (change.id,)).fetchone()
    return bool(row and row[0])


def runs(connection: sqlite3.Connection) -> list[Transaction]:
    """Return every run that changed files, the latest first."""
    found = []
    for row in connection.execute("SELECT id, started FROM tag_runs ORDER BY id DESC").fetchall():
        states = connection.execute(
            "SELECT state, count(*) FROM tag_changes WHERE run_id = ? GROUP BY state", (row["id"],)
        )
        if n_files := {state: n for state, n in states}:
            found.append(Transaction(row["id"], row["started"], n_files))
    return found


def _select(connection: sqlite3.Connection, where: str, *values: object) -> list[TagChange]:
    query = f"SELECT * FROM tag_changes WHERE {where} ORDER BY id DESC"  # noqa: S608 - constants
    return [_change(row) for row in connection.execute(query, values)]
