"""Opening a connection: what is sent, what is refused, and that it ends on time."""

from __future__ import annotations

import gc
import importlib
import threading
import weakref
from typing import Any

import pytest

from fullduplex import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)

from ..kit.bytes import TEXT, frame
from ..kit.clock import Stopwatch
from ..kit.peer import Listener
from ..kit.tls import contexts
from .faces import Kit
from .registry import SLACK, behaviour


async def attempt(kit: Kit, uri: str, **options: Any) -> None:
    """Connect, and leave at once."""
    options.setdefault("close_timeout", 0.5)
    async with kit.connection(uri, **options):
        pass


async def refused(kit: Kit, answer: bytes, error: type[Exception]) -> Any:
    """Connect to a peer that answers the request with some bytes and closes TCP."""
    listener = Listener()

    def reply() -> None:
        peer = listener.accept()
        peer.read_request()
        peer.write(answer)
        peer.half_close()
        peer.gone()

    replying = kit.spawn(lambda: kit.do(reply))
    try:
        with pytest.raises(error) as caught:
            await attempt(kit, listener.uri)
        await replying.result()
    finally:
        listener.close()
    return caught.value


@behaviour(sides=())
async def request_has_what_was_asked_for(kit: Kit) -> None:
    options: dict[str, Any] = {
        "origin": "https://example.com",
        "subprotocols": ["chat", "superchat"],
        "extra_headers": {"X-Token": "é"},
        "user_agent_header": "tester",
    }
    header = "Sec-WebSocket-Protocol: superchat"
    async with kit.opened(header, **options) as (ws, peer):
        assert peer.header("Origin") == "https://example.com"
        assert peer.header("Sec-WebSocket-Protocol") == "chat, superchat"
        assert peer.header("X-Token") == "é"
        assert peer.header("User-Agent") == "tester"
        assert peer.header("Sec-WebSocket-Version") == "13"
        assert ws.subprotocol == "superchat"
        assert ws.request_headers["Origin"] == "https://example.com"
        assert ws.response_headers["Upgrade"] == "websocket"
        assert ws.path == "/"
        assert ws.remote_address == peer.sock.getsockname()
        assert ws.local_address == peer.sock.getpeername()


@behaviour(sides=())
async def frames_glued_to_the_response_are_received(kit: Kit) -> None:
    async with kit.opened(glued=frame(TEXT, "glued")) as (ws, _):
        assert await ws.recv() == "glued"


@behaviour(sides=())
async def refusal_has_the_response_with_its_body(kit: Kit) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 4\r\n\r\nnope"
    error = await refused(kit, answer, InvalidStatus)
    assert error.response.status_code == 403
    assert error.response.headers["X-Why"] == "no"
    assert error.response.body == b"nope"


@behaviour(sides=())
async def answer_that_is_no_http_is_an_error(kit: Kit) -> None:
    for answer in (b"SSH-2.0-x\r\n\r\n", b"", b"HTTP/1.1 101"):
        await refused(kit, answer, InvalidMessage)


@behaviour(sides=())
async def answer_that_agrees_to_nothing_valid_is_an_error(kit: Kit) -> None:
    answer = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    await refused(kit, answer, InvalidHandshake)
    with pytest.raises(NegotiationError):
        async with kit.opened("Sec-WebSocket-Protocol: never-offered"):
            pytest.fail("it is open")


@behaviour(sides=())
async def redirect_is_followed_and_credentials_stay_behind(kit: Kit) -> None:
    first, second = Listener(), Listener()

    def serve() -> tuple[str | None, str | None]:
        peer = first.accept()
        peer.read_request()
        location = f"ws://127.0.0.1:{second.port}/"
        answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0"
        peer.write(answer.encode() + b"\r\n\r\n")
        before = peer.header("Authorization")
        peer = second.accept().handshake()
        after = peer.header("Authorization")
        peer.answer_close()
        return before, after

    serving = kit.spawn(lambda: kit.do(serve))
    try:
        headers = {"Authorization": "secret"}
        await attempt(kit, first.uri, extra_headers=headers)
        assert await serving.result() == ("secret", None)
    finally:
        first.close()
        second.close()


@behaviour(sides=())
async def open_timeout_covers_a_silent_server(kit: Kit) -> None:
    listener = Listener()
    clock = Stopwatch()
    try:
        with pytest.raises(TimeoutError, match="open_timeout"):
            await attempt(kit, listener.uri, open_timeout=0.3)
        assert 0.25 < clock.elapsed < 0.3 + SLACK
        # Nothing is left open.
        peer = await kit.do(listener.accept)
        await kit.do(peer.read_head)
        await kit.do(peer.gone)
    finally:
        listener.close()


@behaviour(sides=())
async def port_that_nobody_listens_on_is_an_oserror(kit: Kit) -> None:
    listener = Listener()
    listener.close()
    with pytest.raises(OSError, match=str(listener.port)):
        await attempt(kit, listener.uri)


@behaviour(sides=())
async def bad_arguments_are_refused_before_anything_is_sent(kit: Kit) -> None:
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (TypeError, {"no_such_keyword": 1}),
        (TypeError, {"subprotocols": "chat"}),
        (ValueError, {"compression": "zip"}),
        (ValueError, {"max_queue": -1}),
        (ValueError, {"ping_interval": -1}),
        (Exception, {"extra_headers": {"X": "a\r\nb"}}),
        (Exception, {"origin": "a\nb"}),
    ]
    for error, options in wrong:
        with pytest.raises(error):
            await attempt(kit, "ws://127.0.0.1:1/", **options)
    for uri in ("http://localhost/", "ws://", "ws://localhost/#part"):
        with pytest.raises(InvalidURI):
            await attempt(kit, uri)


@behaviour(sides=())
async def memory_of_a_refused_client_is_free_without_the_collector(kit: Kit) -> None:
    name = kit.face.name.partition("-")[0]
    name = name if name in ("sync", "trio") else "asyncio"
    base: Any = importlib.import_module(f"fullduplex.{name}.client").ClientConnection
    made: list[weakref.ref[Any]] = []

    class Connection(base):  # type: ignore[misc]
        """Is remembered."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            made.append(weakref.ref(self))

    async def refuse() -> None:
        listener = Listener(context=contexts()[0] if kit.face.tls else None)

        def respond() -> None:
            peer = listener.accept()
            peer.read_head()
            peer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            peer.gone()

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        options: dict[str, Any] = {"ssl": contexts()[1]} if kit.face.tls else {}
        try:
            with pytest.raises(InvalidStatus):
                await attempt(
                    kit, listener.uri, create_connection=Connection, **options
                )
        finally:
            await kit.do(thread.join)
            listener.close()

    gc.collect()
    gc.disable()
    try:
        await refuse()
        await kit.until(lambda: made and not any(known() for known in made))
    finally:
        gc.enable()
