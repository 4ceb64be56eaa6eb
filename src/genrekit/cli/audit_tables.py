"""What ``genrekit datasets audit`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from genrekit.cli import console

if TYPE_CHECKING:
    from genrekit.quality.findings import Audit, Finding, Published

_N_NAMED = 4


def show(found: Audit) -> None:
    """Print every finding, the comparison with what is published, and the sum of it."""
    for check, group in groupby(found.findings, key=lambda finding: finding.check):
        for line in _section(check, list(group)):
            typer.echo(console.printable(line))
        typer.echo()
    if found.published:
        typer.echo("\n".join(_compare(found.published)))
    typer.echo(
        f"{found.dataset}: {found.n_tracks} tracks, {found.duration_seconds / 3600:.2f} hours: "
        f"{len(found.findings)} findings, {len(found.excluded)} tracks to leave out"
    )
    for note in found.notes:
        console.say(f"note: {note}")


def _section(check: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield one line a finding, so that they can be searched, below the check's name."""
    hint = "" if findings[0].exclude else "; not left out, for you to decide"
    yield f"{check} ({len(findings)}{hint})"
    named = [_some(finding.tracks) for finding in findings]
    width = max(map(len, named))
    for names, finding in zip(named, findings, strict=True):
        yield f"  {names:<{width}}  {finding.reason}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return ", ".join(names[:_N_NAMED]) + more


def _compare(published: Published) -> Iterator[str]:
    n_both = published.n_published - len(published.missed)
    yield (
        f"published repetitions: {n_both} of {published.n_published} pairs found (recall "
        f"{100 * published.recall:.1f} %); {n_both} of {published.n_found} pairs found are "
        f"published (precision {100 * published.precision:.1f} %)"
    )
    for title, pairs in (("missed", published.missed), ("not published", published.new)):
        if pairs:
            yield f"  {title}: {', '.join(f'{first} = {second}' for first, second in pairs)}"
