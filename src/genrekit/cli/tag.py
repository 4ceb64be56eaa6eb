"""``genrekit tag``: plan which genres to write, review, apply, verify, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console

if TYPE_CHECKING:
    from genrekit.library.applying import Report
    from genrekit.library.planning import Proposal
    from genrekit.library.policy import Mode

app = typer.Typer(help="Write genres into files: plan, apply, verify, undo.", no_args_is_help=True)

N_SHOWN = 20  # files that stay as they are
PlanFile = Annotated[Path, typer.Argument(help="A plan that `genrekit tag plan` wrote.")]
Db = Annotated[
    Path | None,
    typer.Option("--db", help="The library's database.", show_default="in the user's data folder"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@app.command()
def plan(
    folders: Annotated[list[Path], typer.Argument(help="Folders, or single files.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the plan there, to be applied.")
    ] = None,
    append: Annotated[
        bool | None,
        typer.Option(
            "--append/--replace",
            help="Add to the genres that a file has, or put new ones in their place.",
            show_default="only files without a genre get one",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Write at most this many genres.")] = 1,
    min_precision: Annotated[
        float | None, typer.Option(help="Write only where this share of such answers was right.")
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Your own genre names: a TOML file.")
    ] = None,
    profile: Annotated[str, typer.Option(help="How your player wants its genres.")] = "standard",
    model: Annotated[
        str | None,
        typer.Option(help="A model's name or folder.", show_default="the embedded model"),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Say which genres would be written into which files; files are heard where they were not."""
    if min_precision is not None and not 0 < min_precision <= 1:
        raise typer.BadParameter(f"--min-precision is {min_precision}; it must lie in (0, 1]")
    from genrekit.library import database, planning, plans, policy, profiles, scan

    chosen, genre_map = profiles.find(profile), policy.read_map(map_file) if map_file else None
    mode: Mode = "fill-missing" if append is None else "append" if append else "replace"
    with database.opened(db) as connection:
        planned = scan.plan(connection, folders, model)
        card = planned.model.card
        wishes = policy.Policy(mode, top, policy.least_probability(card, min_precision), genre_map)
        total = sum(planned.n_todo.values())
        with console.progress("Listening", total, unit="files") as advance:
            scan.run(connection, planned, advance=advance)
        proposal = planning.propose(connection, folders, card, wishes, chosen)
    if output:
        plans.write(output, chosen.name, proposal.entries)
    for problem in planned.problems:
        typer.echo(f"genrekit: {console.printable(problem)}", err=True)
    _show_proposal(proposal, output, as_json)
    _end(proposal.failures)


def _show_proposal(proposal: Proposal, output: Path | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(proposal.to_dict()))
        return
    for entry in proposal.entries:
        typer.echo(console.printable(entry.path))
        for sign, genres in (("-", entry.old), ("+", entry.new)):
            if genres:
                typer.echo(f"  {sign} {console.printable('; '.join(genres))}")
        typer.echo(f"    {entry.why}")
    for path, reason in list(proposal.skipped.items())[:N_SHOWN]:
        typer.echo(f"{console.printable(path)}\n    stays: {console.printable(reason)}")
    if (n_more := len(proposal.skipped) - N_SHOWN) > 0:
        typer.echo(f"... and {n_more} more stay as they are; --json names them all")
    counts = f"{len(proposal.entries)} to change, {len(proposal.skipped)} stay as they are"
    typer.echo(f"{counts}, {len(proposal.failures)} failed")
    if output and proposal.entries:
        typer.echo(f"review {output}, then: genrekit tag apply {output}", err=True)


@app.command()
def apply(
    plan_file: PlanFile,
    keep_mtime: Annotated[
        bool, typer.Option("--keep-mtime", help="Leave each file its time of change.")
    ] = False,
    db: Db = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write what a plan says; `genrekit tag undo` takes it back. Run it again after a crash."""
    from genrekit.library import applying, database, plans

    planned = plans.read(plan_file)
    with (
        database.opened(db) as connection,
        console.progress("Writing", len(planned.entries), shown=not dry_run) as advance,
    ):
        report = applying.apply(
            connection, planned, keep_mtime=keep_mtime, dry_run=dry_run, advance=advance
        )
    _show(report, "would change" if dry_run else "changed", as_json)


@app.command()
def verify(plan_file: PlanFile, as_json: AsJson = False) -> None:
    """Check that each file of a plan holds its genres, and the same audio as before."""
    from genrekit.library import applying, plans

    planned = plans.read(plan_file)
    with console.progress("Checking", len(planned.entries)) as advance:
        report = applying.verify(planned, advance=advance)
    _show(report, "changed", as_json)


@app.command()
def undo(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A run's number (see `genrekit tag runs`) or a file.", show_default="the last run"
        ),
    ] = None,
    db: Db = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give files back every byte that they had before a plan was applied."""
    from genrekit.library import applying, database, journal

    with database.opened(db, must_exist=True) as connection:
        changes = journal.chosen(connection, what)
        with console.progress("Undoing", None, shown=not dry_run) as advance:
            report = applying.undo(connection, changes, dry_run=dry_run, advance=advance)
    _show(report, "would undo" if dry_run else "undone", as_json)


@app.command()
def runs(db: Db = None, as_json: AsJson = False) -> None:
    """List the plans that were applied, the latest first."""
    from dataclasses import asdict

    from genrekit.library import database, journal

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


def _show(report: Report, done: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        for path in report.changed:
            typer.echo(f"{done}: {console.printable(path)}")
        counts = [f"{len(report.changed)} {done}", f"{len(report.unchanged)} as planned already"]
        typer.echo(f"{', '.join(counts)}, {len(report.failures)} failed")
    _end(report.failures)


def _end(failures: dict[str, str]) -> None:
    """Name each failure on standard error, and exit with 1 where there is one."""
    for path, reason in failures.items():
        sentence = reason if path in reason else f"{path}: {reason}"
        typer.echo(f"genrekit: {console.printable(sentence)}", err=True)
    if failures:
        raise typer.Exit(1)
