"""The plan in review: which of its lines are accepted, kept in the library's database.

Every change names the revision that it was decided on. If the plan has another one, somebody else
has changed it since, and the change is refused.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from genrekit.library import database, keys
from genrekit.library_server.review_documents import (
    LineDecision,
    LineDocument,
    ReasonDocument,
    ReviewDocument,
    ReviewSummary,
    RevisionDocument,
)
from genrekit.server.problems import ProblemError
from genrekit.tagging.plan_files import PlanEntry, PlanHeader

_STATES = {  # of a line, as the page counts them
    "all": "1",
    "open": "outcome IS NULL AND decision = 'open'",
    "accepted": "outcome IS NULL AND decision = 'accepted'",
    "rejected": "outcome IS NULL AND decision = 'rejected'",
    "applied": "outcome IN ('changed', 'unchanged')",
    "failed": "outcome = 'failed'",
}
_LINES = """
    SELECT l.*, f.artist, f.album, f.album_artist, f.title, p.warnings
    FROM review_lines AS l LEFT JOIN files AS f ON f.id = l.file_id
    LEFT JOIN track_index_state AS s
    LEFT JOIN predictions AS p ON p.audio_id = f.audio_id AND p.model_id = s.model_id
"""


def save(
    connection: sqlite3.Connection,
    profile: str,
    entries: Iterable[PlanEntry],
    reasons: Mapping[str, int],
) -> None:
    """Replace the plan in review.

    Args:
        connection: the library's database.
        profile: the form that the genres will be written in.
        entries: the plan's lines.
        reasons: why other files stay as they are, and how many.
    """
    placed = sorted((_placed(connection, entry) for entry in entries), key=lambda line: line[0])
    why = json.dumps(list(reasons.items()))
    with database.transaction(connection):
        connection.execute("DELETE FROM review_lines")
        connection.execute(
            "INSERT INTO review VALUES (1, 1, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "revision = revision + 1, profile = excluded.profile, reasons = excluded.reasons",
            (profile, why),
        )
        connection.executemany(
            "INSERT INTO review_lines (file_id, path, entry, new, probability) "
            "VALUES (?, ?, ?, ?, ?)",
            [line for _, line in placed],
        )


def document(
    connection: sqlite3.Connection, state: str, offset: int, limit: int, *, is_applying: bool
) -> ReviewDocument:
    """Return a part of the plan in review.

    Args:
        connection: the library's database.
        state: lines of this state only: all, open, accepted, rejected, applied or failed.
        offset: how many to leave out.
        limit: how many at most.
        is_applying: whether a job writes it now.
    """
    row = _review(connection)
    found = summary(connection)
    lines = connection.execute(
        f"{_LINES} WHERE {_STATES[state]} ORDER BY l.id LIMIT ? OFFSET ?",
        (limit, offset),
    )
    return ReviewDocument(
        revision=row["revision"] if row else 0,
        state="applying" if is_applying else "review" if found.n_lines else "none",
        summary=found,
        total=found.n_lines if state == "all" else getattr(found, state),
        lines=[_line(line) for line in lines],
    )


def summary(connection: sqlite3.Connection) -> ReviewSummary:
    """Count the lines of the plan in review."""
    sums = ", ".join(f"coalesce(sum({condition}), 0)" for condition in _STATES.values())
    counts = connection.execute(f"SELECT {sums} FROM review_lines").fetchone()  # noqa: S608
    names = ["n_lines", *list(_STATES)[1:]]
    row = _review(connection)
    reasons = json.loads(row["reasons"]) if row else []
    return ReviewSummary(
        **dict(zip(names, counts, strict=True)),
        reasons=[ReasonDocument(reason=reason, n_tracks=n) for reason, n in reasons],
    )


def decide(
    connection: sqlite3.Connection, revision: int, decisions: Sequence[LineDecision]
) -> RevisionDocument:
    """Decide about lines, and edit them.

    Raises:
        ProblemError: 409 somebody else has changed the plan; 404 a line is not of it; 422 genres
            that no file can hold.
    """
    with _changing(connection, revision):
        for decided in decisions:
            row = connection.execute(
                "SELECT * FROM review_lines WHERE id = ?", (decided.id,)
            ).fetchone()
            if row is None:
                raise ProblemError(404, f"the plan has no line {decided.id}; load it again")
            new = row["new"] if decided.new is None else _checked(row, decided.new)
            decision = decided.decision or row["decision"]
            connection.execute(
                "UPDATE review_lines SET decision = ?, new = ?, outcome = NULL, reason = NULL, "
                "job_id = NULL WHERE id = ?",
                (decision, new, decided.id),
            )
    return _now(connection)


def accept(
    connection: sqlite3.Connection, revision: int, min_probability: float
) -> RevisionDocument:
    """Accept every open line that is at least as probable.

    Raises:
        ProblemError: 409 somebody else has changed the plan.
    """
    with _changing(connection, revision):
        connection.execute(
            f"UPDATE review_lines SET decision = 'accepted' WHERE {_STATES['open']} "  # noqa: S608
            "AND probability >= ?",
            (min_probability,),
        )
    return _now(connection)


def drop(connection: sqlite3.Connection, revision: int) -> RevisionDocument:
    """Forget the plan.

    Raises:
        ProblemError: 409 somebody else has changed it.
    """
    with _changing(connection, revision):
        connection.execute("DELETE FROM review_lines")
        connection.execute("UPDATE review SET reasons = '[]'")
    return _now(connection)


def plan_file(connection: sqlite3.Connection, job_id: int | None = None) -> Iterator[str]:
    """Yield the lines of the plan file: all that is accepted, or what a job applies."""
    row = _review(connection)
    header = PlanHeader(profile=row["profile"] if row else "standard")
    yield json.dumps(dict(header)) + "\n"
    condition = _STATES["accepted"] if job_id is None else "job_id = ?"
    values = () if job_id is None else (job_id,)
    rows = connection.execute(
        f"SELECT entry, new FROM review_lines WHERE {condition} ORDER BY id",  # noqa: S608
        values,
    ).fetchall()
    for line in rows:
        yield json.dumps(json.loads(line["entry"]) | {"new": json.loads(line["new"])}) + "\n"


@contextmanager
def reserved(connection: sqlite3.Connection, revision: int, expected: int) -> Iterator[list[int]]:
    """Let the block pass what is accepted to a job, in the transaction that checks the counts.

    Yields:
        The ids of the lines.

    Raises:
        ProblemError: 409 somebody else has changed the plan, or another number is accepted.
    """
    with _changing(connection, revision):
        query = f"SELECT id FROM review_lines WHERE {_STATES['accepted']}"  # noqa: S608
        ids = [row["id"] for row in connection.execute(query)]
        if len(ids) != expected:
            detail = f"{len(ids)} files are accepted, not {expected}; look at the plan again"
            raise ProblemError(409, detail)
        yield ids


def give(connection: sqlite3.Connection, ids: Sequence[int], job_id: int) -> None:
    """Record which job applies lines."""
    connection.executemany(
        "UPDATE review_lines SET job_id = ? WHERE id = ?", [(job_id, id) for id in ids]
    )


def note_outcome(
    connection: sqlite3.Connection, job_id: int, path: str, outcome: str, reason: str
) -> None:
    """Record what became of a line's file."""
    connection.execute(
        "UPDATE review_lines SET outcome = ?, reason = ? WHERE path = ? AND job_id = ?",
        (outcome, reason or None, database.encode_path(path), job_id),
    )


