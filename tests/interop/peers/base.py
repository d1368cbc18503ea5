"""What the tests expect of a peer.

A server echoes every message, except these text messages, which tell it to act:

    !fragments           send FRAGMENTS as one text message, a frame each
    !ping                send a ping with PING, and PONG as text once it is answered
    !close CODE REASON   start the closing handshake
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

FRAGMENTS = ["a fragm", "ented", " messag\N{LATIN SMALL LETTER E WITH ACUTE}"]
PING = b"are you there?"
PONG = "pong"

PARAMETERS = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)

# Parameters of permessage-deflate that a side asks for; None: no compression.
Deflate = Mapping[str, bool | int] | None


@dataclass(frozen=True)
class TLS:
    """One certificate in every form that the peers want."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority_pem: Path
    certificate_pem: Path
    key_pem: Path


@dataclass(frozen=True)
class Closed:
    """The close frame that a peer received, as it reports it."""

    code: int
    reason: str


@dataclass
class Running:
    """A server that listens."""

    port: int
    secure: bool
    ends: asyncio.Queue[Closed] = field(default_factory=asyncio.Queue)

    @property
    def url(self) -> str:
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://localhost:{self.port}/"

    async def closed(self) -> Closed:
        """Wait until a connection has ended and return what its server saw."""
        return await self.ends.get()


class Server(Protocol):
    """A library whose server our client talks to."""

    name: str
    # fragments: it can send them; same_code: it answers a close frame with the code
    # it received, else with 1000; deflate: it compresses; offer:X: it grants X when a
    # client offers it; ask:X: it can be configured to ask for X.
    features: frozenset[str]

    def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AbstractAsyncContextManager[Running]: ...


class Connection(Protocol):
    """An open connection of a client of another project."""

    @property
    def extensions(self) -> str:
        """Value of the response's Sec-WebSocket-Extensions, or ``""``."""

    async def send(self, message: str | bytes) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self, code: int, reason: str) -> None:
        """Start the closing handshake and wait until the connection has ended."""

    async def closed(self) -> Closed:
        """Wait for the peer's close frame."""


class Client(Protocol):
    """A library whose client talks to our server."""

    name: str
    features: frozenset[str]

    def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AbstractAsyncContextManager[Connection]: ...


def parse_close(command: str) -> tuple[int, str]:
    """Split ``!close CODE REASON``."""
    _, code, reason = command.split(" ", 2)
    return int(code), reason


async def obey(
    connection: Any, running: Running, connection_closed: type[Exception]
) -> None:
    """Handle a connection of ``websockets`` or of a library with the same API."""
    with suppress(connection_closed):
        async for message in connection:
            if message == "!fragments":
                await connection.send(FRAGMENTS)
            elif message == "!ping":
                await (await connection.ping(PING))
                await connection.send(PONG)
            elif isinstance(message, str) and message.startswith("!close "):
                await connection.close(*parse_close(message))
            else:
                await connection.send(message)
    await connection.wait_closed()
    running.ends.put_nowait(how_it_closed(connection))


def how_it_closed(connection: Any) -> Closed:
    # picows.websockets has None where there is no reason.
    return Closed(connection.close_code, connection.close_reason or "")


class CompatibleConnection:
    """A client connection of ``websockets`` or of a library with the same API."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @property
    def extensions(self) -> str:
        headers = self.connection.response.headers
        return str(headers.get("Sec-WebSocket-Extensions", ""))

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def recv(self) -> str | bytes:
        message: str | bytes = await self.connection.recv()
        return message

    async def close(self, code: int, reason: str) -> None:
        await self.connection.close(code, reason)

    async def closed(self) -> Closed:
        await self.connection.wait_closed()
        return how_it_closed(self.connection)
