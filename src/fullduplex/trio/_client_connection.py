"""The client's end of a connection: the opening handshake, and then `Connection`."""

from __future__ import annotations

import math
from typing import Any

import trio

from .._net.tls_context import store_session
from ..core.arguments import show_parameters
from ..core.client.connection import BaseClientConnection
from ..core.handshake.client import BODY_TIMEOUT
from ..core.logs import check_logger
from ..core.typing import LoggerLike
from ._byte_stream import ByteStream, receive_head, send_all
from .connection import Connection


class ClientConnection(  # pyright: ignore[reportIncompatibleVariableOverride]
    BaseClientConnection, Connection
):
    """
    A connection to a server, as `connect` returns it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_connection``.  It is called with keyword
    arguments only; a subclass takes ``*args, **kwargs`` and passes them on.

    Args:
        logger: as for `connect`.
        **kwds: as for `connect`; ``host``, ``port`` and ``secure`` tell where the
            connection goes to, and whether it is encrypted.
    """

    def __init__(
        self,
        *,
        logger: LoggerLike | None = None,
        **kwds: Any,
    ) -> None:
        options = self._configure_connection(**kwds)
        super().__init__(options, check_logger(logger, "fullduplex.client"))

    async def _shake_hands(self, pipe: ByteStream) -> None:
        """
        Open the connection over `pipe`.

        Raises:
            InvalidHandshake: the server refused, or answered something else.
            OSError: TCP or TLS broke.
        """
        self._driver.pipe = pipe
        failure: Exception | None = None
        with trio.CancelScope() as scope:
            try:
                await send_all(pipe, self._request_bytes())
                while data := await receive_head(pipe):
                    handshake = self._feed_response(data)
                    if handshake is not None:
                        self._open(handshake.extensions, handshake.leftover)
                        return
                    if self._refused() and scope.deadline == math.inf:
                        # The body of a refusal has a time of its own.
                        scope.deadline = trio.current_time() + BODY_TIMEOUT
            except (OSError, trio.ClosedResourceError) as exc:
                failure = exc
        raise (
            self._given_up()
            if scope.cancelled_caught
            else self._connection_lost_error(failure)
        )

    def _ended(self, exc: BaseException | None) -> None:
        store_session(getattr(self._driver.pipe, "tls", None))
        super()._ended(exc)


show_parameters(ClientConnection.__init__, ClientConnection._configure_connection)
