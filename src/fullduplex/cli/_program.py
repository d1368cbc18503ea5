"""The words with which a shell runs this command, and the line of its version.

Nothing heavy is imported here: ``fullduplex --version`` uses it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys


def version_line() -> str:
    """Return the version, the implementation in use, and the interpreter."""
    from .. import IMPLEMENTATION, __version__

    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return f"fullduplex {__version__} ({IMPLEMENTATION}, {interpreter})"


def python() -> str:
    """Return how a shell in this folder runs this interpreter."""
    return _typed(sys.executable, "python")


def program() -> str:
    """Return how a shell in this folder runs this command."""
    started = sys.argv[0]
    if os.path.basename(started) == "__main__.py" or not os.path.exists(started):
        return f"{python()} -m fullduplex"
    return _typed(started, "fullduplex")


def _typed(path: str, name: str) -> str:
    """The shortest way to name a program: alone, from here, or in full."""
    found = shutil.which(name)
    full = os.path.abspath(path)
    # Not resolved: what environments link to one file are still several programs.
    if found is not None and os.path.abspath(found) == full:
        return name
    here = os.path.relpath(full)
    return shlex.quote(full if here.startswith(os.pardir) else here)
