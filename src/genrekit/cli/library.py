"""``genrekit library``: a database of what was heard of each file of a music library."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import batch_options, console
from genrekit.cli.options import AsJson, Db, Jobs, JsonLines, Model, Nice, spread

if TYPE_CHECKING:
    from genrekit.library.agreement import Agreement
    from genrekit.library.query import LibraryEntry
    from genrekit.library.scan import ScanPlan, ScanReport

LEAST_SHOWN = 0.005
app = typer.Typer(help="Scan a music library, and look at what was heard.", no_args_is_help=True)

HeardBy = Annotated[
    str | None,
    typer.Option(
        help="Whose answers: a model's name, or how its sha256 begins.",
        show_default="of the last scan",
    ),
]
Genre = Annotated[str | None, typer.Option(help="Only where this is the most probable genre.")]
MinProbability = Annotated[
    float, typer.Option(min=0, max=1, help="Only where the most probable genre reaches this.")
]
MissingTag = Annotated[
    bool, typer.Option("--missing-tag", help="Only where the tags name no genre.")
]
Disagrees = Annotated[
    bool, typer.Option("--disagrees", help="Only where audio, tag and folder name differ.")
]


@dataclass(frozen=True)
class ScanOptions:
    """What ``library scan`` takes."""

    folders: Annotated[list[Path], typer.Argument(help="Folders, or single files.")]
    model: Model = None
    db: Db = None
    jobs: Jobs = None
    nice: Nice = 0
    deadline: Annotated[
        float, typer.Option(min=1, help="Seconds after which a file is given up.")
    ] = 120
    memory: Annotated[
        int, typer.Option(min=256, help="Megabytes beyond which a file is given up.")
    ] = 2048
    retry: Annotated[
        bool, typer.Option("--retry", help="Try the files again that failed before.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; analyse nothing.")
    ] = False
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Who works: processes of this machine, or Ray (same paths everywhere)."),
    ] = "local"
    ray_address: batch_options.RayAddress = None
    as_json: AsJson = False


@app.command("scan")
@spread(ScanOptions)
def scan_command(options: ScanOptions) -> None:
    """Hear every new file once and remember it; stop it at any time, it goes on where it was.

    Examples:
        genrekit library scan Music/
        genrekit library scan Music/ --model accurate --nice 10
    """
    from genrekit.library import database, scan

    worker = batch_options.engine(options.engine, options.jobs, options.ray_address)
    where = (
        ":memory:"
        if options.dry_run and not (options.db or database.default_path()).exists()
        else options.db
    )
    with database.opened(where) as connection:
        planned = scan.plan(connection, options.folders, options.model, retry=options.retry)
        for problem in planned.problems:
            console.warn(problem)
        report = None
        if not options.dry_run:
            limits = scan.ScanLimits(
                options.jobs, options.nice, options.deadline, options.memory << 20
            )
            total = sum(planned.n_todo.values())
            with console.progress("Scanning", total, unit="files") as advance:
                report = scan.run(connection, planned, limits, advance, worker)
    _show_scan(planned, report, options.as_json)
    if report and report.failures:
        raise typer.Exit(1)


def _show_scan(planned: ScanPlan, report: ScanReport | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(planned.to_dict() | (report.to_dict() if report else {})))
        return
    states = {
        "new": planned.n_todo.get("new", 0),
        "changed": planned.n_todo.get("changed", 0),
        f"not yet heard by {planned.model.card.name!r}": planned.n_todo.get("known", 0),
        "that failed before": planned.n_todo.get("retried", 0),
        "as before": planned.n_files - sum(planned.n_todo.values()),
        "gone": len(planned.absent),
    }
    said = _counts(states)
    typer.echo(f"{planned.n_files} files: {said}" if said else f"{planned.n_files} files")
    if not report:
        return
    for path, reason in report.failures.items():
        console.complain(path, reason)
    speed = f"{report.n_heard / report.seconds:.1f} a second" if report.seconds else ""
    done = {
        f"heard in {report.seconds:.1f} s ({speed})": report.n_heard,
        "moved": report.n_moved,
        "failed": len(report.failures),
        "of these quarantined": report.n_quarantined,
    }
    if said := _counts(done):
        typer.echo(said)


def _counts(counts: dict[str, int]) -> str:
    """Return counts in words, without those that are zero."""
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n)


@app.command()
def status(db: Db = None, as_json: AsJson = False) -> None:
    """Say what is in the library: counts, models, genres."""
    from genrekit.library import database, summary

    with database.opened(db, must_exist=True) as connection:
        found = summary.summarise(connection)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(
        f"{found.n_files} files, {found.n_audio} different audio; {found.n_missing} gone, "
        f"{found.n_failed} cannot be heard ({found.n_quarantined} quarantined), "
        f"{found.n_untagged} without a genre tag"
    )
    for model, n_heard in found.n_heard_by_model.items():
        typer.echo(f"{n_heard} heard by {console.printable(model)}")
    rows = [[genre, str(n_tracks)] for genre, n_tracks in found.n_files_by_genre.items()]
    if rows:
        console.stdout().print(console.table(["most probable", "files"], rows))


@app.command("list")
def list_files(
    db: Db = None,
    model: HeardBy = None,
    genre: Genre = None,
    min_probability: MinProbability = 0.0,
    missing_tag: MissingTag = False,
    disagrees: Disagrees = False,
    failed: Annotated[bool, typer.Option("--failed", help="Those that cannot be heard.")] = False,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Those that hung or killed a worker.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Those that are no longer there.")
    ] = False,
    as_json: JsonLines = False,
) -> None:
    """List files: what was heard, what the tag says, and what all opinions come to."""
    from genrekit.library import database, query

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        filters = query.Filters(
            genre and query.label_of(used, genre),
            min_probability,
            missing_tag,
            disagrees,
            failed,
            quarantined,
            missing,
        )
        for entry in query.entries(connection, used, filters):
            typer.echo(json.dumps(entry.to_dict()) if as_json else line(entry))


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A file that was scanned.")],
    db: Db = None,
    model: HeardBy = None,
    as_json: AsJson = False,
) -> None:
    """Show all about one file: what was heard, its tags, and who agrees with whom."""
    from genrekit.library import database, query

    with database.opened(db, must_exist=True) as connection:
        entry = query.entry_of(connection, query.used_model(connection, model), file)
    if as_json:
        typer.echo(json.dumps(entry.to_dict()))
        return
    typer.echo(console.local(str(entry.path)))
    tags = [("genre", "; ".join(entry.genres)), *entry.tags.items(), ("heard", _heard(entry))]
    if entry.duration_seconds is not None:
        tags.append(("length", f"{entry.duration_seconds:.1f} s"))
    for name, value in tags:
        typer.echo(f"  {name:<12} {console.printable(value) if value else '-'}")
    for sentence in (*entry.warnings, entry.error, entry.is_missing and "no longer there"):
        if sentence:
            typer.echo(f"  {console.printable(sentence)}")
    if entry.agreement:
        _show_agreement(entry.agreement)


def _heard(entry: LibraryEntry) -> str:
    """Return the three most probable labels of the audio, without those that would read 0 %."""
    ordered = sorted((entry.probabilities or {}).items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{label} {p:.0%}" for label, p in ordered if p >= LEAST_SHOWN)


def _show_agreement(agreement: Agreement) -> None:
    fields = agreement.to_dict()
    rows = [
        [source, f"{said['weight']:g}", ", ".join(said["labels"]), f"{said['probability']:.1%}"]
        for source, said in fields["opinions"].items()
    ]
    rows.append(["together", "", fields["label"], f"{fields['probability']:.1%}"])
    console.stdout().print(console.table(["opinion of", "weight", "genre", "probability"], rows))
    if agreement.disagrees:
        typer.echo("they disagree")


@app.command()
def similar(
    file: Annotated[Path, typer.Argument(help="A file, of the library or not.")],
    db: Db = None,
    model: HeardBy = None,
    top: Annotated[int, typer.Option(min=1, help="Give this many tracks.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find the tracks of the library that sound most like a file."""
    from genrekit.library import database, query
    from genrekit.library import similar as similarity

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        found = similarity.similar(connection, used, file, top)
    if as_json:
        pairs = [{"path": str(path), "cosine": round(cosine, 6)} for path, cosine in found]
        typer.echo(json.dumps(pairs))
        return
    for path, cosine in found:
        typer.echo(f"{cosine:6.3f}  {console.local(str(path))}")


