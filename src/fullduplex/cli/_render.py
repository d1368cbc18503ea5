"""Display of messages: a line each, without anything that can drive a terminal.

A message comes from somebody else.  Control characters could move the cursor
or retitle the window, bidirectional overrides could show text in another order
than it has; both are shown as escapes.
"""

from __future__ import annotations

import io
import json
import re
import sys

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from ..core.credentials import UNSAFE, escape

# Outside its strings, JSON allows these control characters and no other;
# inside, none.
_JSON_LINE_BREAK = re.compile(r"[\t\n\r][\t\n\r ]*")

_CUT_TEXT = 4_000  # characters
_CUT_BINARY = 1_000  # bytes, so 2,000 hexadecimal digits


def escape_json(text: str) -> str:
    """
    Do for a JSON text what ``escape`` does, so that it stays the same JSON.

    Line breaks and indentation, which mean nothing in JSON, become a space.
    """
    text = _JSON_LINE_BREAK.sub(" ", text)
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def is_json(text: str) -> bool:
    """Tell whether text is a JSON object or array; a lone number is just text."""
    if not text.lstrip(" \t\n\r").startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def keep_printing() -> None:
    """Show characters that the encoding of an output lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class MessagePrinter:
    """
    Print messages to standard output, one a line.

    On a terminal, JSON is coloured and long messages are cut, with a note of
    their size; elsewhere a program may read along and messages stay whole.

    Args:
        marks: whether each line starts with ``<``, and what is binary says so.
    """

    def __init__(self, *, marks: bool) -> None:
        self.marks = marks
        self.cut = sys.stdout.isatty()
        # Without a file of its own, a console follows sys.stdout, also when a
        # prompt replaces that to draw output above itself.
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._console = console if console.color_system is not None else None
        self._highlight = JSONHighlighter()

    def show(self, message: str | bytes) -> None:
        """Print one message."""
        if isinstance(message, str):
            self._show_text(message)
        else:
            self._show_binary(message)

    def note(self, text: str) -> None:
        """Print a remark that is no message."""
        self._print(Text(text, style="dim"))

    def _show_text(self, message: str) -> None:
        json_found = is_json(message)
        shown, size = message, ""
        if self.cut and len(message) > _CUT_TEXT:
            shown = message[:_CUT_TEXT]
            length = len(message.encode("utf-8", "surrogatepass"))
            size = f"… ({length:,} bytes in all)"
        text = Text(escape_json(shown) if json_found else escape(shown))
        if json_found and self._console is not None:
            self._highlight.highlight(text)
        self._print(self._mark("< ").append_text(text).append(size, style="dim"))

    def _show_binary(self, message: bytes) -> None:
        shown, size = message, ""
        if self.cut and len(message) > _CUT_BINARY:
            shown = message[:_CUT_BINARY]
            size = f"… ({len(message):,} bytes in all)"
        text = self._mark("< (binary) ").append(shown.hex())
        self._print(text.append(size, style="dim"))

    def _mark(self, mark: str) -> Text:
        return Text.assemble((mark, "dim")) if self.marks else Text()

    def _print(self, text: Text) -> None:
        if self._console is not None:
            self._console.print(text)
        else:
            # As it is: a console would measure and fold it first.
            print(text.plain, flush=True)
