"""Documents name files, functions, make targets and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "fullduplex"
DOCS = ROOT / "docs"
GUIDE = ROOT / "CONTRIBUTING.md"
LIFE = DOCS / "life-of-a-message.md"
PAGES = [ROOT / "README.md", GUIDE, *sorted(DOCS.glob("*.md"))]

LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#([^)]*))?\)")
FILE = re.compile(r"`((?:\w[\w-]*/)+[\w.-]*)`")
HOP = re.compile(r"^\| \d+ \| `([^`]+)` \| `(\w+)` \|", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_list_of_documents() -> None:
    text = (DOCS / "README.md").read_text()
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in text, page.name


@pytest.mark.parametrize("page", [GUIDE, LIFE], ids=lambda page: page.name)
def test_files_are_there(page: Path) -> None:
    names = [name for name in FILE.findall(page.read_text()) if name != "build/"]
    assert len(names) > 20
    for name in names:
        assert (ROOT / name).exists() or (PACKAGE / name).exists(), name


def test_functions_on_the_way_of_a_message_are_in_their_files() -> None:
    hops = HOP.findall(LIFE.read_text())
    assert len(hops) > 20
    for file, function in hops:
        text = (PACKAGE / file).read_text()
        definition = rf"^ *(?:async )?(?:c?p?def|static) [^=\n]*\b{function}\("
        assert re.search(definition, text, re.M), f"{file}: {function}"


def test_make_targets_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"`make (\w+)", GUIDE.read_text()):
        assert re.search(rf"^{name}:", makefile, re.M), name
