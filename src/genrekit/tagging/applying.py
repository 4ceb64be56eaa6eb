"""Apply a plan, verify it, undo it: a file is always either the old or the new one.

For each file: write a checked copy beside it, flush the copy to the disk, commit to the journal how
to undo, rename the copy over the file, flush the folder, commit that it is done. An undo takes the
same steps.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genrekit import files
from genrekit.audio import packets
from genrekit.errors import TagError
from genrekit.tagging import journal, outcomes, plan_files
from genrekit.tagging.journal import TagChange
from genrekit.tagging.outcomes import ApplyReport, OnFile, State
from genrekit.tagging.plan_files import PlanEntry, TagPlan
from genrekit.tags import delta, formats, profiles, rewriting

if TYPE_CHECKING:
    from genrekit.tags.formats.contents import TagContents
    from genrekit.tags.profiles import Profile


def apply(
    connection: sqlite3.Connection,
    plan: TagPlan,
    *,
    keep_mtime: bool = False,
    dry_run: bool = False,
    on_file: OnFile = outcomes.ignore,
) -> ApplyReport:
    """Write a plan's genres; a file that fails is left unchanged, and the rest continues.

    Args:
        connection: the library's database, which keeps the data for an undo.
        plan: what to write.
        keep_mtime: keep each file's modification time.
        dry_run: only find out which files would change and which would fail.
        on_file: called with the outcome of each file, as soon as it is known.

    Raises:
        LibraryError: another process changes tags of this library, or the database fails.
        TagError: the plan's profile is unknown.
    """
    profile = profiles.find(plan.profile)

    def actions(change: Callable[[PlanEntry], object]) -> Iterator[tuple[str, Callable[[], State]]]:
        for entry in plan.entries:
            yield entry.path, partial(_unless_written, entry, profile, change)

    if dry_run:
        return outcomes.each(actions(check), on_file)
    with journal.locked(connection):
        journal.recover(connection)
        run_id = journal.begin(connection, plan)

        def change(entry: PlanEntry) -> None:
            _change(connection, run_id, entry, profile, keep_mtime)

        return outcomes.each(actions(change), on_file)


def _unless_written(
    entry: PlanEntry, profile: Profile, change: Callable[[PlanEntry], object]
) -> State:
    if is_written(entry, profile):
        return "unchanged"
    change(entry)
    return "changed"


def is_written(entry: PlanEntry, profile: Profile) -> bool:
    """Return whether a file has the planned genres.

    Raises:
        TagError: the file does not exist, or its tags cannot be read.
    """
    contents = _contents(entry)
    styles = profile.chosen(entry.style.new) if entry.style else ()
    wanted = (profile.chosen(entry.new), styles, entry.provenance)
    if (contents.genres, contents.styles, contents.provenance) != wanted:
        return False
    # "Rock; Pop" in one value reads as both, but a plan of two values writes two.
    is_as_before = contents.raw_genres == entry.old
    return not is_as_before or profile.has_form_of(entry.old, entry.new)


def _contents(entry: PlanEntry) -> TagContents:
    style_field = entry.style.field if entry.style else None
    return formats.read(Path(entry.path), style_field=style_field)


def check(entry: PlanEntry) -> os.stat_result:
    """Return the status of a plan's file if it has not changed since the plan was made.

    Raises:
        TagError: it has changed, or is of a kind that is left alone; see plan_files.unfit.
        AudioError: no audio is found in it.
        OSError: it cannot be read.
    """
    path = Path(entry.path)
    status = path.lstat()
    if reason := plan_files.unfit(path, status):
        raise TagError(f"{path}: {reason}")
    contents, old_styles = _contents(entry), entry.style.old if entry.style else ()
    seen = (status.st_size, status.st_mtime_ns, contents.raw_genres, contents.raw_styles)
    is_as_planned = seen == (entry.size_bytes, entry.mtime_ns, entry.old, old_styles)
    if not is_as_planned or packets.digest(path) != entry.audio_sha256:
        raise TagError(f"{path}: has changed since the plan was made; plan it again")
    return status


def _change(
    connection: sqlite3.Connection,
    run_id: int,
    entry: PlanEntry,
    profile: Profile,
    keep_mtime: bool,
) -> None:
    """Change one file."""
    path, status = Path(entry.path), check(entry)
    change = journal.enter(connection, run_id, entry)
    with _settled(connection, change):
        rewriting.rewrite(
            path,
            change.temporary,
            entry.new,
            entry.provenance,
            profile,
            entry.audio_sha256,
            entry.style.written() if entry.style else None,
        )
        mtime_ns = status.st_mtime_ns if keep_mtime else time.time_ns()
        os.utime(change.temporary, ns=(status.st_atime_ns, mtime_ns))
        rewriting.flush(change.temporary)
        change = replace(
            change,
            sha256_before=files.sha256(path),
            sha256_after=files.sha256(change.temporary),
            recipe=delta.make(path, change.temporary),
        )
        journal.written(connection, change)
        _put_in_place(change, status)
        journal.finish(connection, change, "done")


@contextmanager
def _settled(connection: sqlite3.Connection, change: TagChange) -> Iterator[None]:
    """Leave no temporary file and no open change behind, whatever happens in the block."""
    try:
        yield
    except BaseException:
        journal.settle(connection, change)
        raise


def _put_in_place(change: TagChange, status: os.stat_result) -> None:
    """Rename the temporary file over the file, unless the file has changed meanwhile."""
    now = change.path.lstat()
    same = ("st_ino", "st_dev", "st_size", "st_mtime_ns")
    if any(getattr(now, name) != getattr(status, name) for name in same):
        raise TagError(f"{change.path}: was changed by another program meanwhile; plan it again")
    change.temporary.replace(change.path)
    rewriting.flush_folder(change.path.parent)


def verify(plan: TagPlan, *, on_file: OnFile = outcomes.ignore) -> ApplyReport:
    """Check that every file of a plan has the planned genres and the same audio as then.

    Raises:
        TagError: the plan's profile is unknown.
    """
    profile = profiles.find(plan.profile)
    return outcomes.each(
        ((entry.path, partial(_verified, entry, profile)) for entry in plan.entries), on_file
    )


def _verified(entry: PlanEntry, profile: Profile) -> State:
    if not is_written(entry, profile):
        raise TagError(f"{entry.path}: {_misses(entry, profile)}")
    if packets.digest(entry.path) != entry.audio_sha256:
        raise TagError(f"{entry.path}: has other audio than when the plan was made")
    return "unchanged"


def _misses(entry: PlanEntry, profile: Profile) -> str:
    """Return how a file's genres differ from the planned ones."""
    contents = _contents(entry)
    if entry.style and contents.genres == profile.chosen(entry.new):
        field, found, wanted = f" in {entry.style.field}", contents.styles, entry.style.new
    else:
        field, found, wanted = "", contents.genres, entry.new
    listed, other = (", ".join(names) or "no genre" for names in (found, wanted))
    return f"has {listed}{field}, not {other}"


