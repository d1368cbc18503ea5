"""How connections through uvicorn end, and what either side learns of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from fullduplex import ConnectionClosed, ConnectionClosedError, ProtocolError
from fullduplex.core.endpoint.options import Options
from fullduplex.integrations import uvicorn as ours

from ..kit.asyncio_peer import Stopwatch, until
from ..kit.bytes import BINARY, CLOSE, MASK, PING, TEXT, frame
from ..kit.clock import PATIENCE
from .kit import accepted, echo, quiet, site

DISCONNECT = "websocket.disconnect"


class Listener:
    """An application that only receives, and keeps what it got."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        while not self.events or self.events[-1]["type"] != DISCONNECT:
            self.events.append(await receive())


def disconnected(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": DISCONNECT, "code": code, "reason": reason}


# The client ends it


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        ((1000, ""), disconnected(1000)),
        ((1001, "going"), disconnected(1001, "going")),
        ((4321, "é" * 60), disconnected(4321, "é" * 60)),
        ((None, ""), disconnected(1005)),
    ],
)
async def test_close_of_the_client_is_a_disconnect_with_code_and_reason(
    sent: tuple[int | None, str],
    event: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Listener()
    async with site(app) as here, here.connected() as ws:
        await ws.close(*sent)
        await here.idle()
    assert app.events == [event]
    assert quiet(caplog.records)


async def test_end_of_tcp_without_close_is_1006() -> None:
    app = Listener()
    async with site(app) as here:
        async with here.opened():
            pass
        await here.idle()
    assert app.events == [disconnected(1006)]


async def test_disconnect_is_given_as_often_as_it_is_asked_for() -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        events.extend([await receive() for _ in range(3)])

    async with site(app) as here, here.connected() as ws:
        await ws.close(3000)
        await here.idle()
    assert events == [disconnected(3000)] * 3


async def test_messages_before_the_close_are_received_before_the_disconnect() -> None:
    proceed = asyncio.Event()
    app = Listener()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await proceed.wait()
        while not app.events or app.events[-1]["type"] != DISCONNECT:
            app.events.append(await receive())

    async with site(late) as here, here.connected() as ws:
        for number in range(5):
            await ws.send(str(number))
        await ws.close()
        proceed.set()
        await here.idle()
    assert [event.get("text") for event in app.events] == [*"01234", None]


@pytest.mark.parametrize("kind", ["text", "bytes"])
async def test_send_after_the_client_closed_raises_and_is_no_error(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        assert (await receive())["type"] == DISCONNECT
        data = "late" if kind == "text" else b"late"
        try:
            await send({"type": "websocket.send", kind: data})
        except OSError as exc:
            raised.append(exc)
            raise

    async with site(app) as here, here.connected() as ws:
        await ws.close(4000, "bye")
        await here.idle()
    assert isinstance(raised[0], ClientDisconnected)
    assert "received 4000" in str(raised[0])
    assert isinstance(raised[0].__cause__, ConnectionClosed)
    assert quiet(caplog.records)


async def test_send_that_waits_is_released_when_the_client_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                event = {"type": "websocket.send", "bytes": bytes(20_000_000)}
                group.create_task(send(event))

    async with site(app) as here:
        async with here.opened(small=True) as peer:
            await peer.reader.readexactly(1000)
        async with asyncio.timeout(PATIENCE):
            await here.idle()
    assert quiet(caplog.records)


async def test_close_after_the_client_closed_does_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        assert await receive() == disconnected(1000)
        await send({"type": "websocket.close", "code": 1011})

    async with site(app) as here, here.connected() as ws:
        await ws.close()
        await here.idle()
    assert quiet(caplog.records)


# The application ends it


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 1001, "reason": None}, 1001, ""),
        ({"code": 4999, "reason": "enough"}, 4999, "enough"),
        ({"code": 1012, "reason": "é" * 100}, 1012, "é" * 61),
    ],
)
async def test_close_of_the_application_reaches_the_client(
    event: dict[str, Any], code: int, reason: str
) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close", **event})
        events.append(await receive())

    async with site(app) as here, here.connected() as ws:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        await here.idle()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    assert events == [disconnected(code, reason)]


