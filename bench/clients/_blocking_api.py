"""The connection of all packages with the blocking API of websockets.

Its coroutines never wait: `bench.measure.timing` runs them without an event loop.
"""

from __future__ import annotations

from typing import Any

Message = str | bytes


class Connection:
    def __init__(self, ws: Any) -> None:
        self.ws = ws

    async def collect(self, count: int) -> list[Message]:
        return [self.ws.recv() for _ in range(count)]

    async def receive(self, count: int) -> Message:
        message: Message = b""
        for message in self.ws:  # noqa: B007 (the last one is returned)
            count -= 1
            if not count:
                break
        return message

    async def send(self, message: Message, count: int, burst: int) -> None:
        ws = self.ws
        for _ in range(count):
            ws.send(message)

    async def echo(self, message: Message, count: int) -> Message:
        ws = self.ws
        answer: Message = b""
        for _ in range(count):
            ws.send(message)
            answer = ws.recv()
        return answer

    async def close(self) -> None:
        self.ws.close()
