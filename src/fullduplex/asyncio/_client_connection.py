"""The client's end of a connection: the opening handshake, and then `Connection`."""

from __future__ import annotations

import asyncio
from typing import Any

from ..core.arguments import show_parameters
from ..core.client.connection import BaseClientConnection
from ..core.handshake.client import BODY_TIMEOUT
from ..core.handshake.request_template import RequestTemplate
from ..core.logs import check_logger
from ..core.typing import LoggerLike
from ..core.uri import WebSocketURI
from .connection import Connection


class ClientConnection(  # pyright: ignore[reportIncompatibleVariableOverride]
    BaseClientConnection, Connection
):
    """
    A connection to a server, as `connect` returns it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_protocol``.  It is called with keyword
    arguments only; a subclass takes ``*args, **kwargs`` and passes them on.

    Args:
        logger: as for `connect`.
        **kwds: as for `connect`; ``host``, ``port`` and ``secure`` tell where the
            connection goes to, and whether it is encrypted.
    """

    # Future for the end of the handshake, and the exception of a failure.
    _waiter: Any = None
    _failure: BaseException | None = None
    # Ends the wait for the body of a refusal.
    _body_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        *,
        logger: LoggerLike | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        legacy_recv: bool = False,
        **kwds: Any,
    ) -> None:
        options = self._configure_connection(**kwds)
        super().__init__(options, check_logger(logger, "fullduplex.client"))

    def _start_handshake(
        self, uri: WebSocketURI, draft: RequestTemplate | None = None
    ) -> None:
        super()._start_handshake(uri, draft)
        self._waiter = self._driver.new_waiter()

    async def _handshaken(self) -> None:
        """Wait until the connection is open, or raise what prevented it."""
        if self._waiter is not None:
            await self._waiter
        failure, self._failure = self._failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            # Its frames lead here: memory would wait for the garbage collector.
            del failure

    def _abandon(self) -> None:
        """Give up on opening; nobody waits for the handshake any more."""
        self._waiter = None
        self._stop_waiting()
        if self.transport is not None:
            self.transport.abort()
        else:
            self._driver.forget()  # no transport will tell it of an end

    def _connected(self, transport: Any) -> None:
        super()._connected(transport)
        transport.write(self._request_bytes())

    def _handshake_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            handshake = self._feed_response(data)
            if handshake is None:
                if self._refused() and self._body_timer is None:
                    self._body_timer = self._loop.call_later(
                        BODY_TIMEOUT, self._body_late
                    )
                return
            self._open(handshake.extensions, handshake.leftover)
        except Exception as exc:
            self._failure = exc
        self._waiter = None
        self._stop_waiting()
        waiter.fire()

    def _body_late(self) -> None:
        """Be content with what has come of the body of a refusal."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self._failure = self._given_up()
            waiter.fire_soon()

    def _stop_waiting(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _ended(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self._failure = self._connection_lost_error(exc)
            waiter.fire_soon()
        super()._ended(exc)


show_parameters(ClientConnection.__init__, ClientConnection._configure_connection)
