"""``genrekit serve``: predictions over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrekit.cli import console
from genrekit.cli.options import Jobs, MinPrecision, api_key_option, argument, option

TAKES_URLS = ("allow_origin",)


def command(
    limits: Annotated[
        list[str] | None,
        argument(
            "Limits to change, such as max_seconds=600; docs/serving.md lists them.",
            metavar="[KEY=VALUE]...",
        ),
    ] = None,
    host: Annotated[str, option("The address to accept connections on.")] = "127.0.0.1",
    port: Annotated[int, option("The port; 0 picks a free one.", min=0, max=65535)] = 8000,
    model: Annotated[
        list[str] | None,
        option(
            "A model's name or folder; repeat for several, which requests choose by name.",
            show_default="the embedded models, fast first",
        ),
    ] = None,
    workers: Jobs = None,
    min_precision: MinPrecision = None,
    api_key: Annotated[str | None, api_key_option("none: anyone may call")] = None,
    allow_origin: Annotated[
        list[str] | None,
        option(
            "Accept calls from pages of this origin (CORS), and its host name; repeat for more."
        ),
    ] = None,
    root_path: Annotated[str, option("The path prefix that a reverse proxy adds.")] = "",
    static: Annotated[
        Path | None,
        option("Do not serve: write the page that runs in the browser to a folder (needs npm)."),
    ] = None,
) -> None:
    """Serve predictions over HTTP, and a web page: POST /v1/predict; /docs lists the rest.

    Examples:
        genrekit serve --port 8080
        genrekit serve --model fast --model accurate max_seconds=600
    """
    if static:
        _write_static(static, model or [])
        return
    from genrekit.server import app, http_server
    from genrekit.server.settings import Settings, parse_limits
    from genrekit.workers import n_cores

    settings = Settings(
        models=tuple(model or ()),
        n_workers=workers or n_cores(),
        limits=parse_limits(limits or ()),
        min_precision=min_precision,
        api_key=api_key,
        allow_origins=tuple(allow_origin or ()),
        root_path=root_path,
    )
    http_server.run(app.create_app(settings), settings.limits, host, port, _report)


def _write_static(out: Path, models: list[str]) -> None:
    if len(models) > 1:
        raise typer.BadParameter(f"got {len(models)} models; expected one for the page in {out}")
    from genrekit.server import static_site

    written = static_site.build(out, models[0] if models else None)
    typer.echo(f"{out}: the page with model {written.card.name}; any web server can serve it")


def _report(address: str) -> None:
    console.say(f"genrekit: serving at {address} (Ctrl-C stops it)")
