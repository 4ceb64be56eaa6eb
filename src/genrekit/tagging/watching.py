"""Analyse new files as they arrive, once they have stopped growing."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from genrekit.batch.engines import Engine, Limits
from genrekit.errors import LibraryError
from genrekit.library import database, query, scan, store
from genrekit.library.query import LibraryEntry
from genrekit.library.walk import Found
from genrekit.models.card import ModelCard
from genrekit.tagging import plan_files, planning
from genrekit.tagging.outcomes import FileOutcome
from genrekit.tagging.policy import Policy, least_probability
from genrekit.tags import profiles

INTERVAL_SECONDS = 5.0
PROFILE = "standard"


def watch(
    connection: sqlite3.Connection,
    folder: Path,
    model: str | None = None,
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    engine: Engine | None = None,
    limits: Limits = scan.LIMITS,
    on_tag_failure: Callable[[str], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[LibraryEntry]:
    """Look into a folder again and again, and give each new or changed file once it is analysed.

    A file is analysed when two looks in a row find it with the same size and time of change, so one
    that is still being copied waits. Files that came while nobody watched are given first.

    Args:
        connection: the library's database, which keeps the predictions.
        folder: the folder to watch.
        model: a model's name or folder; None is the default model.
        interval_seconds: between two looks.
        engine: where files are processed, as for ``scan.run``.
        limits: what each worker may take.
        on_tag_failure: give files without a genre the one that is predicted, as `tag plan` and `tag
            apply` do; called with each reason why one cannot be written. None writes nothing.
        wait: called with interval_seconds after each look.

    Yields:
        The files, without end; also those that cannot be analysed, with their error.

    Raises:
        LibraryError: the folder is gone, or the database fails.
        ModelError: the model is missing or broken.
    """
    before: dict[bytes, Found] = {}
    while True:
        planned = scan.plan(connection, [folder], model)
        known_as = store.model_id(connection, planned.model.card.onnx_sha256)
        batches = store.pending(connection, known_as, retry=False, n_files=scan.TRANSACTION_FILES)
        waiting = {each.file.path: each.file for batch in batches for each in batch}
        resting = [path for path, file in waiting.items() if before.get(path) == file]
        before = waiting
        if resting:
            files = [path for path in map(database.decode_path, resting) if path.exists()]
            scan.run(connection, scan.plan(connection, files, model), engine, limits)
            if on_tag_failure:
                _tag(connection, files, planned.model.card, on_tag_failure)
                scan.run(connection, scan.plan(connection, files, model), engine, limits)
            yield from query.entries_of(connection, query.used_model(connection), files)
        wait(interval_seconds)


def _tag(
    connection: sqlite3.Connection,
    files: list[Path],
    card: ModelCard,
    on_failure: Callable[[str], None],
) -> None:
    """Write the predicted genres into the files that have none."""
    from genrekit.tagging.applying import apply

    def on_file(outcome: FileOutcome) -> None:
        if outcome.state == "failed":
            on_failure(outcome.reason)

    wanted = Policy(min_probability=least_probability(card))
    found = planning.propose(connection, files, card, wanted, profiles.find(PROFILE))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "plan.jsonl"
        plan_files.write(target, PROFILE, found.entries)
        try:
            apply(connection, plan_files.read(target), on_file=on_file)
        except LibraryError as error:  # another process is changing tags just now
            on_failure(str(error))
