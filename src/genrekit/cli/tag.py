"""``genrekit tag``: plan which genres to write, review, apply, verify, undo."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console, outputs
from genrekit.cli.options import (
    AsJson,
    Db,
    Jobs,
    Model,
    Nice,
    argument,
    option,
    spread,
)
from genrekit.cli.outputs import output_option
from genrekit.cli.proposal_options import MapFile, ProfileName, ProposalOptions, note_cut

if TYPE_CHECKING:
    from genrekit.tagging.outcomes import ApplyReport, FileOutcome, OnFile
    from genrekit.tagging.plan_files import PlanEntry
    from genrekit.tagging.planning import Proposal

app = typer.Typer(help="Write genres into files: plan, apply, verify, undo.", no_args_is_help=True)

N_SHOWN = 20  # files that stay as they are, by name
PlanFile = Annotated[Path, argument("A plan that `genrekit tag plan` wrote.")]
DryRun = Annotated[bool, option("Show what would be done; change nothing.", "--dry-run")]


@dataclass(frozen=True, kw_only=True)
class PlanOptions(ProposalOptions):
    """What ``genrekit tag plan`` takes."""

    folders: Annotated[list[Path], argument("Folders, playlists or single files.")]
    output: Annotated[
        Path | None, output_option("Write the plan to this file, to be applied.", ".jsonl")
    ] = None
    by_album: Annotated[
        bool, option("Give all tracks of an album the same genres, where they agree.")
    ] = False
    model: Model = None
    jobs: Jobs = None
    nice: Nice = 0
    db: Db = None
    as_json: AsJson = False


@app.command()
@spread(PlanOptions)
def plan(options: PlanOptions) -> None:
    """List the genres that would be written into files; files not yet analysed are analysed.

    Examples:
        genrekit tag plan Music/ -o plan.jsonl
        genrekit tag plan Music/ --depth 2 --style-field STYLE -o plan.jsonl
    """
    settings = options.settings(by_album=options.by_album)
    from genrekit.batch.engines import LocalEngine
    from genrekit.library import database, scan
    from genrekit.tagging import plan_files, planning, policy

    profile = settings.form()
    with database.opened(options.db) as connection:
        folders = outputs.with_playlists(options.folders)
        planned = scan.plan(connection, folders, options.model)
        card = planned.model.card
        wanted = settings.policy(card)
        limits = replace(scan.LIMITS, niceness=options.nice)
        scan.run(
            connection, planned, LocalEngine(options.jobs), limits, console.progress_of("Scanning")
        )
        proposal = planning.propose(connection, folders, card, wanted, profile)
    if options.output:
        plan_files.write(options.output, profile.name, proposal.entries)
    for problem in planned.problems:
        console.warn(problem)
    _show_proposal(proposal, options.output, options.as_json)
    console.say(policy.threshold_in_words(card, settings.min_precision))
    note_cut(profile, _new_genres(proposal))
    for path, reason in proposal.failures.items():
        console.complain(path, reason)
    if proposal.failures:
        raise typer.Exit(1)


@app.command()
def normalise(
    folders: Annotated[list[Path], argument("Folders, playlists or single files.")],
    output: Annotated[
        Path | None, output_option("Write the plan to this file, to be applied.", ".jsonl")
    ] = None,
    map_file: MapFile = None,
    profile: ProfileName = "standard",
    as_json: AsJson = False,
) -> None:
    """Plan better spellings of existing genres; no audio is analysed.

    Examples:
        genrekit tag normalise Music/ -o plan.jsonl
        genrekit tag normalise Music/ --map discogs -o plan.jsonl
    """
    from genrekit.tagging import genre_map, normalising, plan_files
    from genrekit.tags import profiles

    form = profiles.find(profile)
    own = genre_map.read_map(map_file) if map_file else None
    with console.progress("Reading tags", None) as advance:
        proposal = normalising.propose(outputs.with_playlists(folders), form, own, advance)
    if output:
        plan_files.write(output, form.name, proposal.entries)
    _show_proposal(proposal, output, as_json)
    note_cut(form, _new_genres(proposal))
    for path, reason in proposal.failures.items():
        console.complain(path, reason)
    if proposal.failures:
        raise typer.Exit(1)


def _new_genres(proposal: Proposal) -> Iterator[str]:
    return (name for entry in proposal.entries for name in entry.new)


def _show_proposal(proposal: Proposal, output: Path | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(proposal.to_dict()))
        return
    for entry in proposal.entries:
        typer.echo(console.local(entry.path))
        for line in _changes(entry):
            typer.echo(f"  {console.printable(line)}")
        typer.echo(f"    {entry.why}")
        for warning in entry.warnings:
            typer.echo(f"    warning: {console.printable(warning)}")
    _show_stays(proposal)
    if formats := Counter(proposal.untagged.values()):
        listed = ", ".join(f"{name} ({n_files})" for name, n_files in formats.most_common())
        typer.echo(f"no tags are written in: {console.printable(listed)}; docs/tagging.md says why")
    _show_sums(proposal.entries)
    typer.echo(", ".join(f"{n} {kind}" for kind, n in proposal.counts.items()))
    if output and proposal.entries:
        console.say(f"review {output}, then: genrekit tag apply {output}")


def _changes(entry: PlanEntry) -> Iterator[str]:
    """Give what goes and what comes: the genres where they change, and the style."""
    for sign, genres in (("-", entry.old), ("+", entry.new)):
        if genres and entry.old != entry.new:
            yield f"{sign} {'; '.join(genres)}"
    if style := entry.style:
        for sign, styles in (("-", style.old), ("+", style.new)):
            if styles:
                yield f"{sign} {style.field}: {'; '.join(styles)}"


def _show_sums(entries: Sequence[PlanEntry]) -> None:
    """Count the genres and the styles that several files would get."""
    styles = [entry.style for entry in entries if entry.style]
    for kind, changes in (("genres", entries), ("styles", styles)):
        added = Counter(g for change in changes for g in change.new if g not in change.old)
        if added and len(entries) > 1:
            said = ", ".join(f"{genre} ({n})" for genre, n in added.most_common())
            typer.echo(f"{kind} to write: {console.printable(said)}")


def _show_stays(proposal: Proposal) -> None:
    """Name each file that stays as it is, by the kind of reason; of many of a kind, count them."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for path, stay in proposal.stays.items():
        kinds.setdefault(stay.kind, []).append((path, stay.reason))
    for kind, files in kinds.items():
        if len(files) > N_SHOWN:
            typer.echo(f"{len(files)} files stay: {kind} (--json names each)")
            continue
        for path, reason in files:
            typer.echo(f"{console.local(path)}\n    stays: {console.printable(reason)}")