def note_undone(connection: sqlite3.Connection, path: str) -> None:
    """Reopen the line of a file whose change was undone."""
    connection.execute(
        "UPDATE review_lines SET outcome = NULL, decision = 'open', job_id = NULL "
        "WHERE path = ? AND outcome = 'changed'",
        (database.encode_path(path),),
    )


def count_change(connection: sqlite3.Connection) -> None:
    """Tell reviewers that the plan has changed."""
    connection.execute("UPDATE review SET revision = revision + 1")


def _placed(connection: sqlite3.Connection, entry: PlanEntry) -> tuple[Any, tuple[Any, ...]]:
    """Return where a line belongs, by album and then by path, and its row."""
    path = database.encode_path(entry.path)
    file = connection.execute(
        "SELECT f.id, f.album, f.album_artist FROM files AS f WHERE f.path = ?", (path,)
    ).fetchone()
    folder = keys.key(os.fsdecode(os.path.dirname(path)))  # noqa: PTH120
    album = (file["album_artist"], file["album"]) if file else (None, None)
    place = (folder, *map(keys.key, album), keys.key(entry.path))
    new = json.dumps(entry.new)
    row = (file["id"] if file else None, path, entry.to_json(), new, _probability(entry))
    return place, row


def _probability(entry: PlanEntry) -> float | None:
    """Return the probability of the most probable genre to write, as the plan says it."""
    try:
        genres = json.loads(entry.provenance).get("genres", {})
    except (ValueError, AttributeError):
        return None
    found = [value for value in genres.values() if isinstance(value, int | float)]
    return float(max(found)) if found else None


def _line(row: sqlite3.Row) -> LineDocument:
    entry = json.loads(row["entry"])
    names = ("artist", "album", "album_artist", "title", "probability", "decision", "outcome")
    return LineDocument(
        id=row["id"],
        track_id=row["file_id"],
        path=database.text(entry["path"]),
        old=entry["old"],
        new=json.loads(row["new"]),
        style=entry.get("style"),
        why=database.text(entry["why"]),
        reason=row["reason"] and database.text(row["reason"]),
        warnings=json.loads(row["warnings"] or "[]"),
        **{name: row[name] for name in names},
    )


def _checked(row: sqlite3.Row, new: Sequence[str]) -> str:
    """Return other genres of a line in JSON, where a plan may hold them.

    Raises:
        ProblemError: 422 it may not.
    """
    try:
        PlanEntry.model_validate(json.loads(row["entry"]) | {"new": list(new)})
    except ValidationError as error:
        raise ProblemError(422, f"new: {error.errors()[0]['msg'].lower()}") from error
    return json.dumps(list(new))


@contextmanager
def _changing(connection: sqlite3.Connection, revision: int) -> Iterator[None]:
    """Change the plan in one transaction, which counts as its next revision."""
    with database.transaction(connection):
        row = _review(connection)
        if row is None or row["revision"] != revision:
            detail = "somebody else has changed the plan; load it again and look at it"
            raise ProblemError(409, detail)
        yield
        count_change(connection)


def _now(connection: sqlite3.Connection) -> RevisionDocument:
    row = _review(connection)
    return RevisionDocument(revision=row["revision"] if row else 0, summary=summary(connection))


def _review(connection: sqlite3.Connection) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM review").fetchone()
    return row
