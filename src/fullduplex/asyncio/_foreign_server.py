"""The server of a connection that is itself the protocol of a transport.

Programs written for websockets 10 subclass ``WebSocketServerProtocol``, make it
themselves, and give it to a transport as an `asyncio.Protocol`.  A web server does so
when it finds that a request is for WebSocket.  Such a connection has no `Server`.
"""

from __future__ import annotations

from typing import Any

from ..core.logs import find_logger
from ..core.server.config import ServerSettings


class ForeignServer:
    """
    Substitute for a `Server`, for one connection, with what it uses of a `Server`.

    Args:
        theirs: the object of the program, with ``register(connection)``,
            ``unregister(connection)`` and ``is_serving()``.
        keywords: parameters of `serve` that concern connections.
    """

    def __init__(self, theirs: Any, keywords: dict[str, Any]) -> None:
        self._theirs = theirs
        self.settings = ServerSettings(keywords, find_logger("fullduplex.server"))

    @property
    def _closing_with(self) -> tuple[int, str] | None:
        return None if self._theirs.is_serving() else (1001, "")

    def _register(self, connection: Any, peer: Any, now: float) -> bool:
        self._theirs.register(connection)
        return True

    def _unregister(self, connection: Any) -> None:
        self._theirs.unregister(connection)

    def _tcp_ended(self) -> None:
        pass

    def _handshake_done(self, connection: Any) -> None:
        pass

    def _retry_after(self, connection: Any, now: float) -> int:
        return 0
