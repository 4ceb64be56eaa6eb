"""Analyse new files as they arrive, once they have stopped growing."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from genrekit.batch.engines import Engine, Limits
from genrekit.errors import LibraryError
from genrekit.library import database, query, scan, store
from genrekit.library.query import LibraryEntry
from genrekit.library.walk import Found
from genrekit.models.card import ModelCard
from genrekit.tagging import plan_files, planning
from genrekit.tagging.outcomes import FileOutcome
from genrekit.tagging.plan_files import PlanEntry
from genrekit.tagging.plan_settings import PlanSettings
from genrekit.tagging.planning import Proposal
from genrekit.tagging.policy import Policy
from genrekit.tags.profiles import Profile

INTERVAL_SECONDS = 5.0


@dataclass(frozen=True)
class TagOutcome:
    """What became of the tags of a file that arrived.

    Attributes:
        state: "written", "stays", or "failed" where something was to be written and could not be.
        reason: what was predicted, why it stays, or why it failed: one sentence.
        kind: which kind of reason it stays for, as a plan counts them; None where it does not.
        old: the genres that it held, where they were to change.
        new: the genres that were to be written.
        style_field: the field of a style that was to change, and what was to be written there.
    """

    state: Literal["written", "stays", "failed"]
    reason: str
    kind: str | None = None
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    style_field: str | None = None
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """A file that arrived, as the library holds it now; ``tagging`` is None if none was asked."""

    entry: LibraryEntry
    tagging: TagOutcome | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: the file's, with ``tagging`` where tags were to be written."""
        tagging = {"tagging": asdict(self.tagging)} if self.tagging else {}
        return {**self.entry.to_dict(), **tagging}


def watch(
    connection: sqlite3.Connection,
    folder: Path,
    model: str | None = None,
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    engine: Engine | None = None,
    limits: Limits = scan.LIMITS,
    tag: PlanSettings | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Arrival]:
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
        tag: write genres, those that `tag plan` would propose with these settings; None writes
            nothing.
        wait: called with interval_seconds after each look.

    Yields:
        The files, without end; also those that cannot be analysed, with their error.

    Raises:
        LibraryError: the folder is gone, the database fails, or the user's list of genres is wrong.
        ModelError: the model is missing or broken, or cannot promise the precision.
        TagError: no profile has the name in the settings.
    """
    profile = tag.form() if tag else None
    rules: Policy | None = None
    before: dict[bytes, Found] = {}
    while True:
        planned = scan.plan(connection, [folder], model)
        card = planned.model.card
        known_as = store.model_id(connection, card.onnx_sha256)
        batches = store.pending(connection, known_as, retry=False, n_files=scan.TRANSACTION_FILES)
        waiting = {each.file.path: each.file for batch in batches for each in batch}
        resting = [path for path, file in waiting.items() if before.get(path) == file]
        before = waiting
        if tag and (resting or rules is None):  # the first look refuses a wrong list of genres
            rules = tag.policy(card)
        if resting:
            files = [path for path in map(database.decode_path, resting) if path.exists()]
            scan.run(connection, scan.plan(connection, files, model), engine, limits)
            outcomes: dict[str, TagOutcome] = {}
            if rules and profile:
                outcomes = _tag(connection, files, card, rules, profile)
                scan.run(connection, scan.plan(connection, files, model), engine, limits)
            used = query.used_model(connection)
            for entry in query.entries_of(connection, used, files):
                yield Arrival(entry, outcomes.get(os.path.realpath(entry.path)))
        wait(interval_seconds)


def _tag(
    connection: sqlite3.Connection,
    files: list[Path],
    card: ModelCard,
    wanted: Policy,
    profile: Profile,
) -> dict[str, TagOutcome]:
    """Write what a plan of some files proposes; return what became of each, by its real path."""
    from genrekit.tagging.applying import apply

    found = planning.propose(connection, files, card, wanted, profile)
    failed: dict[str, str] = {}

    def on_file(outcome: FileOutcome) -> None:
        if outcome.state == "failed":
            failed[outcome.path] = outcome.reason

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "plan.jsonl"
        plan_files.write(target, profile.name, found.entries)
        try:
            apply(connection, plan_files.read(target), on_file=on_file)
        except LibraryError as error:  # another process is changing tags just now
            failed = {entry.path: str(error) for entry in found.entries} | failed
    return dict(_outcomes(found, failed))


def _outcomes(found: Proposal, failed: Mapping[str, str]) -> Iterator[tuple[str, TagOutcome]]:
    for entry in found.entries:
        reason = failed.get(entry.path)
        yield entry.path, _planned(entry, "failed" if reason else "written", reason or entry.why)
    for path, stay in found.stays.items():
        yield path, TagOutcome("stays", stay.reason, stay.kind)
    for path, name in found.untagged.items():
        yield path, TagOutcome("stays", planning.no_tags_in(name), "without tags")
    for path, reason in found.failures.items():
        yield path, TagOutcome("failed", reason)


def _planned(entry: PlanEntry, state: Literal["written", "failed"], reason: str) -> TagOutcome:
    style = entry.style
    return TagOutcome(
        state,
        reason,
        old=entry.old,
        new=entry.new,
        style_field=style.field if style else None,
        styles=style.new if style else (),
    )
