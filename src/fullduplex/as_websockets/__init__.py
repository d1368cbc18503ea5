"""The name ``websockets``, for programs that are written for that package.

    import fullduplex
    fullduplex.install_as_websockets()
    import websockets                    # this package

    python -m fullduplex.as_websockets script.py ...
    python -m fullduplex.as_websockets -m module ...

It concerns this process only, and packages that are imported later as well.
"""

from __future__ import annotations

import logging
import sys

from ..core.logs import rename_loggers
from ._finder import Finder
from ._names import COMPATIBLE, ROOT

__all__ = ["COMPATIBLE", "install_as_websockets", "is_installed", "uninstall"]

LOGGERS = {
    name: name.replace("fullduplex", ROOT, 1)
    for name in ("fullduplex", "fullduplex.client", "fullduplex.server")
}

_finder: Finder | None = None


def is_installed() -> bool:
    """Tell whether ``import websockets`` gives this package."""
    return _finder is not None


def install_as_websockets() -> None:
    """
    Let ``import websockets`` give this package, from now on in this process.

    Submodules are the same objects: ``websockets.exceptions`` is
    ``fullduplex.exceptions``.  ``websockets.__version__`` and
    ``importlib.metadata.version("websockets")`` tell the version of websockets that
    this package is compatible with.  The default loggers are ``websockets.client`` and
    ``websockets.server``, which are below ``fullduplex``.

    Calling it twice does no harm.

    Raises:
        RuntimeError: websockets itself was imported before; programs that have its
            classes would not know ours.  Nothing changed.
    """
    global _finder
    if _finder is not None:
        return
    if ROOT in sys.modules:
        place = getattr(sys.modules[ROOT], "__file__", None) or "an unknown place"
        raise RuntimeError(
            f"websockets was imported already, from {place}; "
            "call install_as_websockets() before anything imports it"
        )
    _finder = Finder()
    sys.meta_path.insert(0, _finder)
    rename_loggers(LOGGERS)
    _hang(logging.getLogger("fullduplex"))


def uninstall() -> None:
    """
    Undo `install_as_websockets`; without it, nothing happens.

    Modules that were imported meanwhile stay as they are.
    """
    global _finder
    if _finder is None:
        return
    sys.meta_path.remove(_finder)
    _finder = None
    for name in list(sys.modules):
        if name == ROOT or name.startswith(ROOT + "."):
            del sys.modules[name]
    rename_loggers({})
    _hang(logging.getLogger())


def _hang(parent: logging.Logger) -> None:
    """Let the loggers of websockets be below another one."""
    logger = logging.getLogger(ROOT)
    logger.parent = parent
    # Loggers remember which levels are enabled; setting one makes them forget.
    logger.setLevel(logger.level)
