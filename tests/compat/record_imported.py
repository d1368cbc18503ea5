"""Record all names that the modules of an installed websockets let one import.

    python record_imported.py 9.1=python9 10.4=python10 ... > imported.json

Each argument is a version and the interpreter of an environment that has it.  What
comes from the standard library is left out: nobody looks for it here.  Without
arguments, it lists the names of the websockets beside it, by module.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
import types
import warnings
from typing import Any

# Names of these are the standard library's, wherever they are found.
FOREIGN = [
    "asyncio",
    "asyncio.timeouts",
    "builtins",
    "collections.abc",
    "http",
    "logging",
    "socket",
    "threading",
    "types",
    "typing",
    "werkzeug.exceptions",
    "werkzeug.routing",
]


def names() -> dict[str, list[str]]:
    """List the names of each module that are websockets' own."""
    warnings.simplefilter("ignore")
    foreign = []
    for name in FOREIGN:
        try:
            foreign.append(importlib.import_module(name))
        except ImportError:
            continue
    package = importlib.import_module("websockets")
    found: dict[str, list[str]] = {}
    infos = pkgutil.walk_packages(package.__path__, "websockets.")
    for path in ["websockets", *(info.name for info in infos)]:
        if path.endswith("__main__"):
            continue
        module = importlib.import_module(path)
        everything = {*dir(module), *getattr(module, "__all__", ())}
        found[path] = sorted(
            name for name in everything if is_own(module, name, foreign)
        )
    return found


def is_own(module: types.ModuleType, name: str, foreign: list[Any]) -> bool:
    """Tell whether a name is one of websockets, in its own module or elsewhere."""
    if name.startswith("_") or name in ("annotations", "TYPE_CHECKING"):
        return False
    if not hasattr(module, name):
        return False  # 10.4 lists some that it does not have
    value = getattr(module, name)
    if isinstance(value, types.ModuleType):
        return value.__name__ == f"{module.__name__}.{name}"
    home = getattr(value, "__module__", "")
    if isinstance(home, str) and home.startswith("websockets"):
        return True
    if any(hasattr(other, name) for other in foreign):
        return False
    if isinstance(value, (type, types.FunctionType)):
        return False
    return not name.endswith("__doc__") and not name.startswith("legacy__")


def main() -> None:
    """Write the names to the standard output."""
    if len(sys.argv) == 1:
        json.dump(names(), sys.stdout)
        return
    first: dict[str, dict[str, str]] = {}
    for argument in sys.argv[1:]:
        version, _, python = argument.partition("=")
        output = subprocess.run(
            [python, __file__], check=True, capture_output=True, text=True
        ).stdout
        for module, members in json.loads(output).items():
            for name in members:
                first.setdefault(module, {}).setdefault(name, version)
    json.dump(first, sys.stdout, indent=0, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
