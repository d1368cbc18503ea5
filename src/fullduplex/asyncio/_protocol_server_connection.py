"""A server's connection that is itself the protocol of a transport.

Programs written for websockets 10 subclass ``WebSocketServerProtocol``, make it
themselves, and give it to a transport as an `asyncio.Protocol`.  A web server does so
when it finds that a request is for WebSocket.  Such a connection has no `Server`.  It
takes the request from `data_received` and then leaves the transport to its driver.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

from ..core.buffers import check_bytes
from ..core.connection.websockets_names import fallback
from ..core.logs import find_logger
from ..core.server.config import ServerSettings
from ..core.server.hook_forms import adapt_handler
from ._driver import later
from ._server_handshake import Opening


class _Nobody:
    """Substitute for a `Server`, for one connection."""

    def __init__(self, theirs: Any, settings: ServerSettings) -> None:
        self._theirs = theirs
        self.settings = settings

    @property
    def _closing_with(self) -> tuple[int, str] | None:
        return None if self._theirs.is_serving() else (1001, "")

    def _attach(self, connection: Any, transport: Any) -> None:
        self._theirs.register(connection)

    def _detach(self, connection: Any) -> None:
        self._theirs.unregister(connection)

    def _freed(self) -> None:
        pass

    def _answered(self, connection: Any) -> None:
        pass

    def _retry_after(self, connection: Any, now: float) -> int:
        return 0


class Standalone(Opening):
    """
    The part of a server's connection that lets it do without a server of ours.

    Args:
        ws_handler: called with the connection, or with it and the path.
        ws_server: a `Server`, or anything that has ``register(connection)``,
            ``unregister(connection)`` and ``is_serving()``.
        **kwds: parameters of `serve` that concern connections.
    """

    _nobody: _Nobody | None = None
    _given = False
    _extra_headers: Any = None

    def __init__(
        self,
        ws_handler: Callable[..., Awaitable[None]],
        ws_server: Any,
        **kwds: Any,
    ) -> None:
        if hasattr(ws_server, "settings"):
            super().__init__(ws_handler, ws_server, **kwds)
            return
        self._nobody = _Nobody(
            ws_server, ServerSettings(kwds, find_logger("fullduplex.server"))
        )
        # `connection_made` comes before `data_received`, so the task may start later.
        self._begin = later
        super().__init__(adapt_handler(ws_handler), self._nobody, **kwds)  # type: ignore[arg-type]
        self.server = ws_server

    @property
    def _reception(self) -> Any:
        return self.server if self._nobody is None else self._nobody

    # Methods that a transport calls

    def _connected(self, transport: Any) -> None:
        if self._nobody is None:
            super()._connected(transport)
        else:
            self._nobody._attach(self, transport)

    def connection_made(self, transport: Any) -> None:
        """Override to learn of the transport, before the handshake."""
        if self._nobody is not None:
            self._driver.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take the client's request, where this is the protocol of a transport."""
        if not self._given:
            self._given = True
            # The caller may make us the transport's protocol right after this call.
            self._loop.call_soon(self._give_to_driver)
        self._handshake_received(bytes(check_bytes("data", data)))

    def _give_to_driver(self) -> None:
        driver = self._driver
        transport = driver.transport
        if driver.ended or transport.is_closing():
            return
        transport.set_protocol(driver)
        if not self._early_paused and (
            driver.session is None or not driver.session.reading_paused
        ):
            # uvloop chooses buffered or plain reading when reading starts; restart it.
            transport.pause_reading()
            transport.resume_reading()

    def eof_received(self) -> None:
        """Note the end of input, where this is the protocol of a transport."""
        self._driver.eof_received()

    def pause_writing(self) -> None:
        """Note a full buffer, where this is the protocol of a transport."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Note room in the buffer, where this is the protocol of a transport."""
        self._driver.resume_writing()

    # Attributes that such programs set themselves

    @fallback
    def loop(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The event loop of the connection."""
        return self._loop

    @fallback
    def transport(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The asyncio transport; None before TCP is connected."""
        return self._driver.transport

    @fallback
    def ws_server(self) -> Any:
        """The server that accepted the connection."""
        return self.server

    @property
    def extra_headers(self) -> Any:
        """Headers added to the response 101; may be set, or grow, before that."""
        if self._extra_headers is None:
            return self._settings.extra_headers
        return self._extra_headers

    @extra_headers.setter
    def extra_headers(self, headers: Any) -> None:
        self._extra_headers = headers
        given: Any = headers
        if not callable(headers):
            # A list may grow until the response is sent.
            given = lambda path, request_headers: headers  # noqa: E731
        self._own_settings().extra_headers = given

    @property
    def server_header(self) -> str | None:
        """Value of ``Server``; may be set before the response is sent."""
        return self._settings.server_header

    @server_header.setter
    def server_header(self, value: str | None) -> None:
        settings = self._own_settings()
        settings.server_header = value
        settings.judge = settings.make_judge()

    def _own_settings(self) -> ServerSettings:
        """Return settings that no other connection has."""
        if self._nobody is None:
            self._settings = copy.copy(self._settings)
        return self._settings
