"""aiohttp, its WebSocket client; one session for all connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from . import Target

Message = str | bytes
Send = Callable[[Any], Awaitable[None]]

_sessions: list[aiohttp.ClientSession] = []


def version() -> str:
    return str(aiohttp.__version__)


class Connection:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def collect(self, count: int) -> list[Message]:
        return [(await self.ws.receive()).data for _ in range(count)]

    async def receive(self, count: int) -> Message:
        data: Message = b""
        async for message in self.ws:
            data = message.data
            count -= 1
            if not count:
                break
        return data

    async def send(self, message: Message, count: int, burst: int) -> None:
        ws = self.ws
        send: Send = ws.send_str if isinstance(message, str) else ws.send_bytes
        for _ in range(count // burst):
            for _ in range(burst):
                await send(message)
            await asyncio.sleep(0)

    async def echo(self, message: Message, count: int) -> Message:
        ws = self.ws
        send: Send = ws.send_str if isinstance(message, str) else ws.send_bytes
        answer: Message = b""
        for _ in range(count):
            await send(message)
            answer = (await ws.receive()).data
        return answer

    async def close(self) -> None:
        await self.ws.close()


async def open(target: Target) -> Connection:
    if not _sessions:
        # Its connector has a limit of 100 connections, and others have none.
        connector = aiohttp.TCPConnector(limit=0)
        _sessions.append(aiohttp.ClientSession(connector=connector))
    ws = await _sessions[0].ws_connect(
        target.uri,
        max_msg_size=0,
        compress=15 if target.row.deflate else 0,
        ssl=target.ssl or True,
    )
    return Connection(ws)


async def finish() -> None:
    for session in _sessions:
        await session.close()


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(max_msg_size=0, compress=False)
    await ws.prepare(request)
    async for message in ws:
        if isinstance(message.data, str):
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)
    return ws


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner.addresses[0][1], runner.cleanup


async def broadcaster(target: Target) -> Any:
    """It has no broadcast; this is what a program with it does."""
    members: set[web.WebSocketResponse] = set()

    async def join(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0, compress=False)
        await ws.prepare(request)
        members.add(ws)
        async for _ in ws:
            pass
        members.discard(ws)
        return ws

    application = web.Application()
    application.router.add_get("/", join)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def send(message: Message, count: int) -> None:
        while len(members) < target.row.connections:
            await asyncio.sleep(0.01)  # not all handlers have begun
        for _ in range(count):
            for ws in members:
                if isinstance(message, str):
                    await ws.send_str(message)
                else:
                    await ws.send_bytes(message)

    return runner.addresses[0][1], send, runner.cleanup
