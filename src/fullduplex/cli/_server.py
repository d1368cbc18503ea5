"""The server of ``fullduplex serve``, in one process."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import Server, ServerConnection, broadcast, serve, unix_serve
from ._errors import one_line

FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Options:
    """
    Address and behaviour of a server.

    Args:
        host: name or address; None for all.
        port: 0 lets the system choose.
        unix: path of a Unix socket, instead of host and port.
        tls_cert: file with the certificate chain in PEM; None for no TLS.
        tls_key: file with its key; None if `tls_cert` has it.
        chat: send each message to everybody, not back.
        drain: seconds that connections have to finish when the server stops.
        reuse_port: other processes listen on the same port.
    """

    host: str | None = "127.0.0.1"
    port: int = 8765
    unix: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    chat: bool = False
    drain: float = 10.0
    reuse_port: bool = False


class Stop:
    """The wish to stop, and how urgent it is."""

    def __init__(self) -> None:
        #: set by the first signal
        self.wanted = asyncio.Event()
        #: set by the second one
        self.urgent = asyncio.Event()

    def ask(self) -> None:
        """Note one more signal."""
        (self.urgent if self.wanted.is_set() else self.wanted).set()

    def on_signals(self) -> None:
        """Let SIGTERM and Ctrl-C ask."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self.ask)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.ask))


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def chat(ws: ServerConnection) -> None:
    async for message in ws:
        # A member that does not read is closed rather than waited for.
        broadcast(ws.server.connections, message)


async def run_server(
    options: Options, stop: Stop, announce: Callable[[Server], None]
) -> int:
    """
    Serve until `stop` is wanted.

    Args:
        announce: called once connections are accepted.

    Returns:
        The exit status.

    Raises:
        OSError: the address or a file cannot be used.
    """
    handler = chat if options.chat else echo
    more: dict[str, Any] = {}
    if options.tls_cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key)
        more["ssl"] = context
    if options.unix is not None:
        server = await unix_serve(handler, options.unix, **more)
    else:
        if options.reuse_port:
            more["reuse_port"] = True
        server = await serve(handler, options.host, options.port, **more)
    announce(server)
    await stop.wanted.wait()
    server.close(drain=options.drain)
    closed = asyncio.ensure_future(server.wait_closed())
    urgent = asyncio.ensure_future(stop.urgent.wait())
    await asyncio.wait({closed, urgent}, return_when=asyncio.FIRST_COMPLETED)
    urgent.cancel()
    if closed.done():
        return 0
    closed.cancel()
    return INTERRUPTED


def address(options: Options, server: Server | None = None) -> str:
    """Write the URI of a server; the port is what the system chose."""
    if options.unix is not None:
        return f"unix:{options.unix}"
    scheme = "ws" if options.tls_cert is None else "wss"
    port = options.port
    if server is not None:
        port = server.sockets[0].getsockname()[1]
    host = options.host or "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def welcome(options: Options, server: Server | None = None, more: str = "") -> None:
    """Say where the server is, in one line that programs can read."""
    kind = "chat" if options.chat else "echo"
    print(f"{kind} server at {address(options, server)}{more}", flush=True)


def failure(options: Options, error: Exception) -> str:
    """Say in one line why there is no server."""
    if isinstance(error, ssl.SSLError) or (
        isinstance(error, OSError)
        and options.tls_cert is not None
        and not os.access(options.tls_cert, os.R_OK)
    ):
        what = f"cannot use the certificate {options.tls_cert}"
    else:
        what = f"cannot listen at {address(options)}"
    return f"fullduplex: {what}: {one_line(str(error))}"
