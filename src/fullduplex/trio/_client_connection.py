"""The client's end of a connection: the opening handshake, and then `Connection`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio

from .._net.tls_context import remember
from ..core.client.connection import BaseClientConnection
from ..core.extensions.base import ClientExtensionFactory
from ..core.handshake.client import BODY_TIMEOUT
from ..core.http.headers import HeadersLike
from ..core.http.messages import USER_AGENT
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
        ping_interval: as for `connect`, as are all others of that name.
        host: where the connection goes to.
        port: as ``host``.
        secure: whether it is encrypted.
    """

    def __init__(
        self,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 2**5,
        read_limit: int = 2**16,
        write_limit: int | tuple[int, int | None] = 2**16,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | None = None,
        logger: LoggerLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        host: str | None = None,
        port: int | None = None,
        secure: bool | None = None,
    ) -> None:
        options = self._take_offer(
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_size=max_size,
            max_queue=max_queue,
            read_limit=read_limit,
            write_limit=write_limit,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            extra_headers=extra_headers,
            user_agent_header=user_agent_header,
            host=host,
            port=port,
            secure=secure,
        )
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
                    handshake = self._answered(data)
                    if handshake is not None:
                        self._open(handshake.extensions, handshake.leftover)
                        return
                    if self._refused() and scope.deadline == math.inf:
                        # The body of a refusal has a time of its own.
                        scope.deadline = trio.current_time() + BODY_TIMEOUT
            except (OSError, trio.ClosedResourceError) as exc:
                failure = exc
        raise self._given_up() if scope.cancelled_caught else self._cut_off(failure)

    def _ended(self, exc: BaseException | None) -> None:
        remember(getattr(self._driver.pipe, "tls", None))
        super()._ended(exc)
