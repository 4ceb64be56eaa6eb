"""``genrekit watch``: predict new files as they arrive, and tag them if asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrekit.cli import console, library
from genrekit.cli.options import Db, Jobs, JsonLines, Model, Nice, argument, option, spread
from genrekit.cli.proposal_options import ProposalOptions, note_cut

if TYPE_CHECKING:
    from genrekit.tagging.watching import Arrival, TagOutcome


@dataclass(frozen=True, kw_only=True)
class WatchOptions(ProposalOptions):
    """What ``genrekit watch`` takes."""

    folder: Annotated[Path, argument("The folder to watch.")]
    model: Model = None
    db: Db = None
    interval: Annotated[float, option("Seconds between two checks.", min=0.1)] = 5.0
    jobs: Jobs = None
    nice: Nice = 0
    tag: Annotated[
        bool, option("Write the genres that `tag plan` would propose with these options.")
    ] = False
    as_json: JsonLines = False


@spread(WatchOptions)
def command(options: WatchOptions) -> None:
    """List or tag new files as they arrive, after they have stopped growing; Ctrl-C stops it.

    Examples:
      genrekit watch Music
      genrekit watch Downloads --tag --style-field STYLE
    """
    if not options.tag and not options.is_default():
        raise typer.BadParameter("what is proposed matters with --tag only; add it")
    settings = options.settings()
    from genrekit.batch.engines import LocalEngine
    from genrekit.library import database, scan
    from genrekit.tagging import watching

    with database.opened(options.db) as connection:
        found = watching.watch(
            connection,
            options.folder,
            options.model,
            interval_seconds=options.interval,
            engine=LocalEngine(options.jobs),
            limits=replace(scan.LIMITS, niceness=options.nice),
            tag=settings if options.tag else None,
        )
        try:
            for arrival in found:
                typer.echo(json.dumps(arrival.to_dict()) if options.as_json else _line(arrival))
                if arrival.tagging:
                    note_cut(settings.form(), arrival.tagging.new)
        except KeyboardInterrupt:
            console.say("genrekit: no longer watching")


def _line(arrival: Arrival) -> str:
    """Return a file's line, with what became of its tags."""
    line, tagging = library.line(arrival.entry), arrival.tagging
    if not tagging or arrival.entry.error:
        return line
    return f"{line}  ({console.printable(_said(tagging, arrival.entry.path))})"


def _said(tagging: TagOutcome, path: Path) -> str:
    if tagging.state != "written":
        reason = tagging.reason.removeprefix(f"{path}: ")
        return f"{'not written' if tagging.state == 'failed' else 'stays'}: {reason}"
    genres = "; ".join(tagging.new) if tagging.new != tagging.old else ""
    style = f"{tagging.style_field}: {'; '.join(tagging.styles)}" if tagging.style_field else ""
    return f"written: {', '.join(filter(None, (genres, style)))}"