async def test_close_with_1005_is_an_empty_close_frame() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close", "code": 1005})

    async with site(app) as here, here.opened() as peer:
        assert (await peer.read()).payload == b""


@pytest.mark.parametrize("code", [0, 999, 1006, 1015, 2000, 5000])
async def test_close_with_a_code_that_must_not_travel_is_refused(code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        with pytest.raises(ProtocolError):
            await send({"type": "websocket.close", "code": code})
        await send({"type": "websocket.send", "text": "still open"})

    async with site(app) as here, here.connected() as ws:
        assert await ws.recv() == "still open"


@pytest.mark.parametrize("kind", ["websocket.close", "websocket.send"])
async def test_event_after_close_is_an_error_of_the_application(kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close"})
        with pytest.raises(RuntimeError, match="after it had closed the connection"):
            await send({"type": kind, "text": "late"})

    async with site(app) as here, here.connected() as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        await here.idle()


async def test_client_that_never_answers_a_close_is_cut_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        (connection,) = here.state.connections
        connection.session.options = short  # type: ignore[union-attr]
        await send({"type": "websocket.close"})

    short = Options.check(close_timeout=0.1)
    async with site(app) as here, here.opened() as peer:
        assert (await peer.read()).code == 1000
        async with asyncio.timeout(PATIENCE):
            await peer.gone()


async def test_client_that_leaves_while_the_application_does_not_receive() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        (connection,) = here.state.connections
        connection.session.options = short  # type: ignore[union-attr]
        await ended.wait()
        texts = [(await receive()).get("text") for _ in range(4)]
        assert texts == ["0", "1", "2", "3"]

    short = Options.check(close_timeout=0.1)
    async with site(app) as here, here.opened() as peer:
        (connection,) = here.state.connections
        for number in range(100):
            peer.write(frame(TEXT, f"{number}", mask=MASK))
        await until(lambda: connection.session.reading_paused)  # type: ignore[union-attr]
        peer.close()
        await until(lambda: not here.state.connections)
        ended.set()
        await here.idle()


async def test_return_closes_with_1000() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.send", "text": "last"})

    async with site(app) as here, here.connected() as ws:
        assert [message async for message in ws] == ["last"]
        assert ws.close_code == 1000


@pytest.mark.parametrize("what", ["exception", "value", "group"])
async def test_failure_after_accept_closes_with_1011(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> Any:
        await accepted(receive, send)
        if what == "exception":
            raise ValueError("a bug")
        if what == "group":
            raise ExceptionGroup("both", [ClientDisconnected(), ValueError("a bug")])
        return 123

    async with site(app) as here, here.connected() as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        await here.idle()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "")
    (error,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    if what == "value":
        assert error.getMessage() == "ASGI application returned 'int'; expected None"
    else:
        assert error.getMessage() == "Exception in ASGI application"
        assert error.exc_info is not None


async def test_application_that_is_cancelled_closes_with_1011() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        await receive()

    async with site(app) as here, here.connected() as ws:
        (task,) = here.state.tasks
        task.cancel()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        await here.idle()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


# The protocol ends it


async def test_message_over_ws_max_size_closes_with_1009(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Listener()
    async with site(app, ws_max_size=100) as here, here.connected() as ws:
        client = ws.local_address
        await ws.send("a" * 100)
        await ws.send("a" * 101)
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        await here.idle()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
    assert app.events[0]["text"] == "a" * 100
    assert app.events[1]["code"] == 1009
    assert "max_size is 100" in app.events[1]["reason"]
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.name == "uvicorn.error"
    text = record.getMessage()
    assert text.startswith(f"closing the connection with 127.0.0.1:{client[1]}: ")
    assert text.endswith("max_size is 100 bytes (close code 1009)")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"\xff", mask=MASK), 1007),
        (frame(TEXT, "unmasked"), 1002),
        (frame(3, "reserved", mask=MASK), 1002),
        (frame(CLOSE, b"\x03", mask=MASK), 1002),
    ],
)
async def test_frame_that_breaks_the_rules_closes_with_its_code(
    sent: bytes, code: int
) -> None:
    app = Listener()
    async with site(app) as here, here.opened() as peer:
        peer.write(frame(BINARY, "before", mask=MASK) + sent)
        assert (await peer.read_until(CLOSE)).code == code
        peer.close()
        await here.idle()
    assert [event.get("code") for event in app.events] == [None, code]


