"""What the jobs of a library's page do: scan, watch, plan, apply, undo, train."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrekit.errors import LibraryError, naming
from genrekit.library import database, query, settings_table, track_index
from genrekit.library.track_query import TrackQuery
from genrekit.library_server import review, training_job
from genrekit.models import registry

if TYPE_CHECKING:
    from genrekit.library_server.job_board import RunningJob, Work
    from genrekit.tagging.outcomes import FileOutcome


def works(n_jobs: int | None = None) -> Mapping[str, Work]:
    """Return what each kind of job does.

    Args:
        n_jobs: worker processes of a scan; None is one a core.
    """

    def with_jobs(work: Callable[..., dict[str, Any]]) -> Work:
        return lambda connection, job: work(connection, job, n_jobs)

    return {
        "scan": with_jobs(_scan),
        "watch": with_jobs(_watch),
        "plan": _plan,
        "apply": _apply,
        "undo": _undo,
        "train": training_job.train,
    }


def _scan(connection: sqlite3.Connection, job: RunningJob, n_jobs: int | None) -> dict[str, Any]:
    from genrekit.batch.engines import LocalEngine
    from genrekit.library import scan

    folders = [Path(folder) for folder in job.arguments["folders"]]
    planned = scan.plan(
        connection, folders, _model(connection), retry=bool(job.arguments.get("retry"))
    )
    for problem in planned.problems:
        job.say(problem)
    report = scan.run(connection, planned, LocalEngine(n_jobs), progress=job.progress)
    for path, reason in report.failures.items():
        job.say(naming(path, reason))
    return {key: value for key, value in report.to_dict().items() if isinstance(value, int | float)}


def _model(connection: sqlite3.Connection) -> Path | None:
    """Return the folder of the model that was accepted here, or else of the last scan, or None."""
    accepted = settings_table.read(connection, training_job.MODEL)
    if accepted and Path(accepted).is_dir():
        return Path(accepted)
    try:
        return query.used_model(connection).path
    except LibraryError:
        return None


def _watch(connection: sqlite3.Connection, job: RunningJob, n_jobs: int | None) -> dict[str, Any]:
    from genrekit.batch.engines import LocalEngine
    from genrekit.tagging import watching

    def wait(seconds: float) -> None:
        job.is_ending.wait(seconds)
        job.check()

    model = _model(connection)
    found = watching.watch(
        connection,
        Path(job.arguments["folder"]),
        str(model) if model else None,
        engine=LocalEngine(n_jobs),
        wait=wait,
    )
    for arrival in found:
        entry = arrival.entry
        what = entry.error or f"{entry.path.name}: {entry.label or 'no genre'}"
        job.say(database.text(what))
        job.advance()
    return {}


def _plan(connection: sqlite3.Connection, job: RunningJob) -> dict[str, Any]:
    from genrekit.tagging import planning
    from genrekit.tagging.plan_settings import PlanSettings

    wanted = job.arguments
    card = registry.find(query.used_model(connection).path).card
    names = PlanSettings.model_fields
    settings = PlanSettings.of(**{name: wanted[name] for name in names if name in wanted})
    rules, profile = settings.policy(card), settings.form()
    paths = _paths(connection, wanted)
    proposal = planning.propose(connection, paths, card, rules, profile)
    kinds: Counter[str] = Counter(stay.kind for stay in proposal.stays.values())
    kinds.update(map(planning.no_tags_in, proposal.untagged.values()))
    review.save(connection, profile.name, proposal.entries, dict(kinds.most_common()))
    for path, reason in proposal.failures.items():
        job.say(database.text(naming(path, reason)))
    job.done = job.total = len(proposal.entries)
    n_failed = len(proposal.failures)
    return {"n_lines": len(proposal.entries), "n_stay": kinds.total(), "n_failed": n_failed}


def _paths(connection: sqlite3.Connection, wanted: Mapping[str, Any]) -> Sequence[Path]:
    """Return the folders or files to plan."""
    if wanted["folders"]:
        return [Path(folder) for folder in wanted["folders"]]
    ids = wanted["ids"]
    if ids is None:
        from genrekit.library.track_search import TrackTable

        model = query.used_model(connection)
        track_index.refresh_all(connection)
        table = TrackTable(model, wanted["threshold"])
        asked = dict(wanted["filter"] or {})
        lasso = tuple((x, y) for x, y in asked.pop("lasso", ()))
        ids = table.ids(connection, TrackQuery(**asked, lasso=lasso)).tolist()
    rows = connection.execute(
        "SELECT path FROM files WHERE id IN (SELECT value FROM json_each(?)) ORDER BY path",
        (json.dumps(ids),),
    )
    return [database.decode_path(row["path"]) for row in rows]


def _apply(connection: sqlite3.Connection, job: RunningJob) -> dict[str, Any]:
    from genrekit.tagging import applying, plan_files

    with tempfile.TemporaryDirectory(prefix="genrekit-") as folder:
        path = Path(folder) / "plan.jsonl"
        path.write_text("".join(review.plan_file(connection, job.id)), encoding="utf-8")
        plan = plan_files.read(path)
    job.done, job.total = 0, len(plan.entries)

    def on_file(outcome: FileOutcome) -> None:
        review.note_outcome(connection, job.id, outcome.path, outcome.state, outcome.reason)
        _say_failure(job, outcome)
        job.advance()

    report = applying.apply(connection, plan, on_file=on_file)
    track_index.refresh_all(connection)
    return _counts(report.changed, report.unchanged, report.failures)


def _undo(connection: sqlite3.Connection, job: RunningJob) -> dict[str, Any]:
    from genrekit.tagging import applying, journal

    changes = journal.chosen(connection, job.arguments["what"])
    job.done, job.total = 0, len(changes)

    def on_file(outcome: FileOutcome) -> None:
        if outcome.state == "changed":
            review.note_undone(connection, outcome.path)
        _say_failure(job, outcome)
        job.advance()

    report = applying.undo(connection, changes, on_file=on_file)
    review.count_change(connection)
    track_index.refresh_all(connection)
    return _counts(report.changed, report.unchanged, report.failures)


def _say_failure(job: RunningJob, outcome: FileOutcome) -> None:
    if outcome.state == "failed":
        job.say(database.text(outcome.reason))


def _counts(changed: Sequence[str], unchanged: Sequence[str], failures: Any) -> dict[str, Any]:
    return {"changed": len(changed), "unchanged": len(unchanged), "failed": len(failures)}
