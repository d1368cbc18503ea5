"""websocket-client: blocking, in pure Python; its coroutines never wait."""

from __future__ import annotations

from typing import Any

import websocket  # type: ignore[import-untyped, import-not-found, unused-ignore]

from . import Skip, Target

Message = str | bytes


def version() -> str:
    return str(websocket.__version__)


class Connection:
    def __init__(self, ws: Any) -> None:
        self.ws = ws

    async def collect(self, count: int) -> list[Message]:
        return [self.ws.recv() for _ in range(count)]

    async def receive(self, count: int) -> Message:
        recv = self.ws.recv
        message: Message = b""
        for _ in range(count):
            message = recv()
        return message

    async def send(self, message: Message, count: int, burst: int) -> None:
        send = self.ws.send if isinstance(message, str) else self.ws.send_binary
        for _ in range(count):
            send(message)

    async def echo(self, message: Message, count: int) -> Message:
        ws = self.ws
        send = ws.send if isinstance(message, str) else ws.send_binary
        answer: Message = b""
        for _ in range(count):
            send(message)
            answer = ws.recv()
        return answer

    async def close(self) -> None:
        self.ws.close()


async def open(target: Target) -> Connection:
    if target.row.deflate:
        raise Skip("no permessage-deflate")
    return Connection(
        websocket.create_connection(
            target.uri, sslopt={"context": target.ssl} if target.ssl else None
        )
    )
