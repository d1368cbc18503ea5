"""Every name of ours that the pages for people from elsewhere mention is there."""

from __future__ import annotations

import importlib
import re
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from .tables import HERE, optional_part

DOCS = HERE.parent.parent / "docs"
NAME = re.compile(r"\bfullduplex(?:\.\w+)+")
IMPORT = re.compile(r"from (fullduplex(?:\.\w+)*) import ([\w, ]+)")


def names(page: Path) -> set[str]:
    text = page.read_text()
    found = set(NAME.findall(text))
    for module, imported in IMPORT.findall(text):
        found |= {f"{module}.{name.strip()}" for name in imported.split(",")}
    # The loggers have names like modules.
    return {name.rstrip(".") for name in found}


PAGES = [DOCS / "migrate.md", DOCS / "differences.md"]
MENTIONED = sorted({(page.name, name) for page in PAGES for name in names(page)})


@pytest.mark.parametrize(("page", "name"), MENTIONED)
def test_name_in_the_documentation_is_there(page: str, name: str) -> None:
    part = optional_part(name)
    if part is not None:
        pytest.importorskip(f"fullduplex.{part}", exc_type=ModuleNotFoundError)
        if part == "trio":
            pytest.importorskip("trio")
    pieces = name.split(".")
    value: object = importlib.import_module(pieces[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for number, piece in enumerate(pieces[1:], 2):
            if isinstance(value, ModuleType) and not hasattr(value, piece):
                value = importlib.import_module(".".join(pieces[:number]))
            else:
                value = getattr(value, piece)


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), target
