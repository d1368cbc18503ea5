"""The rules of `tools/prose.py`, on sentences that keep them and that break them."""

from __future__ import annotations

from pathlib import Path

import pytest

import prose

WORDS = " ".join(["word"] * 30)


def rules(path: Path, text: str) -> list[tuple[int, str]]:
    """Return line and rule of each finding in a file with this text."""
    path.write_text(text)
    return [(found.line, found.rule) for found in prose.findings([path])]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""Frames."""\n', []),
        ('"""What frames are."""\n', [(1, "question word")]),
        ('"""Whether a frame is whole."""\n', [(1, "no noun")]),
        ('"""Where frames are kept."""\nx = 1\n"""Where."""\n', [(1, "no noun")]),
        ('"""Frames.\n\nWho reads is fast.\n"""\n', [(3, "question word")]),
        ('"""Frames.\n\nWho reads them?  Nobody.\n"""\n', []),
        ('"""Frames.\n\n    what a table has   other column\n"""\n', []),
        (f'"""{WORDS}."""\n', []),
        (f'"""{WORDS} `and code`."""\n', [(1, "31 words")]),
        ("# Which frames.\nx = 1\n", [(1, "question word")]),
        ("x = 1  # what it is\n", [(1, "question word")]),
        ("# First.\n# Two lines, of which\n# who cares.\n", []),
        ("x = 'what it is'  # type: ignore\n", []),
        ("f(help='How many.')\n", [(1, "question word")]),
        (
            'def f():\n    """\n    Read.\n\n    Args:\n        a: what it is.\n'
            '        b: a frame.\n\n    Cut: safe.\n    """\n',
            [(6, "question word"), (9, "section")],
        ),
        (
            'def f():\n    """\n    Read.\n\n    Returns:\n        A frame, of which\n'
            '        what is known is returned.\n    """\n',
            [],
        ),
    ],
)
def test_sentences_of_a_module_are_checked(
    tmp_path: Path, text: str, found: list[tuple[int, str]]
) -> None:
    assert rules(tmp_path / "module.py", text) == found


def test_cython_sources_are_checked_but_for_their_c_code(tmp_path: Path) -> None:
    text = (
        '# cython: language_level=3\n"""What it is."""\n'
        'cdef extern from *:\n    """\n    /* what C does */\n    """\n'
        "    int f()  # what f does\n"
    )

    found = rules(tmp_path / "module.pyx", text)

    assert found == [(2, "question word"), (7, "question word")]


def test_documents_are_checked_but_for_code(tmp_path: Path) -> None:
    text = (
        "# How fast is it?\n\n## How fast\n\nA [link](what.md).\nWhat follows.\n\n"
        "| who | where |\n|---|---|\n| a | `how` |\n\n```\nWhat.\nCut: safe.\n```\n"
        "- Whoever\n  reads.\n"
    )

    assert rules(tmp_path / "page.md", text) == [
        (3, "question word"),
        (5, "question word"),
        (8, "question word"),
        (14, "section"),
        (16, "question word"),
    ]