def undo(
    connection: sqlite3.Connection,
    changes: Iterable[TagChange],
    *,
    dry_run: bool = False,
    on_file: OnFile = outcomes.ignore,
) -> ApplyReport:
    """Restore every byte of files, and their modification times.

    Args:
        connection: the library's database.
        changes: what to undo, the latest first; see journal.chosen.
        dry_run: only find out which files would change and which would fail.
        on_file: called with what became of each file, as soon as it is done.

    Raises:
        LibraryError: another process changes tags of this library, or the database fails.
    """
    with nullcontext() if dry_run else journal.locked(connection):
        if not dry_run:
            journal.recover(connection)
        actions = (
            (str(change.path), partial(_undo, connection, change, dry_run)) for change in changes
        )
        return outcomes.each(actions, on_file)


def _undo(connection: sqlite3.Connection, change: TagChange, dry_run: bool) -> State:
    if not dry_run and not journal.is_done(connection, change):
        return "unchanged"  # a crash had prevented it
    status = _check_undoable(change)
    if not dry_run:
        _restore(connection, change, status)
    return "changed"


def _check_undoable(change: TagChange) -> os.stat_result:
    status = change.path.lstat()
    if reason := plan_files.unfit(change.path, status):
        raise TagError(f"{change.path}: {reason}")
    if files.sha256(change.path) != change.sha256_after:
        raise TagError(
            f"{change.path}: has changed since the genre was written, so it is left as it is; "
            "edit its genre yourself"
        )
    return status


def _restore(connection: sqlite3.Connection, change: TagChange, status: os.stat_result) -> None:
    journal.enter_state(connection, change, "undoing")
    with _settled(connection, change):
        with rewriting.beside(change.path, change.temporary) as stream:
            delta.restore(change.recipe, change.path, stream)
        rewriting.copy_status(change.path, change.temporary)
        os.utime(change.temporary, ns=(status.st_atime_ns, change.mtime_ns_before))
        rewriting.flush(change.temporary)
        if files.sha256(change.temporary) != change.sha256_before:
            raise TagError(
                f"{change.path}: its old bytes cannot be restored, so it is left as it is; the "
                "library database is damaged, restore it from a backup"
            )
        _put_in_place(change, status)
        journal.finish(connection, change, "undone")
