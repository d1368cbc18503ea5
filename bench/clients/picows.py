"""picows: callbacks, no coroutine between a frame and the application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
    ws_create_server,
)

from . import Skip, Target

Message = str | bytes


def version() -> str:
    return metadata.version("picows")


class Listener(WSListener):
    """Counts messages down to zero; from there on, collects them."""

    transport: WSTransport

    def __init__(self) -> None:
        self.left = 0
        self.messages: list[Message] = []
        self.arrived = asyncio.Event()
        self.paused: asyncio.Future[None] | None = None
        self.answer: Message | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT:
            message: Message = frame.get_payload_as_utf8_text()
        elif kind == WSMsgType.BINARY:
            message = frame.get_payload_as_bytes()
        else:
            transport.disconnect()
            return
        self.left -= 1
        if self.left <= 0:
            self.messages.append(message)
            self.arrived.set()
        elif self.answer is not None:
            transport.send(kind, self.answer)

    def pause_writing(self) -> None:
        self.paused = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self.paused is not None:
            self.paused.set_result(None)
            self.paused = None


class Connection:
    def __init__(self, transport: WSTransport, listener: Listener) -> None:
        self.transport = transport
        self.listener = listener

    async def collect(self, count: int) -> list[Message]:
        listener = self.listener
        while len(listener.messages) < count:
            listener.arrived.clear()
            await listener.arrived.wait()
        taken = listener.messages[:count]
        del listener.messages[:count]
        return taken

    async def receive(self, count: int) -> Message:
        self.listener.left = count
        return (await self.collect(1))[0]

    async def send(self, message: Message, count: int, burst: int) -> None:
        kind = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
        transport, listener = self.transport, self.listener
        for _ in range(count // burst):
            for _ in range(burst):
                transport.send(kind, message)
                if listener.paused is not None:
                    await listener.paused
            await asyncio.sleep(0)

    async def echo(self, message: Message, count: int) -> Message:
        """The next message is sent from within the callback: the fastest picows has."""
        listener = self.listener
        listener.left = count
        listener.answer = message
        kind = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
        self.transport.send(kind, message)
        [answer] = await self.collect(1)
        listener.answer = None
        return answer

    async def close(self) -> None:
        self.transport.send_close()
        await self.transport.wait_disconnected()


async def open(target: Target) -> Connection:
    if target.row.deflate:
        raise Skip("picows has no permessage-deflate of its own")
    transport, listener = await ws_connect(
        Listener, target.uri, ssl_context=target.ssl, max_frame_size=2**31 - 1
    )
    assert isinstance(listener, Listener)
    return Connection(transport, listener)


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    server = await ws_create_server(
        lambda request: Echo(), "127.0.0.1", 0, max_frame_size=2**31 - 1
    )

    async def stop() -> None:
        server.close()

    return server.sockets[0].getsockname()[1], stop


class Member(WSListener):
    """A connection that is only sent to."""

    def __init__(self, members: set[WSTransport]) -> None:
        self.members = members

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.members.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.members.discard(transport)
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def broadcaster(target: Target) -> Any:
    """It has no broadcast; this is what a program with it does."""
    members: set[WSTransport] = set()
    server = await ws_create_server(
        lambda request: Member(members), "127.0.0.1", 0, max_frame_size=2**31 - 1
    )

    async def send(message: Message, count: int) -> None:
        kind = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
        for _ in range(count):
            for transport in members:
                transport.send(kind, message)

    async def stop() -> None:
        server.close()

    return server.sockets[0].getsockname()[1], send, stop