@app.command()
def apply(
    plan_file: PlanFile,
    keep_mtime: Annotated[bool, option("Keep each file's modification time.")] = False,
    db: Db = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write what a plan says; `genrekit tag undo` takes it back. Run it again after a crash."""
    from genrekit.library import database
    from genrekit.tagging import applying, plan_files

    planned, done = plan_files.read(plan_file), "would change" if dry_run else "changed"
    with (
        database.opened(db) as connection,
        _reported("Writing", len(planned.entries), done, as_json) as on_file,
    ):
        report = applying.apply(
            connection, planned, keep_mtime=keep_mtime, dry_run=dry_run, on_file=on_file
        )
    _end_report(report, done, "as planned already", as_json)


@app.command()
def verify(plan_file: PlanFile, as_json: AsJson = False) -> None:
    """Check that each file of a plan has its genres, and the same audio as before."""
    from genrekit.tagging import applying, plan_files

    planned = plan_files.read(plan_file)
    with _reported("Checking", len(planned.entries), "", as_json) as on_file:
        report = applying.verify(planned, on_file=on_file)
    _end_report(report, "", "as planned", as_json)


@app.command()
def undo(
    what: Annotated[
        str | None,
        argument(
            "A run's number (see `genrekit tag runs`) or a file.", show_default="the last run"
        ),
    ] = None,
    db: Db = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Restore every byte that files had before a plan was applied."""
    from genrekit.library import database
    from genrekit.tagging import applying, journal

    with database.opened(db, must_exist=True) as connection:
        changes, done = journal.chosen(connection, what), "would undo" if dry_run else "undone"
        with _reported("Undoing", len(changes), done, as_json) as on_file:
            report = applying.undo(connection, changes, dry_run=dry_run, on_file=on_file)
    _end_report(report, done, "never written", as_json)


@app.command()
def runs(db: Db = None, as_json: AsJson = False) -> None:
    """List the plans that were applied, the latest first."""
    from dataclasses import asdict

    from genrekit.library import database
    from genrekit.tagging import journal

    with database.opened(db, must_exist=True) as connection:
        found = journal.runs(connection)
    if as_json:
        typer.echo(json.dumps([asdict(run) for run in found]))
        return
    cells = [
        [str(run.id), run.started, ", ".join(f"{n} {state}" for state, n in run.n_files.items())]
        for run in found
    ]
    console.stdout().print(console.table(["run", "started", "files"], cells))


@contextmanager
def _reported(description: str, n_files: int, done: str, as_json: bool) -> Iterator[OnFile]:
    """Name each file as it is done: on standard output, or on standard error where it failed."""
    with console.progress(description, n_files) as advance:

        def on_file(outcome: FileOutcome) -> None:
            if outcome.state == "failed":
                console.complain(outcome.path, outcome.reason)
            elif outcome.state == "changed" and not as_json:
                typer.echo(f"{done}: {console.local(outcome.path)}")
            advance()

        yield on_file


def _end_report(report: ApplyReport, done: str, unchanged: str, as_json: bool) -> None:
    """Count what was done, and exit with 1 where a file failed."""
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        counts = [f"{len(report.changed)} {done}"] if done else []
        if report.unchanged or not done:
            counts.append(f"{len(report.unchanged)} {unchanged}")
        typer.echo(", ".join([*counts, f"{len(report.failures)} failed"]))
    if report.failures:
        raise typer.Exit(1)
