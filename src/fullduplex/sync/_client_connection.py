"""The client's end of a connection: the opening handshake, and then `Connection`."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ..core.client.connection import BaseClientConnection
from ..core.handshake.client import BODY_TIMEOUT
from ..core.logs import check_logger
from ..core.typing import LoggerLike
from ._channel import HandshakeSocket
from .connection import Connection


class ClientConnection(  # pyright: ignore[reportIncompatibleVariableOverride]
    BaseClientConnection, Connection
):
    """
    A connection to a server, as `connect` returns it.

    Not made by programs, but programs may subclass it and pass the subclass, or a
    `functools.partial` of it, as ``create_connection``.  It is called with keyword
    arguments only; a subclass takes ``**kwargs`` and passes them on.

    A subclass may override `process_extensions` and `process_subprotocol`.

    Args:
        logger: as for `connect`, as are all others of that name.
        host: where the connection goes to.
        port: as ``host``.
        secure: whether it is encrypted.
        **kwds: the parameters of `connect` that concern connections.
    """

    def __init__(
        self,
        *,
        logger: LoggerLike | None = None,
        host: str | None = None,
        port: int | None = None,
        secure: bool | None = None,
        **kwds: Any,
    ) -> None:
        options = self._configure_connection(
            host=host,
            port=port,
            secure=secure,
            # `send` waits until the system has taken all.
            write_limit=0,
            **kwds,
        )
        super().__init__(options, check_logger(logger, "fullduplex.client"))

    def _shake_hands(self, channel: HandshakeSocket) -> None:
        """
        Open the connection on a channel.

        Raises:
            InvalidHandshake: the server refused, or answered something else.
            TimeoutError: the channel's deadline has passed.
            OSError: TCP is broken.
        """
        self._connected(channel)
        channel.send(self._request_bytes())
        waits = False  # for the body of a refusal, which has a time of its own
        while True:
            try:
                data = channel.receive()
            except OSError as exc:
                if not self._refused():
                    raise
                late = isinstance(exc, TimeoutError)
                raise self._given_up(None if late else exc)  # noqa: B904 (has a cause)
            if not data:
                raise self._connection_lost_error(None)
            handshake = self._feed_response(data)
            if handshake is not None:
                break
            if self._refused() and not waits:
                waits = True
                channel.deadline = min(channel.deadline, monotonic() + BODY_TIMEOUT)
        self._open(handshake.extensions, handshake.leftover)
