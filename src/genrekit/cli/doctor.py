"""``genrekit doctor``: check this installation."""

from __future__ import annotations

import typer

from genrekit.cli.options import AsJson

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def command(as_json: AsJson = False) -> None:
    """Check decoders, models, a known prediction, GPU and folders; exit 1 when a check fails."""
    import json
    from dataclasses import asdict

    from genrekit import doctor

    findings = []
    for finding in doctor.examine():
        findings.append(finding)
        if not as_json:
            status = typer.style(f"{finding.status:<8}", fg=_COLOURS[finding.status])
            typer.echo(f"{status} {finding.check}: {finding.text}")
    n_problems = sum(finding.status == "problem" for finding in findings)
    if as_json:
        report = {"ok": not n_problems, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        typer.echo(f"{n_problems} problem{'s' * (n_problems != 1)} found.")
    if n_problems:
        raise typer.Exit(1)
