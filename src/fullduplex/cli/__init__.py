"""The command ``fullduplex``: its entry point, and what it says without its extra.

Nothing heavy is imported here, so that ``fullduplex --version`` answers at once
and also where the extra ``cli`` is not installed.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..imports import reexport

__all__ = ["main", "version_line"]

reexport(globals())

# What the extra "cli" brings.
_NEEDED = ("click", "prompt_toolkit", "rich")


def version_line() -> str:
    """Return the version, the implementation in use, and the interpreter."""
    from .. import IMPLEMENTATION, __version__

    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return f"fullduplex {__version__} ({IMPLEMENTATION}, {interpreter})"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """
    Run a command line and exit.

    Args:
        argv: arguments behind the program; by default those of this process.

    Exit status: 0 the connection was closed normally, 1 it could not be
    opened or was closed abnormally (one line on standard error says why),
    2 the command was called wrongly, 130 it was interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
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
