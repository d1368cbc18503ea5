"""Subclasses of `connect`, as programs for websockets write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from fullduplex import ClientConnection, Close, ServerConnection, connect, serve
from fullduplex.core.client.backoff import Backoff

pytestmark = pytest.mark.variants("plain")


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    async def echo(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


class Late(connect):
    """Calls `__init__` only when it is awaited, as websockets-proxy does."""

    def __init__(self, uri: str, **kwds: Any) -> None:
        self.uri = uri
        self.kwds = kwds
        self.awaited = 0

    async def __await_own__(self) -> ClientConnection:
        self.awaited += 1
        super().__init__(self.uri, **self.kwds)
        return await self.__await_impl__()

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self.__await_own__().__await__()


async def test_await_of_a_subclass_is_used_by_every_form() -> None:
    async with echoing() as uri:
        opening = Late(uri)
        ws = await opening
        await ws.close()
        assert opening.awaited == 1
        async with opening as ws:
            await ws.send("a")
            assert await ws.recv() == "a"
            assert opening.connection is opening.protocol is ws
        assert opening.awaited == 2
        async for ws in opening:
            await ws.send("a")
            assert await ws.recv() == "a"
            if opening.awaited == 4:
                break
        assert opening.awaited == 4
        assert opening.uri == uri


async def test_late_arguments_decide_about_failures() -> None:
    class Failing(Late):
        async def __await_own__(self) -> ClientConnection:
            await super().__await_own__()
            raise KeyError("mine")

    seen: list[Exception] = []

    def decide(exc: Exception) -> Exception | None:
        seen.append(exc)
        return exc if len(seen) == 2 else None

    async with echoing() as uri:
        opening = Failing(
            uri,
            process_exception=decide,
            reconnect_delays=lambda: iter([0.0, 0.0]),
        )
        with pytest.raises(KeyError):
            async for _ in opening:
                pytest.fail("it is open")
        assert [type(exc) for exc in seen] == [KeyError, KeyError]


async def test_object_that_was_not_set_up_says_so() -> None:
    class Never(connect):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="Never has not called super"):
        await Never()
    with pytest.raises(RuntimeError, match="Never has not called super"):
        async with Never():
            pass


async def test_await_impl_of_a_subclass_is_used() -> None:
    class Counting(connect):
        calls = 0

        async def __await_impl__(self) -> ClientConnection:
            Counting.calls += 1
            return await super().__await_impl__()

    async with echoing() as uri:
        async with Counting(uri):
            pass
        await (await Counting(uri)).close()
        async for _ in Counting(uri):
            break
        assert Counting.calls == 3


async def test_block_of_a_subclass_is_used_by_the_loop() -> None:
    events: list[str] = []

    class Noting(connect):
        async def __aenter__(self) -> ClientConnection:
            events.append("enter")
            return await super().__aenter__()

        async def __aexit__(self, *args: Any) -> None:
            events.append("exit")
            await super().__aexit__(*args)

    async with echoing() as uri:
        # A loop that is left is told of it later.
        loop: Any = aiter(Noting(uri))
        async with aclosing(loop) as connections:
            async for _ in connections:
                events.append("body")
                if len(events) > 4:
                    break
        assert events == ["enter", "body", "exit", "enter", "body", "exit"]


async def test_entering_a_connection_that_a_subclass_overrides_is_used() -> None:
    class Entered(ClientConnection):
        was_entered = False

        async def __aenter__(self) -> Any:
            self.was_entered = True
            return self

    async with echoing() as uri, connect(uri, create_protocol=Entered) as ws:
        assert isinstance(ws, Entered)
        assert ws.was_entered


async def test_connection_that_cannot_be_entered_is_closed() -> None:
    class Failing(ClientConnection):
        async def __aenter__(self) -> Any:
            raise KeyError("mine")

    async with echoing() as uri:
        opening = connect(uri, create_protocol=Failing)
        with pytest.raises(KeyError):
            async with opening:
                pytest.fail("it is entered")
        assert opening.connection is not None
        assert opening.connection.close_sent == Close(1011, "")
        assert opening.connection.closed


async def test_delays_are_tuned_on_an_object() -> None:
    opening = connect("ws://localhost/")
    opening.BACKOFF_INITIAL = 0.5
    opening.BACKOFF_MIN = 0.25
    opening.BACKOFF_MAX = 2.0
    opening.BACKOFF_FACTOR = 3.0
    delays = opening._reconnector()._make
    assert delays == Backoff(initial=0.5, min=0.25, max=2.0, factor=3.0)
    assert connect("ws://localhost/")._reconnector()._make == Backoff()


async def test_attributes_that_are_set_count_for_the_next_attempt() -> None:
    async with echoing() as uri:
        opening = connect("ws://localhost:1/", additional_headers={"X": "1"})
        assert opening.additional_headers == {"X": "1"}
        assert opening.open_timeout == 10
        assert opening.connection is None
        opening.uri = uri
        opening.additional_headers = {"X": "2"}
        opening.open_timeout = 5
        async with opening as ws:
            assert ws.request_headers["X"] == "2"
        assert (opening.uri, opening.open_timeout) == (uri, 5)
        assert f":{opening.ws_uri.port}/" in uri
        wrong: Any = "x"
        with pytest.raises(TypeError, match="open_timeout"):
            opening.open_timeout = wrong


@pytest.mark.parametrize("name", ["create_connection", "open_tcp_connection"])
def test_step_that_opens_the_socket_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"overrides {name}\(\).*give sock="):
        type("Own", (connect,), {name: lambda self: None})
