"""Records of a connection say which connection they are about."""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from .typing import LoggerLike

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[Any]
else:
    _Adapter = logging.LoggerAdapter


class _Peer:
    """Stands for the address of the peer, which what logs may not know."""

    def __str__(self) -> str:
        return "an unknown address"


#: argument of a record; connections put the address of their peer in its place
PEER: Final = _Peer()


class ConnectionLogger(_Adapter):
    """
    Add the attribute ``websocket``, a weak proxy of the connection, to records.

    Args:
        logger: a logger, or an adapter, which then finds the connection in
            ``kwargs["extra"]["websocket"]``.
        connection: the connection that the records are about.
    """

    def __init__(self, logger: LoggerLike, connection: object) -> None:
        super().__init__(logger, {"websocket": weakref.proxy(connection)})

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the connection to what the caller gave as ``extra``."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


# Looking it up takes a lock, and gives the same one each time.
_own = functools.cache(logging.getLogger)

# Other names of our loggers, while another library's name is ours.
_names: dict[str, str] = {}


def find_logger(name: str) -> LoggerLike:
    """
    Return a logger of ours.

    None is made before it is needed: `logging.config` disables those that exist.
    """
    return _own(_names.get(name, name))


def rename_loggers(names: Mapping[str, str]) -> None:
    """Let our loggers have other names from here on; all others their own."""
    _names.clear()
    _names.update(names)


def check_logger(logger: Any, name: str) -> LoggerLike:
    """
    Return `logger`, or the library's own of that name.

    Raises:
        TypeError: it is no logger.
    """
    if logger is None:
        return find_logger(name)
    if not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
        raise TypeError(
            f"logger must be a Logger or a LoggerAdapter, not {type(logger).__name__}"
        )
    return logger