@app.command()
def duplicates(
    db: Db = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON line a recording.")
    ] = False,
) -> None:
    """List files that hold the very same audio, whatever their names and tags."""
    from genrekit.library import database, query

    n_recordings, n_copies, n_bytes = 0, 0, 0
    with database.opened(db, must_exist=True) as connection:
        for copies in query.duplicates(connection):
            n_recordings, n_copies = n_recordings + 1, n_copies + len(copies) - 1
            n_bytes += sum(sorted(copies.values())[:-1])
            if as_json:
                files = [{"path": str(path), "size_bytes": n} for path, n in copies.items()]
                typer.echo(json.dumps(files))
                continue
            for path in copies:
                typer.echo(console.local(str(path)))
            typer.echo()
    if n_copies and not as_json:
        size = f"{n_bytes / 1e6:.1f} MB"
        typer.echo(f"recordings with copies: {n_recordings}; surplus files: {n_copies}, {size}")


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The file, or for m3u the folder, to write.")],
    kind: Annotated[
        Literal["csv", "jsonl", "parquet", "m3u"],
        typer.Option("--format", help="m3u is one playlist for each genre."),
    ] = "csv",
    db: Db = None,
    model: HeardBy = None,
    genre: Genre = None,
    min_probability: MinProbability = 0.0,
    missing_tag: MissingTag = False,
    disagrees: Disagrees = False,
) -> None:
    """Write the library, or the part that the filters leave, as a table or playlists."""
    from genrekit.library import database, exporting, query

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        wanted = genre and query.label_of(used, genre)
        filters = query.Filters(wanted, min_probability, missing_tag, disagrees)
        entries = query.entries(connection, used, filters)
        n_written, left_out = exporting.write(kind, entries, used.labels, target)
    for path in left_out:
        console.complain(str(path), "left out: no playlist can hold a name with a line break")
    typer.echo(f"{n_written} tracks written to {target}")
    if left_out:
        raise typer.Exit(1)


def line(entry: LibraryEntry) -> str:
    """Return one file as a line: what was heard, the tag, a mark where they disagree, the path."""
    path = str(entry.path)
    if entry.agreement is None or entry.probability is None:
        reason = entry.error or "not heard by this model"
        return console.local(reason if path in reason else f"{path}: {reason}")
    tag = console.printable("; ".join(entry.genres)) or "-"
    mark = "≠" if entry.agreement.disagrees else " "
    return f"{entry.label:<12} {entry.probability:6.1%}  {mark} {tag:<20} {console.local(path)}"
