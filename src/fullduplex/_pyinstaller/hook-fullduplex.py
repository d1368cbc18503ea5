"""Modules that a frozen program needs and PyInstaller cannot see.

Compiled parts import modules, and names of older versions of websockets are found by
tables of strings.  Packages that a program must ask for, and that need other
packages, are left out: their imports are statements.
"""

from PyInstaller.utils.hooks import collect_submodules

ASKED_FOR = ("_pyinstaller", "cli", "integrations", "trio")


def wanted(name: str) -> bool:
    return name.split(".")[1:2] not in [[part] for part in ASKED_FOR]


hiddenimports = collect_submodules("fullduplex", filter=wanted)
