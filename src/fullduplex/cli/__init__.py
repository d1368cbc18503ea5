"""The command ``fullduplex``: its entry point, and what it says without its extra.

Nothing heavy is imported here, so that ``fullduplex --version`` answers at once
and also where the extra ``cli`` is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..imports import reexport
from ._program import program, python, version_line

__all__ = ["main", "program", "python", "version_line"]

reexport(globals())

# Packages of the extra "cli".
_NEEDED = ("click", "prompt_toolkit", "rich")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """
    Run a command line and exit.

    Args:
        argv: arguments behind the program; by default those of this process.

    Exit status: 0 the connection was closed normally; 1 it could not be opened or was
    closed abnormally; 2 the command was called wrongly; 130 it was interrupted.  The
    status is 1, too, when standard output cannot be written; one line on standard error
    says why.  A reader of standard output that has seen enough ends the command with 0.
    """
    from ._output import OutputFailed, take_over

    take_over()
    try:
        try:
            _main(sys.argv[1:] if argv is None else list(argv))
        finally:
            sys.stdout.flush()
    except OutputFailed as failure:
        if failure.unread:
            sys.exit(0)
        print(
            f"fullduplex: cannot write to standard output: {failure.reason}",
            file=sys.stderr,
        )
        sys.exit(1)


def _main(arguments: list[str]) -> NoReturn:
    if arguments == ["--version"]:
        print(version_line())
        sys.exit(0)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"fullduplex: {', '.join(missing)} not installed; the command needs: "
            'pip install "fullduplex[cli]"',
            file=sys.stderr,
        )
        sys.exit(1)
    try:
        from ._app import run

        run(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
