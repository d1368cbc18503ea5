"""``python -m fullduplex.as_websockets``: run a program that is written for websockets.

python -m fullduplex.as_websockets script.py [argument ...]
python -m fullduplex.as_websockets -m module [argument ...]
"""

from __future__ import annotations

import os
import runpy
import sys

from fullduplex.as_websockets import install_as_websockets

USAGE = """\
usage: python -m fullduplex.as_websockets script.py [argument ...]
       python -m fullduplex.as_websockets -m module [argument ...]

Run a program that imports websockets with fullduplex in its place.
"""


def main() -> None:
    """Run what the command line names."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return
    is_module = arguments[:1] == ["-m"]
    if is_module:
        del arguments[0]
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        sys.exit(2)
    install_as_websockets()
    sys.argv = arguments
    if is_module:
        # Like python -m, which looks in the current folder first.
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        script = arguments[0]
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = os.path.dirname(os.path.realpath(script))
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
