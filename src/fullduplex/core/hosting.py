"""Arguments of a `serve` call, checked when it is made; the twin of `connecting`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .admission import Admission
from .hooks import adapt_handler
from .keywords import either
from .serving import Settings, enable_compression
from .typing import LoggerLike

__all__ = ["Hosting"]


class Hosting:
    """
    One `serve` call: its handler, hooks and limits.

    Args:
        default: the face's own class of connections.
        logger: where to log.
        keywords: the parameters of `serve` that its own socket functions don't know.

    Raises:
        TypeError: a parameter has the wrong type, or there is no handler.
        ValueError: a parameter is out of range.
    """

    __slots__ = ("admission", "create", "handler", "settings")

    def __init__(
        self, default: Callable[..., Any], logger: LoggerLike, keywords: dict[str, Any]
    ) -> None:
        self._unpack(default, logger, **keywords)

    def _unpack(
        self,
        default: Callable[..., Any],
        log_to: LoggerLike,
        /,
        *,
        handler: Any = None,
        ws_handler: Any = None,
        create_protocol: Any = None,
        create_connection: Any = None,
        compression: str | None = "deflate",
        extensions: Any = None,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes_per_second: float | None = None,
        **settings: Any,
    ) -> None:
        handler = either("handler", handler, "ws_handler", ws_handler)
        if handler is None:
            raise TypeError("serve() needs a handler")
        given = either(
            "create_protocol", create_protocol, "create_connection", create_connection
        )
        if given is not None and not callable(given):
            raise TypeError(
                f"create_protocol must be a class, not {type(given).__name__}"
            )
        #: makes connections
        self.create: Callable[..., Any] = default if given is None else given
        settings["extensions"] = enable_compression(compression, extensions)
        #: settings shared by all connections
        self.settings = Settings(settings, log_to)
        #: called with each connection that is open
        self.handler = adapt_handler(handler)
        #: the limits on clients
        self.admission = Admission(
            max_connections=max_connections,
            max_connections_per_ip=max_connections_per_ip,
            max_handshakes_per_second=max_handshakes_per_second,
        )
