"""Subclasses of the connection, their hooks, and extensions."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import pytest

from fullduplex import (
    ClientConnection,
    Headers,
    connect,
)
from fullduplex.extensions import ClientExtensionFactory, Extension
from fullduplex.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from fullduplex.frames import Frame

from ..kit.asyncio_peer import listening
from ..kit.bytes import TEXT, frame
from .kit import finish, opened


class Subclass(ClientConnection):
    def __init__(self, *args: Any, extra: str = "", **kwargs: Any) -> None:
        self.extra = extra
        self.calls: list[str] = []
        self.given = (args, kwargs)
        super().__init__(*args, **kwargs)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.calls.append("made")

    def connection_open(self) -> None:
        super().connection_open()
        assert self.open
        self.calls.append("open")

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.calls.append("lost")


@pytest.mark.parametrize("name", ["create_protocol", "create_connection"])
async def test_create_protocol_makes_the_connection(name: str) -> None:
    options: dict[str, Any] = {name: functools.partial(Subclass, extra="mine")}
    async with opened(**options) as (ws, peer):
        assert isinstance(ws, Subclass)
        assert ws.extra == "mine"
        assert ws.calls == ["made", "open"]
        args, kwargs = ws.given
        assert args == ()
        assert {
            "logger",
            "origin",
            "extensions",
            "subprotocols",
            "extra_headers",
            "user_agent_header",
            "ping_interval",
            "ping_timeout",
            "close_timeout",
            "max_size",
            "max_queue",
            "read_limit",
            "write_limit",
            "host",
            "port",
            "secure",
        } <= set(kwargs)
        assert kwargs["host"] == "127.0.0.1"
        assert kwargs["port"] == peer.writer.get_extra_info("sockname")[1]
        assert kwargs["secure"] is False
        await finish(ws, peer)
        assert ws.calls == ["made", "open", "lost"]


async def test_create_protocol_that_raises_raises_from_await() -> None:
    def broken(**kwargs: Any) -> ClientConnection:
        raise LookupError("no")

    async with listening() as listener:
        with pytest.raises(LookupError):
            await connect(listener.uri, create_protocol=broken)


async def test_connection_open_that_sends_works() -> None:
    class Greeting(ClientConnection):
        def connection_open(self) -> None:
            self.greeting = asyncio.ensure_future(self.send("hello"))

    async with opened(create_protocol=Greeting) as (ws, peer):
        assert (await peer.read()).text == "hello"
        await ws.greeting  # type: ignore[attr-defined]


@pytest.mark.parametrize("static", [True, False])
async def test_process_subprotocol_can_be_overridden(static: bool) -> None:
    def choose(headers: Headers, available_subprotocols: Sequence[str] | None) -> Any:
        return f"{headers['X-Protocol']} of {available_subprotocols}"

    class Lenient(ClientConnection):
        if static:
            process_subprotocol = staticmethod(choose)
        else:

            def process_subprotocol(self, headers: Any, available: Any) -> Any:  # type: ignore[misc]
                return choose(headers, available)

    async with opened(
        "X-Protocol: mine", create_protocol=Lenient, subprotocols=["a", "b"]
    ) as (ws, _):
        assert ws.subprotocol == "mine of ['a', 'b']"


async def test_process_extensions_can_be_overridden() -> None:
    class Lenient(ClientConnection):
        @staticmethod
        def process_extensions(
            headers: Headers, available: Sequence[ClientExtensionFactory] | None
        ) -> list[Extension]:
            return []

    async with opened(
        "Sec-WebSocket-Extensions: x-unknown", create_protocol=Lenient
    ) as (ws, peer):
        assert ws.extensions == []
        await ws.send("x")
        assert (await peer.read()).text == "x"


class Reverse(Extension):
    """Turns text round, both ways."""

    name = "x-reverse"  # type: ignore[assignment]

    def encode(self, frame: Frame) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin, rsv2=True)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin)


class ReverseFactory(ClientExtensionFactory):
    name = "x-reverse"  # type: ignore[assignment]

    def get_request_params(self) -> list[tuple[str, str | None]]:
        return [("how", "all")]

    def process_response_params(
        self, params: Any, accepted_extensions: Any
    ) -> Extension:
        return Reverse()


async def test_extensions_of_the_user_are_offered_and_used() -> None:
    async with opened(
        "Sec-WebSocket-Extensions: x-reverse",
        extensions=[ReverseFactory()],
        compression="deflate",
    ) as (ws, peer):
        assert peer.header("Sec-WebSocket-Extensions") == (
            "x-reverse; how=all, permessage-deflate; client_max_window_bits"
        )
        await ws.send("abc")
        received = await peer.read()
        assert received.payload == b"cba"
        peer.write(frame(TEXT, "olleh", rsv=2))
        assert await ws.recv() == "hello"


async def test_permessage_deflate_of_the_user_takes_the_place_of_the_default() -> None:
    async with opened(
        extensions=[ClientPerMessageDeflateFactory(server_max_window_bits=10)],
        compression="deflate",
    ) as (_, peer):
        assert peer.header("Sec-WebSocket-Extensions") == (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits"
        )
