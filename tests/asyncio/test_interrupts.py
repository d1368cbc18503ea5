"""Ctrl-C inside an extension: nothing that follows is taken for frames."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from fullduplex import ConnectionClosedError, connect
from fullduplex.extensions.base import ClientExtensionFactory, Extension
from fullduplex.frames import Frame
from fullduplex.typing import ExtensionName

from ..kit.bytes import BINARY, CLOSE, frame
from ..kit.peer import Listener, Peer


class Interrupting(Extension):
    """Raises what Ctrl-C raises, at the second frame."""

    name = ExtensionName("x-interrupting")

    def __init__(self, exc: type[BaseException]) -> None:
        self._exc = exc
        self.frames = 0

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.frames += 1
        if self.frames == 2:
            raise self._exc
        return frame

    def encode(self, frame: Frame) -> Frame:
        return frame


class Factory(ClientExtensionFactory):
    name = ExtensionName("x-interrupting")

    def __init__(self, extension: Interrupting) -> None:
        self._extension = extension

    def get_request_params(self) -> Any:
        return []

    def process_response_params(self, params: Any, accepted: Any) -> Extension:
        return self._extension


@pytest.mark.parametrize("exc", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_interrupt_within_the_reader_fails_the_connection(
    exc: type[BaseException], size: int, make: Callable[[], Any]
) -> None:
    extension = Interrupting(exc)
    listener = Listener()
    peers: list[Peer] = []
    headers = "Sec-WebSocket-Extensions: x-interrupting"
    thread = threading.Thread(
        target=lambda: peers.append(listener.accept().handshake(headers)), daemon=True
    )
    thread.start()
    loop = make()
    try:
        opening = connect(
            listener.uri, extensions=[Factory(extension)], compression=None
        )

        async def opened() -> Any:
            return await opening

        ws = loop.run_until_complete(opened())
        thread.join()
        inner = frame(CLOSE, b"\x0b\xb8") * 100
        # Behind the second frame, and inside it, stands what looks like close frames.
        sent = frame(BINARY, b"1") + frame(BINARY, (inner * size)[:size]) + inner
        waiting = loop.create_task(ws.wait_closed())
        peers[0].write(sent)
        try:
            # uvloop takes it for a fault of the protocol, and ends the connection.
            loop.run_until_complete(waiting)
        except exc:
            closing = peers[0].read_until(CLOSE)
            assert closing.code == 1011
            peers[0].close()
            loop.run_until_complete(waiting)

        async def received() -> list[Any]:
            return [await ws.recv(), await ws.recv()]

        with pytest.raises(ConnectionClosedError) as caught:
            loop.run_until_complete(received())
        assert caught.value.rcvd is None
        assert extension.frames == 2
    finally:
        peers[0].close()
        listener.close()
        loop.close()
