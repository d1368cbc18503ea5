"""Rules for sentences in docstrings, comments, documents and help texts.

    python tools/prose.py [PATH ...]      without a path: the whole project

    rule             what it asks for
    --------------   --------------------------------------------------------------
    length           a sentence has at most 30 words
    question word    a statement begins with a noun: "a client that does not read is
                     closed", not "who does not read is closed"; questions may
    no noun          so does the first line of a module: no "where", "whether", ...
    section          a docstring tells under "Cancellation:" what a cancelled call does

Tables, code and quoted strings are not read.  Each finding is one line of output,
``path:line: rule: sentence``.  The exit code is 1 when there is one.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_WORDS = 30

PYTHON = (".py", ".pyi")
CYTHON = (".pyx", ".pxd", ".pxi")
FOLDERS = ("src/fullduplex", "bench", "conformance", "examples", "tools")
DOCUMENTS = ("*.md", "docs/**/*.md", "changes/*.md")
# Arguments whose values are help texts of the command line.
HELP = {"help", "short_help", "epilog"}

QUESTION_WORD = re.compile(
    r"[*_(\"“]*(?:who|whom|whose|whoever|whomever|what|whatever|which|whichever|how|why)\b"
    r"(?!-)",
    re.I,
)
NO_NOUN = re.compile(r"(?:where|when|whenever|wherever|whether|if|as|because)\b", re.I)

SECTION = re.compile(r"([A-Z][a-z]+):\s*(.*)")
# Sections whose indented lines are ``name: text``, and those with plain text.
ITEMS = {"Args", "Attributes", "Raises"}
TEXT = {"Cancellation", "Cut", "Exit", "Note", "Returns", "Rule", "Yields"}
ITEM_NAME = re.compile(r"[^:]{1,60}?:\s+")
BULLET = re.compile(r"(?:[-*]|\d+\.)\s+")
COLUMNS = re.compile(r"\S {3,}\S")
RULE = re.compile(r"[-=~+| ]{3,}")

LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"(`+).+?\1")
END_OF_SENTENCE = re.compile(r"[.!?][)\"'”*_]*\s+(?=[\"“(`*_]*[A-Z`\d(])")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|etc|cf|No|[A-Z])\.\s*$")
# Comments for tools.
PRAGMA = re.compile(r"#\s*(?:noqa|type:|pyright:|pragma|cython:|distutils:|!|fmt:)")


@dataclass
class Block:
    """
    Text without a blank line.

    Args:
        path: the file.
        line: number of its first line.
        text: the words, separated by spaces.
        is_module: whether it is the first line of a module.
    """

    path: Path
    line: int
    text: str
    is_module: bool = False


@dataclass
class Comment:
    """
    A comment in a source.

    Args:
        line: its number.
        column: position of the ``#``.
        text: the text behind it.
        alone: whether there is no code before it.
    """

    line: int
    column: int
    text: str
    alone: bool


@dataclass
class Finding:
    """A sentence that breaks a rule."""

    path: Path
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        path = self.path
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        return f"{shown.as_posix()}:{self.line}: {self.rule}: {self.text}"


def _dedented(text: str) -> list[str]:
    """Return the lines of a docstring without their common indentation."""
    first, *others = text.expandtabs().split("\n")
    indents = [len(line) - len(line.lstrip()) for line in others if line.strip()]
    margin = min(indents, default=0)
    return [first.strip(), *(line[margin:].rstrip() for line in others)]


def text_blocks(text: str, path: Path, first: int) -> Iterator[Block]:
    """
    Yield the blocks of a docstring, a comment or a help text.

    Args:
        first: number of the first line.
    """
    block: Block | None = None
    section = ""
    for number, line in enumerate(_dedented(text), first):
        bare = line.strip()
        depth = len(line) - len(bare)
        is_code = depth >= 4 and section not in ITEMS | TEXT
        if not bare or is_code or COLUMNS.search(line) or RULE.fullmatch(bare):
            if block is not None:
                yield block
            block = None
            if depth == 0 and bare:
                section = ""
            continue
        begins = block is None
        if depth == 0:
            heading = SECTION.fullmatch(bare)
            if heading is not None and heading[1] in ITEMS | TEXT:
                section, begins = heading[1], True
                if section != "Cut":
                    bare = heading[2]
            elif begins:
                section = ""
        bullet = BULLET.match(bare)
        if bullet is not None:
            begins, bare = True, bare[bullet.end() :]
        elif section in ITEMS and depth == 4:
            begins, bare = True, ITEM_NAME.sub("", bare, count=1)
        if not begins and block is not None:
            block.text += f" {bare}"
            continue
        if block is not None:
            yield block
        block = Block(path, number, bare) if bare else None
    if block is not None:
        yield block


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield docstrings, also those of attributes, and help texts."""
    for node in ast.walk(tree):
        value = None
        if isinstance(node, ast.Expr) or (
            isinstance(node, ast.keyword) and node.arg in HELP
        ):
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value


def _python_comments(text: str) -> Iterator[Comment]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not PRAGMA.match(token.string):
            line, column = token.start
            alone = not token.line[:column].strip()
            yield Comment(line, column, token.string.lstrip("#: "), alone)


_CYTHON_TOKEN = re.compile(
    r"(?P<c>extern from[^\n]*\n\s*)?"
    r'(?:"""(?P<document>(?:.|\n)*?)"""|"[^"\n]*"|\'[^\'\n]*\'|(?P<comment>#[^\n]*))'
)


