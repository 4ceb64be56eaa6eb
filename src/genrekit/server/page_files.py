"""The files of a page, served exactly as they are, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse


def below(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Return every file of a page's folder by its address, which begins with a prefix."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in found}


def add(application: FastAPI, files: Mapping[str, Path]) -> None:
    """Let an application serve files by their addresses."""
    for address, path in files.items():
        application.add_api_route(address, _sender(path), include_in_schema=False)


def _sender(path: Path) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(path)

    return send
