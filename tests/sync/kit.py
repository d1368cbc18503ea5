"""Connections of the library to peers in threads."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fullduplex.sync import ClientConnection, Server, connect, serve

from ..kit.peer import SMALL_BUFFER, Listener, Peer

# Seconds.  Nothing takes that long unless it hangs.
PATIENCE = 8.0


class Job:
    """A call in a thread of its own, as `concurrent.futures` has them."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwds: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._result = call(*args, **kwds)
            except BaseException as exc:
                self._error = exc

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> Any:
        """Wait for the end; raise what the call raised."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "still running"
        if self._error is not None:
            raise self._error
        return self._result


job = Job


@contextmanager
def listening(**options: Any) -> Iterator[Listener]:
    """A `Listener`; afterwards it and its peers are gone."""
    listener = Listener(**options)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def opened(
    *headers: str,
    context: ssl.SSLContext | None = None,
    small: bool = False,
    glued: bytes = b"",
    **kwds: Any,
) -> Iterator[tuple[ClientConnection, Peer]]:
    """Connect to a peer; afterwards both ends are gone."""
    kwds.setdefault("compression", "deflate" if headers else None)
    with listening(context=context, small=small) as listener:
        accepted = job(lambda: listener.accept().handshake(*headers, glued=glued))
        if small:
            # The client's side must not take much either.
            sock = socket.create_connection(("127.0.0.1", listener.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            kwds["sock"] = sock
        ws = connect(listener.uri, **kwds)
        peer = accepted.result()
        try:
            yield ws, peer
        finally:
            peer.close()
            ws.close()


@contextmanager
def served(handler: Callable[..., Any], **kwds: Any) -> Iterator[tuple[Server, str]]:
    """Serve on loopback; afterwards the server is gone."""
    scheme = "ws" if kwds.get("ssl") is None else "wss"
    server = serve(handler, "127.0.0.1", 0, **kwds)
    running = job(server.serve_forever)
    try:
        yield server, f"{scheme}://127.0.0.1:{server.socket.getsockname()[1]}/"
    finally:
        server.shutdown(drain=PATIENCE)
        running.result()
