"""The documents are well formed: fences, links, anchors, line lengths, names of the code."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from PIL import Image

from genrekit.models import registry

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINE_LENGTH = 120
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def lines(document: Path) -> list[str]:
    return document.read_text(encoding="utf-8").splitlines()


def outside_fences(document: Path, *languages: str) -> list[tuple[int, str]]:
    """Return the numbered lines outside of fenced blocks: of these languages, or of all."""
    kept, fence = [], None
    for number, line in enumerate(lines(document), 1):
        if line.lstrip().startswith("```"):
            fence = line.strip()[3:] if fence is None else None
        elif fence is None or (languages and fence not in languages):
            kept.append((number, line))
    return kept


def prose(document: Path) -> str:
    return "\n".join(line for _, line in outside_fences(document))


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@each_document
def test_every_fence_is_closed(document: Path) -> None:
    fences = [line.strip() for line in lines(document) if line.lstrip().startswith("```")]
    assert len(fences) % 2 == 0
    assert set(fences[1::2]) <= {"```"}, "a fence that closes has no language"


@each_document
def test_no_line_is_too_long(document: Path) -> None:
    # A row of a table is one line, and so is what a program prints (in a console block).
    long = [
        f"{number}: {len(line)} characters"
        for number, line in outside_fences(document, "console")
        if len(line) > LINE_LENGTH and not line.startswith("|")
    ]
    assert long == []


@each_document
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", prose(document)):
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(f"{target}#{anchor}" if anchor else target)
    assert broken == []


@each_document
def test_every_name_of_the_package_exists(document: Path) -> None:
    missing = []
    for name in set(re.findall(r"`(genrekit(?:\.\w+)+)", prose(document))):
        module, unresolved = importable(name)
        for attribute in unresolved:
            if not hasattr(module, attribute):
                missing.append(name)
                break
            module = getattr(module, attribute)
    assert missing == []


def importable(name: str) -> tuple[object, list[str]]:
    """Import as much of a dotted name as is a module; return it and the parts behind it."""
    parts = name.split(".")
    for n_parts in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:n_parts])), parts[n_parts:]
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
    raise ModuleNotFoundError(name)


def test_the_image_of_the_page_shows_the_default_model() -> None:
    card = registry.find().card
    with Image.open(ROOT / "docs" / "pictures" / "page.png") as image:
        shown = image.text["model"]  # scripts/make_page_image.py writes it
    assert shown == f"{card.name} {card.version}"


def test_the_page_on_scikit_learn_runs() -> None:
    found = doctest.testfile(str(ROOT / "docs" / "scikit-learn.md"), module_relative=False)
    assert found.attempted > 15
    assert found.failed == 0


def pages() -> list[Path]:
    return sorted(ROOT.glob("docs/*.md"))


@pytest.mark.parametrize("document", pages(), ids=lambda path: path.name)
def test_the_first_line_of_a_page_says_for_whom_it_is(document: Path) -> None:
    first = next(line for line in lines(document)[1:] if line)
    assert first.startswith("*For ")


def test_every_page_stands_once_in_the_contents_of_the_site() -> None:
    index = ROOT / "docs/index.md"
    contents = re.findall(r"```\{toctree\}(.*?)```", index.read_text(encoding="utf-8"), re.DOTALL)
    entries = [line for part in contents for line in part.split() if not line.startswith(":")]
    named = [entry for entry in entries if (ROOT / f"docs/{entry}.md") in pages()]
    assert sorted(named) == sorted(page.stem for page in pages() if page != index)
