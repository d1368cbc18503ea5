"""Two functions that websockets' command line prints with."""

from __future__ import annotations

import sys

# ECMA-48: save and restore the cursor, up a line, insert a line, erase a line.
SAVE, RESTORE, UP = "\N{ESC}7", "\N{ESC}8", "\N{ESC}M"
INSERT, ERASE = "\N{ESC}[L", "\N{ESC}[K"


def print_during_input(string: str) -> None:
    """
    Write a line above the one that the user is typing in a terminal.

    Args:
        string: the line, without its end.
    """
    sys.stdout.write(f"{SAVE}\n{UP}{INSERT}\r{string}{RESTORE}\N{ESC}[B")
    sys.stdout.flush()


def print_over_input(string: str) -> None:
    """
    Write a line in place of the prompt in a terminal.

    Args:
        string: the line, without its end.
    """
    sys.stdout.write(f"\r{ERASE}{string}\n")
    sys.stdout.flush()