def _cython_texts(text: str) -> tuple[list[tuple[int, str]], list[Comment]]:
    """Return docstrings and comments of a Cython source, but none of its C code."""
    documents: list[tuple[int, str]] = []
    comments: list[Comment] = []
    for match in _CYTHON_TOKEN.finditer(text):
        begin = match.end("c") if match["c"] is not None else match.start()
        line = text.count("\n", 0, begin) + 1
        column = begin - (text.rfind("\n", 0, begin) + 1)
        alone = not text[begin - column : begin].strip()
        if match["document"] is not None:
            if alone and match["c"] is None:
                documents.append((line, match["document"]))
        elif match["comment"] is not None and not PRAGMA.match(match["comment"]):
            text_of = match["comment"].lstrip("#: ")
            comments.append(Comment(line, column, text_of, alone))
    return documents, comments


def _joined(comments: Iterable[Comment]) -> Iterator[tuple[int, str]]:
    """Yield comments, with those below each other in one text."""
    lines: list[Comment] = []
    for comment in comments:
        if lines and not (
            comment.alone
            and comment.line == lines[-1].line + 1
            and comment.column == lines[-1].column
        ):
            yield lines[0].line, "\n".join(each.text for each in lines)
            lines = []
        lines.append(comment)
    if lines:
        yield lines[0].line, "\n".join(each.text for each in lines)


def source_blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of docstrings, comments and help texts of a source."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in CYTHON:
        strings, comments = _cython_texts(text)
    else:
        strings, comments = list(_strings(ast.parse(text))), [*_python_comments(text)]
    before = text.partition('"""')[0]
    # Comments for tools may come before the docstring of a module.
    has_docstring = not re.sub(r"#[^\n]*", "", before).strip()
    first = before.count("\n") + 1 if has_docstring else 0
    for line, string in strings:
        for number, block in enumerate(text_blocks(string, path, line)):
            block.is_module = line == first and number == 0
            yield block
    for line, string in _joined(comments):
        yield from text_blocks(string, path, line)


def document_blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of a Markdown document; each cell of a table is one."""
    fenced = False
    block: Block | None = None
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if bare.startswith(("```", "~~~")):
            fenced = not fenced
            bare = ""
        elif fenced:
            if bare.startswith("Cut:"):
                yield Block(path, number, bare)
            continue
        bullet = BULLET.match(bare)
        if block is not None and (
            not bare or bullet is not None or bare.startswith(("#", "|", "<"))
        ):
            yield block
            block = None
        if bare.startswith("|"):
            if not RULE.fullmatch(bare.replace(":", "")):
                for cell in re.split(r"(?<!\\)\|", bare.strip("|")):
                    yield Block(path, number, cell.strip())
        elif bare.startswith("#"):
            yield Block(path, number, bare.lstrip("# "))
        elif block is None and line.startswith("    ") and bullet is None:
            continue  # code
        elif bare and not bare.startswith("<"):
            bare = bare[bullet.end() :] if bullet is not None else bare.lstrip("> ")
            if block is None:
                block = Block(path, number, bare)
            else:
                block.text += f" {bare}"
    if block is not None:
        yield block


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a block."""
    text = LINK.sub(r"\1", text)
    begin = 0
    for match in END_OF_SENTENCE.finditer(text):
        if not ABBREVIATION.search(text[begin : match.end()]):
            yield text[begin : match.end()].strip()
            begin = match.end()
    if text[begin:].strip():
        yield text[begin:].strip()


def word_count(sentence: str) -> int:
    """Return the number of words; code in backticks is one word."""
    return sum(
        any(character.isalnum() for character in word)
        for word in CODE.sub("code", sentence).split()
    )


def check(block: Block) -> Iterator[Finding]:
    """Yield the rules that the sentences of a block break."""
    for number, sentence in enumerate(sentences(block.text)):
        place = block.path, block.line
        if (count := word_count(sentence)) > MAX_WORDS:
            yield Finding(*place, f"{count} words", sentence)
        if sentence.startswith("Cut:"):
            yield Finding(*place, "section", sentence)
        is_question = sentence.rstrip("*_)\"'”").endswith("?")
        if not is_question and QUESTION_WORD.match(sentence):
            yield Finding(*place, "question word", sentence)
        elif number == 0 and block.is_module and NO_NOUN.match(sentence):
            yield Finding(*place, "no noun", sentence)


def files(arguments: list[str]) -> Iterator[Path]:
    """Yield the files of the arguments, or all of the project."""
    if not arguments:
        for folder in FOLDERS:
            yield from sorted((ROOT / folder).rglob("*"))
        for pattern in DOCUMENTS:
            yield from sorted(ROOT.glob(pattern))
    for argument in arguments:
        path = Path(argument).resolve()
        yield from sorted(path.rglob("*")) if path.is_dir() else [path]


def findings(paths: Iterable[Path]) -> Iterator[Finding]:
    """Yield the findings of all files."""
    for path in paths:
        blocks: Iterable[Block] = ()
        if path.suffix in (*PYTHON, *CYTHON):
            blocks = source_blocks(path)
        elif path.suffix == ".md":
            blocks = document_blocks(path)
        for block in blocks:
            yield from check(block)


def main(arguments: list[str]) -> int:
    """Print the findings; returns the exit code."""
    found = list(findings(files(arguments)))
    for finding in found:
        print(finding)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
