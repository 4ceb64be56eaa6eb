"""Run the notebooks from top to bottom; on MUSIC if it is set, else on made songs.

    python scripts/run_notebooks.py [--write] [NOTEBOOK ...]

``--write`` keeps what they print and draw, for the documentation. Each runs in a folder of its
own, so nothing is left behind.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LIMIT_SECONDS = 1800


def run(path: Path, folder: str) -> Any:
    """Execute one notebook in a folder; an error in a cell is raised."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=LIMIT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    return notebook


def without_noise(notebook: Any) -> Any:
    """Drop what libraries say on standard error, and when each cell ran."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run what was asked for, and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the outputs in the files")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # no retries for weights: made songs need none
    os.environ["PYTHONPATH"] = f"{NOTEBOOKS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(path, folder)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
        if options.write:
            nbformat.write(without_noise(notebook), path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
