"""``genrekit library``: a database of a music library's files and their genres."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genrekit.cli import batch_options, console, library_teaching, outputs
from genrekit.cli.options import (
    AsJson,
    Db,
    Jobs,
    JsonLines,
    Model,
    Nice,
    ScannedBy,
    api_key_option,
    argument,
    option,
    spread,
)
from genrekit.cli.outputs import output_option
from genrekit.errors import naming

if TYPE_CHECKING:
    from genrekit.library.agreement import Agreement
    from genrekit.library.query import LibraryEntry
    from genrekit.library.scan import ScanPlan, ScanReport

TABLES = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".m3u8": "playlist",
    ".m3u": "playlist",
    ".xml": "rekordbox",
}
app = typer.Typer(
    help="Scan a music library, search it, correct its genres, export it.", no_args_is_help=True
)
app.registered_commands += library_teaching.commands.registered_commands

Genre = Annotated[str | None, option("Only files whose most probable genre is this.")]
MinProbability = Annotated[
    float, option("Only files whose most probable genre reaches this.", min=0, max=1)
]
MissingTag = Annotated[bool, option("Only files whose tags name no genre.", "--missing-tag")]
Disagrees = Annotated[bool, option("Only where audio, tag and folder disagree.", "--disagrees")]
IsPlaceholder = Annotated[
    bool, option("Only files tagged Other, Unknown or the like.", "--placeholder")
]


@dataclass(frozen=True)
class ScanOptions:
    """The options of ``library scan``."""

    folders: Annotated[list[Path], argument("Folders, playlists or single files.")]
    model: Model = None
    db: Db = None
    jobs: Jobs = None
    nice: Nice = 0
    deadline: Annotated[float, option("Seconds after which a file fails.", min=1)] = 120
    memory: Annotated[int, option("Megabytes of memory beyond which a file fails.", min=256)] = 2048
    retry: Annotated[bool, option("Retry files that failed before.")] = False
    dry_run: Annotated[bool, option("Show what would be done; analyse nothing.")] = False
    engine: Annotated[
        Literal["local", "ray"],
        option("Run in processes of this machine, or on Ray (same paths everywhere)."),
    ] = "local"
    ray_address: batch_options.RayAddress = None
    as_json: AsJson = False


@app.command("scan")
@spread(ScanOptions)
def scan_command(options: ScanOptions) -> None:
    """Predict the genre of every new file once; stop at any time and run again to resume.

    Examples:
      genrekit library scan Music
      genrekit library scan Music --nice 10 --dry-run
    """
    from genrekit.batch.engines import Limits
    from genrekit.library import database, scan

    worker = batch_options.engine(options.engine, options.jobs, options.ray_address)
    where = (
        ":memory:"
        if options.dry_run and not (options.db or database.default_path()).exists()
        else options.db
    )
    with database.opened(where) as connection:
        folders = outputs.with_playlists(options.folders)
        planned = scan.plan(connection, folders, options.model, retry=options.retry)
        for problem in planned.problems:
            console.warn(problem)
        report = None
        if not options.dry_run:
            limits = Limits(options.deadline, options.memory << 20, options.nice)
            progress = console.progress_of("Scanning")
            report = scan.run(connection, planned, worker, limits, progress)
    _show_scan(planned, report, options.as_json)
    if report and report.failures:
        raise typer.Exit(1)


def _show_scan(planned: ScanPlan, report: ScanReport | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(planned.to_dict() | (report.to_dict() if report else {})))
        return
    states = {
        "new": planned.n_pending.get("new", 0),
        "changed": planned.n_pending.get("changed", 0),
        f"not yet analysed by {planned.model.card.name!r}": planned.n_pending.get("known", 0),
        "that failed before": planned.n_pending.get("retried", 0),
        "as before": planned.n_files - sum(planned.n_pending.values()),
        "gone": len(planned.absent),
    }
    found = _counts(states)
    typer.echo(f"{planned.n_files} files: {found}" if found else f"{planned.n_files} files")
    if not report:
        return
    for path, reason in report.failures.items():
        console.complain(path, reason)
    speed = f"{report.n_analysed / report.seconds:.1f} a second" if report.seconds else ""
    done = {
        f"analysed in {report.seconds:.1f} s ({speed})": report.n_analysed,
        "moved": report.n_moved,
        "failed": len(report.failures),
        "of these quarantined": report.n_quarantined,
    }
    if counts := _counts(done):
        typer.echo(counts)


def _counts(counts: dict[str, int]) -> str:
    """Return counts in words, omitting zeros."""
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n)


@app.command()
def status(db: Db = None, as_json: AsJson = False) -> None:
    """Show what is in the library: counts, models, genres."""
    from genrekit.library import database, summary

    with database.opened(db, must_exist=True) as connection:
        found = summary.summarise(connection)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(
        f"{found.n_files} files, {found.n_audio} different audio; {found.n_missing} gone, "
        f"{found.n_failed} cannot be analysed ({found.n_quarantined} quarantined), "
        f"{found.n_untagged} without a genre tag"
    )
    for model, n_analysed in found.n_analysed_by_model.items():
        typer.echo(f"{n_analysed} analysed by {console.printable(model)}")
    rows = [[genre, str(n_tracks)] for genre, n_tracks in found.n_files_by_genre.items()]
    if rows:
        console.stdout().print(console.table(["most probable", "files"], rows))


@dataclass(frozen=True)
class ListOptions:
    """The options of ``library list``."""

    db: Db = None
    model: ScannedBy = None
    genre: Genre = None
    min_probability: MinProbability = 0.0
    missing_tag: MissingTag = False
    placeholder: IsPlaceholder = False
    disagrees: Disagrees = False
    failed: Annotated[bool, option("Only files that cannot be analysed.")] = False
    quarantined: Annotated[bool, option("Only files that hung or killed a worker.")] = False
    missing: Annotated[bool, option("Only files that no longer exist.")] = False
    as_json: JsonLines = False


@app.command("list")
@spread(ListOptions)
def list_files(options: ListOptions) -> None:
    """List files: the most probable genre, the tag, and a mark where they disagree.

    The mark ≠ means that the tag or the folder names another genre, or one that the model does
    not know.

    Examples:
      genrekit library list --missing-tag --genre jazz --min-probability 0.9
      genrekit library list --disagrees --json
    """
    from genrekit.library import database, query

    with database.opened(options.db, must_exist=True) as connection:
        used = query.used_model(connection, options.model)
        filters = query.Filters(
            options.genre and query.label_of(used, options.genre),
            options.min_probability,
            options.missing_tag,
            options.disagrees,
            options.failed,
            options.quarantined,
            options.missing,
            options.placeholder,
        )
        n_rows = 0
        for entry in query.entries(connection, used, filters):
            if entry.agreement and not (n_rows or options.as_json):
                typer.echo(HEADER)
            n_rows += entry.agreement is not None
            typer.echo(json.dumps(entry.to_dict()) if options.as_json else line(entry))


@app.command()
def show(
    file: Annotated[Path, argument("A file that was scanned.")],
    db: Db = None,
    model: ScannedBy = None,
    as_json: AsJson = False,
) -> None:
    """Show one file: its most probable genres, its tags, and whether they agree."""
    from genrekit.library import database, query
    from genrekit.tags import formats

    with database.opened(db, must_exist=True) as connection:
        entry = query.entry_of(connection, query.used_model(connection, model), file)
    conflicts = formats.conflicts(entry.path)
    if as_json:
        typer.echo(json.dumps(entry.to_dict() | {"genre_conflicts": conflicts}))
        return
    typer.echo(console.local(str(entry.path)))
    tags = [
        ("genre", "; ".join(entry.genres)),
        *entry.tags.items(),
        ("predicted", _predicted(entry)),
    ]
    if entry.duration_seconds is not None:
        tags.append(("length", f"{entry.duration_seconds:.1f} s"))
    for name, value in tags:
        typer.echo(f"  {name:<12} {console.printable(value) if value else '-'}")
    for place in conflicts:
        typer.echo(f"  {'but':<12} {console.printable(place)}")
    for sentence in (*entry.warnings, entry.error, entry.is_missing and "no longer there"):
        if sentence:
            typer.echo(f"  {console.printable(sentence)}")
    if entry.agreement:
        _show_agreement(entry.agreement)


def _predicted(entry: LibraryEntry) -> str:
    """Return the three most probable labels of the audio, without those that round to 0.0 %."""
    from genrekit.prediction import is_shown, percent

    ordered = sorted((entry.probabilities or {}).items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{label} {percent(p)}" for label, p in ordered if is_shown(p))


def _show_agreement(agreement: Agreement) -> None:
    from genrekit.prediction import percent

    fields = agreement.to_dict()
    rows = [
        [
            source,
            f"{its['weight']:g}",
            ", ".join(its["labels"]),
            percent(its["probability"]),
        ]
        for source, its in fields["sources"].items()
    ]
    if agreement.outside:
        rows.append(["tag", "-", console.printable("; ".join(agreement.outside)), "-"])
    rows.append(["together", "", fields["label"], percent(fields["probability"])])
    console.stdout().print(console.table(["source", "weight", "genre", "probability"], rows))
    if agreement.disagrees:
        typer.echo("they disagree")


@app.command()
def similar(
    file: Annotated[Path, argument("A file, in the library or not.")],
    db: Db = None,
    model: ScannedBy = None,
    top: Annotated[int, option("List this many tracks.", min=1)] = 10,
    as_json: AsJson = False,
) -> None:
    """Find the tracks of the library that are most similar to a file.

    Examples:
      genrekit library similar song.mp3
      genrekit library similar song.mp3 --top 3 --json
    """
    from genrekit.library import database, embeddings, query

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        found = embeddings.similar(connection, used, file, top)
    if as_json:
        pairs = [{"path": str(path), "cosine": round(cosine, 6)} for path, cosine in found]
        typer.echo(json.dumps(pairs))
        return
    for path, cosine in found:
        typer.echo(f"{cosine:6.3f}  {console.local(str(path))}")


@app.command()
def duplicates(
    db: Db = None,
    as_json: Annotated[bool, option("Write one JSON line a recording.", "--json")] = False,
) -> None:
    """List files with identical audio, whatever their names and tags."""
    from genrekit.library import database, summary

    n_recordings, n_copies, n_bytes = 0, 0, 0
    with database.opened(db, must_exist=True) as connection:
        for copies in summary.duplicates(connection):
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


@dataclass(frozen=True)
class LibraryServeOptions:
    """The options of ``library serve``."""

    db: Db = None
    host: Annotated[str, option("The address to accept connections on.")] = "127.0.0.1"
    port: Annotated[int, option("The port; 0 picks a free one.", min=0, max=65535)] = 8001
    read_only: Annotated[bool, option("Show everything, but change nothing.")] = False
    api_key: Annotated[str | None, api_key_option("a random token")] = None


@app.command()
@spread(LibraryServeOptions)
def serve(options: LibraryServeOptions) -> None:
    """Show the library in the browser: search, review and write tags, train; Ctrl-C stops it.

    Examples:
      genrekit library serve
      genrekit library serve --db party.sqlite3 --port 0 --read-only
    """
    import ipaddress

    if options.host != "localhost" and not options.api_key:
        try:
            is_own = ipaddress.ip_address(options.host).is_loopback
        except ValueError:
            is_own = False
        if not is_own:
            raise typer.BadParameter(
                f"other machines can connect to {options.host}; set GENREKIT_API_KEY to a key "
                "that they have to enter, or omit --host"
            )
    from genrekit.library import database
    from genrekit.library_server import application
    from genrekit.library_server.access import Secret
    from genrekit.server import http_server
    from genrekit.server.settings import ServerLimits

    path = options.db or database.default_path()
    secret = Secret(options.api_key, is_key=True) if options.api_key else Secret()

    def report(address: str) -> None:
        console.say(f"genrekit: the library is at {secret.url(address)} (Ctrl-C stops it)")

    with application.opened_library_app(path, secret, read_only=options.read_only) as served:
        http_server.run(served, ServerLimits(), options.host, options.port, report, grace_seconds=2)


@app.command()
def export(
    output: Annotated[
        Path, output_option("The file, or for m3u the folder, to write.", *TABLES, folder=True)
    ],
    kind: Annotated[
        Literal["csv", "jsonl", "parquet", "playlist", "m3u", "rekordbox"] | None,
        option(
            "playlist: one for all; m3u: one per genre; rekordbox: its XML.",
            "--format",
            show_default="the suffix of -o, or csv",
        ),
    ] = None,
    db: Db = None,
    model: ScannedBy = None,
    genre: Genre = None,
    min_probability: MinProbability = 0.0,
    missing_tag: MissingTag = False,
    disagrees: Disagrees = False,
    placeholder: IsPlaceholder = False,
) -> None:
    """Write the library, or the files that pass the filters, as a table or playlists.

    Examples:
      genrekit library export -o library.csv
      genrekit library export -o playlists --format m3u --min-probability 0.8
    """
    chosen = _export_kind(output, kind)
    from genrekit.library import database, exporting, query

    with database.opened(db, must_exist=True) as connection:
        used = query.used_model(connection, model)
        label = genre and query.label_of(used, genre)
        filters = query.Filters(
            label, min_probability, missing_tag, disagrees, placeholder=placeholder
        )
        entries = query.entries(connection, used, filters)
        n_written, left_out = exporting.write(chosen, entries, used.labels, output)
    for path in left_out:
        console.complain(str(path), "left out: a playlist cannot hold a name with a line break")
    typer.echo(f"{n_written} tracks written to {output}")
    if left_out:
        raise typer.Exit(1)


def _export_kind(output: Path, kind: str | None) -> str:
    """Return the format of an export from its name and --format, which must not contradict it."""
    if kind == "m3u":
        if output.suffix.lower() in outputs.FILE_SUFFIXES | TABLES.keys():
            raise typer.BadParameter(f"--output is {output}; give a folder for the playlists")
        return kind
    named = outputs.form(output, TABLES, kind or "csv")
    if kind and named != kind:
        raise typer.BadParameter(
            f"--output is {output}, and --format is {kind}; give a matching name"
        )
    return named


def line(entry: LibraryEntry) -> str:
    """Return the line of one file: its genre, the tag, a mark where they disagree, the path."""
    from genrekit.prediction import percent

    path = str(entry.path)
    if entry.agreement is None or entry.probability is None:
        reason = entry.error or "not analysed by this model"
        return console.local(naming(path, reason))
    tag = console.printable("; ".join(entry.genres)) or "-"
    mark = "≠" if entry.agreement.disagrees else " "
    probability = percent(entry.probability) if entry.label else "-"
    return _columns(entry.label or "-", probability, mark, tag, console.local(path))


def _columns(genre: str, probability: str, mark: str, tag: str, path: str) -> str:
    return f"{genre:<12} {probability:>8}  {mark} {tag:<20} {path}"


HEADER = _columns("genre", "sure", " ", "tag", "file")
