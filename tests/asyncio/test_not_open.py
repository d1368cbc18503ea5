"""What is asked too early of a connection, and what is overridden in vain."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fullduplex import ClientConnection, ServerConnection, connect
from fullduplex.exceptions import InvalidState

from ..kit.asyncio_peer import until
from ..kit.bytes import TEXT
from .kit import finish, opened
from .server_kit import serving


async def items() -> AsyncIterator[str]:
    yield "a"


EARLY: dict[str, Any] = {
    "recv": lambda ws: ws.recv(),
    "recv-decode": lambda ws: ws.recv(decode=False),
    "anext": lambda ws: anext(ws),
    "send": lambda ws: ws.send("x"),
    "send-binary": lambda ws: ws.send(b"x", text=True),
    "send-fragments": lambda ws: ws.send(["x", "y"]),
    "send-async": lambda ws: ws.send(items()),
    "ping": lambda ws: ws.ping(),
    "pong": lambda ws: ws.pong(b"x"),
}
TEXT_OF = {
    name: f"{name.partition('-')[0].replace('anext', 'recv')}() works once the opening "
    "handshake is done"
    for name in EARLY
}


@pytest.mark.parametrize("name", EARLY)
async def test_operation_in_process_request_raises_and_changes_nothing(
    name: str,
) -> None:
    caught: list[BaseException] = []

    async def process_request(ws: ServerConnection, _: object) -> None:
        try:
            await EARLY[name](ws)
        except InvalidState as exc:
            caught.append(exc)

    async with serving(process_request=process_request) as place:
        client = await place.open()

        assert [str(exc).partition(";")[0] for exc in caught] == [TEXT_OF[name]]
        client.send(TEXT, "x")
        assert (await client.read()).text == "x"


@pytest.mark.variants("two")
async def test_error_says_what_to_do() -> None:
    ws = ClientConnection()
    with pytest.raises(InvalidState) as caught:
        await ws.recv()
    assert str(caught.value) == (
        "recv() works once the opening handshake is done; "
        "hooks such as process_request run before"
    )


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.variants("two")
async def test_operation_on_a_client_made_by_hand_raises(name: str) -> None:
    ws = ClientConnection()
    with pytest.raises(InvalidState) as caught:
        await EARLY[name](ws)
    assert str(caught.value).startswith(TEXT_OF[name])


@pytest.mark.variants("two")
async def test_recv_streaming_raises_in_the_call() -> None:
    ws = ClientConnection()
    with pytest.raises(InvalidState, match=r"^recv_streaming\(\) works once"):
        ws.recv_streaming()


@pytest.mark.variants("two")
async def test_what_can_be_known_before_opening_is_known() -> None:
    ws = ClientConnection()
    assert ws.state.name == "CONNECTING"
    assert not ws.open
    assert not ws.closed
    assert ws.extensions == []
    assert ws.latency == 0
    assert ws.close_code is None
    assert ws.close_reason is None
    assert not hasattr(ws, "protocol")
    await ws.close()


async def test_operation_after_a_handshake_that_failed_raises() -> None:
    made: list[ClientConnection] = []

    class Kept(ClientConnection):
        def __init__(self, **kwds: Any) -> None:
            super().__init__(**kwds)
            made.append(self)

    async with serving(process_request=lambda ws, _: ws.respond(403, "no")) as place:
        with pytest.raises(Exception, match="403"):
            await connect(place.uri, create_protocol=Kept)
        (ws,) = made
        await until(lambda: ws.closed)
        for name in ("recv", "send", "ping"):
            with pytest.raises(InvalidState):
                await EARLY[name](ws)
        await ws.close()
        await ws.wait_closed()


# Overrides of older libraries


@pytest.mark.parametrize(
    ("base", "name", "instead"),
    [
        (ClientConnection, "handshake", "process_extensions"),
        (ClientConnection, "read_http_response", "response"),
        (ClientConnection, "write_http_request", "extra_headers"),
        (ServerConnection, "handshake", "process_request"),
        (ServerConnection, "read_http_request", "process_request"),
        (ServerConnection, "write_http_response", "process_response"),
    ],
)
def test_class_that_overrides_what_is_never_called_is_refused(
    base: type, name: str, instead: str
) -> None:
    async def method(self: Any, *args: Any) -> None: ...

    with pytest.raises(TypeError) as caught:
        type("Mine", (base,), {name: method})

    text = str(caught.value)
    assert text.startswith(f"Mine overrides {name}(), which is never called; instead, ")
    assert instead in text


def test_class_that_inherits_such_an_override_from_a_mixin_is_refused() -> None:
    class Mixin:
        def write_http_request(self, path: str, headers: Any) -> None: ...

    with pytest.raises(TypeError, match="overrides write_http_request"):

        class Mine(Mixin, ClientConnection):
            pass


async def test_names_of_the_other_side_and_plain_attributes_are_free() -> None:
    class Mine(ClientConnection):
        handshake = "firm"

        def read_http_request(self) -> int:
            return 1

    async with opened(create_protocol=functools.partial(Mine)) as (ws, peer):
        assert isinstance(ws, Mine)
        assert ws.read_http_request() == 1
        await finish(ws, peer)
