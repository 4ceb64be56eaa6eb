"""Imports point downwards only: the table of docs/design.md, enforced."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import genrekit

ROOT = Path(genrekit.__file__).parent
DESIGN = Path(__file__).resolve().parents[2] / "docs" / "design.md"


def layers_of(document: Path) -> dict[str, set[str]]:
    """Read the table of layers: what each may import besides itself and the package's version."""
    section = (
        document.read_text(encoding="utf-8").partition("\n## Layers\n")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (`.*?) \|.*\| (.*?) \|$", section, flags=re.MULTILINE)
    leaves = set(re.findall(r"`(\w+)`", rows[0][0]))
    table: dict[str, set[str]] = {}
    for names, imports in rows:
        allowed = set(re.findall(r"`(\w+)`", imports))
        allowed |= leaves if "leaves" in imports else set()
        allowed |= set(table) if imports == "everything above" else set()
        table.update(dict.fromkeys(re.findall(r"`(\w+)`", names), allowed))
    return table


ALLOWED = layers_of(DESIGN)
HEAVY = {
    "fastapi",
    "lightning",
    "matplotlib",
    "onnx",
    "onnxscript",
    "prometheus_client",
    "python_multipart",
    "ray",
    "sklearn",
    "starlette",
    "tensorboard",
    "timm",
    "torch",
    "torchvision",
    "uvicorn",
}


@dataclass(frozen=True)
class Import:
    """One imported module: where it stands, and when Python reaches it."""

    importer: str
    target: str
    line: int
    lazy: bool
    typing_only: bool


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("genrekit", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def targets(node: ast.stmt) -> Iterator[str]:
    """Yield what one import statement imports; `from package import module` gives the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in MODULES else node.module


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(name: str) -> Iterator[Import]:
    """Yield every import of a module, with the lazy ones and those for the type checker only."""

    def walk(node: ast.AST, lazy: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for target in targets(child):
                    yield Import(name, target, child.lineno, lazy, typing_only)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, lazy or inside, typing_only or is_type_checking(child))

    yield from walk(ast.parse(MODULES[name].read_text(encoding="utf-8")), False, False)


@cache  # not at import: every worker of a test run imports this file, and one needs it
def imports() -> list[Import]:
    return [found for name in MODULES for found in imports_of(name)]


@cache
def internal() -> list[Import]:
    return [found for found in imports() if found.target.split(".")[0] == "genrekit"]


def layer(name: str) -> str:
    """Return the layer of a dotted name: its part after "genrekit", or "" for the package."""
    return name.partition(".")[2].partition(".")[0]


def test_the_table_of_layers_has_every_layer_and_no_other() -> None:
    assert {layer(name) for name in MODULES} - {"", "data"} == set(ALLOWED)
    assert set().union(*ALLOWED.values()) <= set(ALLOWED)


def test_the_table_of_layers_points_downwards_only() -> None:
    leaves = ALLOWED["errors"]
    graph = {name: allowed - {name} for name, allowed in ALLOWED.items() if name not in leaves}
    TopologicalSorter(graph).prepare()


def test_imports_point_downwards_only() -> None:
    wrong = [
        f"{found.importer}:{found.line} imports {found.target}"
        for found in internal()
        if layer(found.importer)
        and layer(found.target) not in ALLOWED[layer(found.importer)] | {layer(found.importer), ""}
    ]
    assert wrong == []


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in internal():
        if not found.typing_only and found.target != found.importer:
            graph[found.importer].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"an import cycle: {' -> '.join(error.args[1])}")


def test_the_command_line_imports_what_works_inside_its_verbs() -> None:
    early = [
        f"{found.importer}:{found.line} imports {found.target}"
        for found in internal()
        if layer(found.importer) == "cli"
        and layer(found.target) not in {"", "cli", "errors", "files", "progress", "tables"}
        and not (found.lazy or found.typing_only)
    ]
    assert early == []


def test_only_the_verbs_with_networks_of_torch_import_training() -> None:
    importers = {
        found.importer
        for found in internal()
        if layer(found.target) == "training"
        and layer(found.importer) not in {"training", "reproduction"}
    }
    allowed = {"evaluate", "explain", "genres", "library_training", "reproduce", "train"}
    assert importers <= {f"genrekit.cli.{name}" for name in allowed}


def reached_at_import(names: set[str]) -> set[str]:
    """Return the modules that importing these modules imports, these included."""
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {
            found.target
            for found in internal()
            if found.importer == name and not (found.lazy or found.typing_only)
        } - reached
    return reached


def test_the_heavy_packages_are_imported_where_they_are_needed() -> None:
    # An architecture (models), a plot (evaluation), training and the server may need them at the
    # top; whatever predicts must not reach those modules when it is imported.
    may = {"networks", "evaluation", "training", "reproduction", "server", "library_server"}
    starts = {name for name in MODULES if layer(name) not in may}
    starts -= {"genrekit.batch.ray_engine"}
    reached = reached_at_import(starts)
    wrong = [
        f"{found.importer}:{found.line} imports {found.target}"
        for found in imports()
        if found.target.split(".")[0] in HEAVY
        and found.importer in reached
        and not (found.lazy or found.typing_only)
    ]
    assert wrong == []


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = sorted(HEAVY | {"av", "librosa", "numpy", "onnxruntime", "scipy", "soundfile", "soxr"})
    code = (
        f"import sys, genrekit.cli.main\nprint([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
