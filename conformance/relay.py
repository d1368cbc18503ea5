"""Passes bytes between a fuzzing peer, which speaks no TLS, and a testee that does.

It is made of the standard library's own TLS, and ends each direction as it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Certificates", "certificates", "relay"]

PIECE = 65536


class Certificates:
    """
    Files for one run.

    Args:
        folder: where to make them.
    """

    def __init__(self, folder: Path) -> None:
        import trustme

        authority = trustme.CA()
        #: certificate of the signer
        self.authority = folder / "authority.pem"
        #: for localhost and 127.0.0.1, with its key
        self.server = folder / "server.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.server))

    def server_context(self) -> ssl.SSLContext:
        """Make a context for a server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Make a context for a client of it."""
        return ssl.create_default_context(cafile=str(self.authority))


@contextlib.contextmanager
def certificates() -> Iterator[Certificates]:
    """Make certificates that last as long as the block."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        yield Certificates(Path(folder))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def relay(
    port: int,
    *,
    accepting: ssl.SSLContext | None = None,
    connecting: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """
    Pass on what comes in, to a port of this machine.

    Args:
        accepting: for TLS with those who connect.
        connecting: for TLS with the port.

    Returns:
        The port to connect to, within the block.
    """
    loop = asyncio.new_event_loop()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        given: dict[str, Any] = {}
        if connecting is not None:
            given = {"ssl": connecting, "server_hostname": "localhost"}
        try:
            onward = await asyncio.open_connection("127.0.0.1", port, **given)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, onward[1]), _pass_on(onward[0], writer))

    server = loop.run_until_complete(
        asyncio.start_server(connected, "127.0.0.1", 0, ssl=accepting)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
