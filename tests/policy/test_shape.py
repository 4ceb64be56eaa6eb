"""The shape of the code: imports without cycles and of little depth, one name for one thing."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from test_layers import MODULES

pytestmark = pytest.mark.untraced
TESTS = Path(__file__).resolve().parents[1]
DEEPEST = 9  # modules in a chain of imports
# Words that are not the field's, as words of prose and as parts of names.
PRIVATE_WORDS = re.compile(
    r"\b(hear|hears|heard|hearing|listen(er|ing)?|wished|painted|told)\b", re.I
)
PRIVATE_NAMES = {
    *("hear", "hears", "heard", "unheard", "hearing", "listen", "listens", "listener", "listening"),
    *("told", "wish", "wished", "wishes", "stretch", "stretches", "paint", "paints", "painted"),
    *("painting", "desk", "guard", "spool", "road"),
}


@cache  # not at import: every worker of a test run imports this file, and one needs it
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that importing a module runs: none in functions, none for types only."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try):
            yield from imports_at_import(node.body + node.orelse)
        elif isinstance(node, ast.If):
            test = ast.unparse(node.test)
            if "TYPE_CHECKING" not in test and "__main__" not in test:
                yield from imports_at_import(node.body + node.orelse)


def targets(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & set(MODULES)
    children = {f"{node.module}.{alias.name}" for alias in node.names}
    whole = children if children <= set(MODULES) else {*children, str(node.module)}
    return whole & set(MODULES)


@cache
def graph() -> dict[str, set[str]]:
    """Return what importing each module imports."""
    return {
        name: {target for node in imports_at_import(tree_of(path).body) for target in targets(node)}
        - {name}
        for name, path in MODULES.items()
    }


@cache
def chain(name: str) -> tuple[str, ...]:
    """Return the longest chain of imports from a module down."""
    return name, *max((chain(other) for other in sorted(graph()[name])), key=len, default=())


def test_no_import_closes_a_circle() -> None:
    TopologicalSorter(graph()).prepare()  # raises CycleError, which names the circle


def test_no_chain_of_imports_is_deep() -> None:
    longest = max((chain(name) for name in graph()), key=len)
    assert len(longest) <= DEEPEST, " -> ".join(longest)


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for tree in map(tree_of, MODULES.values())
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, n in names.items() if n > 1] == []


def test_no_module_name_stands_in_two_packages_unless_it_means_the_same() -> None:
    # A verb's module is called after what the verb is about, as cli/doctor.py is.
    names = Counter(
        path.stem
        for path in MODULES.values()
        if path.name != "__init__.py" and path.parent.name != "cli"
    )
    assert {name for name, n in names.items() if n > 1} == set()


def names_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every identifier that a module defines or uses, with its line."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value, getattr(node, "lineno", 0)


# Everything but this file, which has to name the words.
WORDED = [
    *MODULES.values(),
    *(path for path in sorted(TESTS.rglob("*.py")) if path.name != "test_shape.py"),
]


@pytest.mark.parametrize("path", WORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_words_are_the_fields_own(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if PRIVATE_WORDS.search(line)
    ]
    named = [
        f"{line}: {identifier}"
        for identifier, line in names_of(tree_of(path))
        if PRIVATE_NAMES & set(re.findall(r"[a-z]+", identifier))
    ]
    assert prose + named == []


def test_the_words_of_pages_and_data_are_the_fields_own() -> None:
    package = MODULES["genrekit"].parent
    lines = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*"))
        if path.suffix in {".css", ".html", ".js", ".md", ".svg", ".toml", ".txt"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if PRIVATE_WORDS.search(line)
    ]
    assert [line for line in lines if '"Easy Listening"' not in line] == []  # a genre's name


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.name)
def test_no_test_reaches_for_a_private_name(path: Path) -> None:
    tree = tree_of(path)
    ours = set()  # names bound by imports from genrekit
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "genrekit":
            ours |= {alias.asname or alias.name for alias in node.names}
            found += [alias.name for alias in node.names if is_private(alias.name)]
        elif isinstance(node, ast.Import):
            ours |= {"genrekit" for alias in node.names if alias.name.startswith("genrekit")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            base = ast.unparse(node.value)
            if base != "self" and (base.split(".")[0] in ours or not is_foreign(node)):
                found.append(f"{node.lineno}: {base}.{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            found += [
                f"{node.lineno}: {argument.value}"
                for argument in node.args
                if isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and re.search(r"(^|\.)_[a-z]", argument.value)
            ]
    assert found == []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_foreign(node: ast.Attribute) -> bool:
    """Whether a private attribute is one of Python's own, such as os._exit."""
    return ast.unparse(node.value) in {"os", "sys"}
