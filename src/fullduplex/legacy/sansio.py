"""The classes without I/O as websockets 10 calls them, and their parameters."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.extensions.base import ClientExtensionFactory, ServerExtensionFactory
from ..core.handshake.negotiation import OriginRule
from ..core.typing import LoggerLike
from ..core.uri import WebSocketURI
from ..sansio.client import ClientProtocol
from ..sansio.protocol import Protocol, Side, State
from ..sansio.server import ServerProtocol

__all__ = ["ClientConnection", "Connection", "ServerConnection"]

MaxSize = int | tuple[int | None, int | None] | None


class Connection(Protocol):
    """`Protocol`, with parameters that may be given by position."""

    def __init__(
        self,
        side: Side,
        state: State = State.OPEN,
        max_size: MaxSize = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(side, state=state, max_size=max_size, logger=logger)


class ClientConnection(ClientProtocol):
    """`ClientProtocol`, with parameters that may be given by position."""

    def __init__(
        self,
        wsuri: WebSocketURI,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        state: State = State.CONNECTING,
        max_size: MaxSize = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(
            wsuri,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            state=state,
            max_size=max_size,
            logger=logger,
        )


class ServerConnection(ServerProtocol):
    """`ServerProtocol`, with parameters that may be given by position."""

    def __init__(
        self,
        origins: Sequence[OriginRule] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        state: State = State.CONNECTING,
        max_size: MaxSize = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(
            origins=origins,
            extensions=extensions,
            subprotocols=subprotocols,
            state=state,
            max_size=max_size,
            logger=logger,
        )