async def test_client_without_pong_is_closed_with_1011() -> None:
    app = Listener()
    async with (
        site(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as here,
        here.opened() as peer,
    ):
        watch = Stopwatch()
        assert (await peer.read()).opcode == PING
        received = await peer.read_until(CLOSE)
        assert received.code == 1011
        assert watch.elapsed < 1
        peer.close()
        await here.idle()
    assert app.events == [disconnected(1011, "keepalive ping timeout")]


async def test_client_that_answers_pings_stays() -> None:
    async with (
        site(echo, ws_ping_interval=0.03, ws_ping_timeout=0.03) as here,
        here.connected() as ws,
    ):
        (connection,) = here.state.connections
        session: Any = connection.session  # type: ignore[union-attr]
        await until(
            lambda: session.pings.rtt is not None and session.pings.rtt.count >= 5
        )
        await ws.send("still")
        assert await ws.recv() == "still"


@pytest.mark.parametrize("interval", [None, 0])
async def test_no_interval_means_no_pings(interval: float | None) -> None:
    async with site(echo, ws_ping_interval=interval) as here, here.connected():
        (connection,) = here.state.connections
        assert connection.session.deadline() is None  # type: ignore[union-attr]


# The server ends it


async def test_shutdown_closes_with_1012() -> None:
    app = Listener()
    async with site(app, timeout_graceful_shutdown=5) as here, here.connected() as ws:
        await ws.send("before")
        await until(lambda: bool(app.events))
        await here.server.shutdown()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert not here.state.connections
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
    assert app.events[1:] == [disconnected(1012)]


async def test_send_during_shutdown_raises_and_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        while True:
            await send({"type": "websocket.send", "text": "again"})
            await asyncio.sleep(0.01)

    async with site(app, timeout_graceful_shutdown=5) as here, here.connected() as ws:
        assert await ws.recv() == "again"
        await here.server.shutdown()
        with pytest.raises(ConnectionClosedError, match="1012"):
            async for _ in ws:
                pass
    assert quiet(caplog.records)


@pytest.mark.variants("loops")
async def test_shutdown_cuts_off_who_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ours, "SHUTDOWN_TIMEOUT", 0.1)
    app = Listener()
    async with site(app) as here, here.opened() as peer:
        async with asyncio.timeout(PATIENCE):
            await here.server.shutdown()
        assert (await peer.read()).code == 1012
    assert app.events == [disconnected(1012)]


@pytest.mark.variants("loops")
async def test_shutdown_before_accept_is_503(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        events.append(await receive())
        await send({"type": "websocket.accept"})

    async with site(app) as here, here.peer() as peer:
        await until(lambda: len(here.state.tasks) == 1)
        await here.server.shutdown()
        assert (await peer.reader.read()).startswith(b"HTTP/1.1 503 ")
    assert events == [disconnected(1006)]
    assert quiet(caplog.records)


@pytest.mark.variants("loops")
async def test_shutdown_lets_a_denial_end() -> None:
    proceed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "websocket.http.response.start", "status": 404}
        await send(start)
        await proceed.wait()
        await send({"type": "websocket.http.response.body", "body": b"whole"})

    async with site(app) as here, here.peer() as peer:
        await until(lambda: len(here.state.tasks) == 1)
        stopping = asyncio.create_task(here.server.shutdown())
        await asyncio.sleep(0)
        proceed.set()
        assert (await peer.reader.read()).endswith(b"whole")
        await stopping
