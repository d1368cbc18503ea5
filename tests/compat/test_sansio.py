"""The layer without I/O: what its methods promise, client against server."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

from fullduplex.client import ClientProtocol
from fullduplex.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidState,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    RequestLineTooLong,
)
from fullduplex.extensions import Extension
from fullduplex.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from fullduplex.frames import Close, CloseCode, Frame, Opcode
from fullduplex.http11 import MAX_BODY_SIZE, Request, Response
from fullduplex.protocol import SEND_EOF, Event, Protocol, Side, State
from fullduplex.server import ServerProtocol
from fullduplex.streams import StreamReader
from fullduplex.uri import parse_uri

from ..kit.bytes import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, frame

URI = parse_uri("ws://example.com/chat?room=1")
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def asked(more: bytes = b"", **kwds: Any) -> tuple[ServerProtocol, Request]:
    """A server that has received a request."""
    server = ServerProtocol(**kwds)
    server.receive_data(REQUEST + more + b"\r\n")
    [request] = server.events_received()
    assert isinstance(request, Request)
    return server, request


def pass_on(sender: Protocol, receiver: Protocol) -> None:
    """Carry the output of one end to the other."""
    for data in sender.data_to_send():
        if data == SEND_EOF:
            receiver.receive_eof()
        else:
            receiver.receive_data(data)


def pair(
    client: ClientProtocol | None = None, server: ServerProtocol | None = None
) -> tuple[ClientProtocol, ServerProtocol]:
    """Two ends after the opening handshake."""
    client = client or ClientProtocol(URI)
    server = server or ServerProtocol()
    client.send_request(client.connect())
    pass_on(client, server)
    [request] = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    pass_on(server, client)
    [response] = client.events_received()
    assert isinstance(response, Response)
    assert client.state is server.state is State.OPEN
    return client, server


def state(protocol: Protocol) -> State:
    """Its state, which type checkers believe to stay what it was."""
    return protocol.state


def output(protocol: Protocol) -> bytes:
    return b"".join(protocol.data_to_send())


# The handshake of a client


def test_request_has_what_the_arguments_say_and_nothing_of_the_program() -> None:
    client = ClientProtocol(
        URI,
        origin="https://example.com",
        extensions=[ClientPerMessageDeflateFactory()],
        subprotocols=["a", "b"],
    )
    request = client.connect()
    assert request.path == "/chat?room=1"
    assert [name for name, _ in request.headers.raw_items()] == [
        "Host",
        "Origin",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol",
    ]
    assert request.headers["Sec-WebSocket-Key"] == client.key
    assert client.data_to_send() == []


def test_request_when_headers_are_added_is_sent_with_them() -> None:
    client = ClientProtocol(URI)
    request = client.connect()
    request.headers["Authorization"] = "Bearer x"
    client.send_request(request)
    [data] = client.data_to_send()
    assert b"\r\nAuthorization: Bearer x\r\n" in data
    assert client.data_to_send() == []


def test_request_when_its_key_is_gone_is_refused() -> None:
    client = ClientProtocol(URI)
    request = client.connect()
    del request.headers["Sec-WebSocket-Key"]
    with pytest.raises(InvalidHeader):
        client.send_request(request)
    assert client.data_to_send() == []


def test_handshake_when_it_succeeds_gives_extensions_and_subprotocol() -> None:
    client, server = pair(
        ClientProtocol(
            URI,
            extensions=[ClientPerMessageDeflateFactory()],
            subprotocols=["x", "chat"],
        ),
        ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()], subprotocols=["chat"]
        ),
    )
    assert client.subprotocol == server.subprotocol == "chat"
    assert [extension.name for extension in client.extensions] == ["permessage-deflate"]
    assert len(server.extensions) == 1
    assert client.handshake_exc is server.handshake_exc is None


def test_client_when_frames_come_with_the_response_reads_them() -> None:
    client, server = ClientProtocol(URI), ServerProtocol()
    client.send_request(client.connect())
    pass_on(client, server)
    [request] = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    server.send_text(b"hi")
    client.receive_data(output(server))
    response, message = client.events_received()
    assert isinstance(response, Response)
    assert message == Frame(Opcode.TEXT, b"hi")


def test_client_when_refused_has_the_response_and_ends_its_half() -> None:
    client = ClientProtocol(URI)
    client.send_request(client.connect())
    client.data_to_send()
    client.receive_data(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
    [response] = client.events_received()
    assert isinstance(response, Response)
    assert response.body == b"no"
    assert isinstance(client.handshake_exc, InvalidStatus)
    assert client.handshake_exc.response is response
    with pytest.warns(DeprecationWarning, match="use the attribute handshake_exc"):
        assert response.exception is client.handshake_exc
    assert client.data_to_send() == [SEND_EOF]
    assert state(client) is State.CONNECTING
    assert client.close_expected()
    client.receive_data(b"more")
    client.receive_eof()
    assert state(client) is State.CLOSED
    assert not client.close_expected()
    assert client.close_code == CloseCode.ABNORMAL_CLOSURE
    assert client.events_received() == []
    assert client.data_to_send() == []


@pytest.mark.parametrize(
    ("data", "cause"),
    [(b"garbage\r\n\r\n", ValueError), (b"HTTP/1.1 101 Sw", EOFError)],
)
def test_client_when_the_answer_is_no_http_notes_it_and_raises_nothing(
    data: bytes, cause: type[Exception]
) -> None:
    client = ClientProtocol(URI)
    client.send_request(client.connect())
    client.data_to_send()
    client.receive_data(data)
    client.receive_eof()
    assert isinstance(client.handshake_exc, InvalidMessage)
    assert isinstance(client.handshake_exc.__cause__, cause)
    assert client.events_received() == []
    assert client.state is State.CLOSED


def test_client_steps_can_be_overridden() -> None:
    class Careless(ClientProtocol):
        def process_response(self, response: Response) -> None:
            self.seen = response.status_code

    client = Careless(URI)
    client.send_request(client.connect())
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\x81\x01a")
    assert client.seen == 200
    assert client.state is State.OPEN
    assert client.events_received()[1] == Frame(Opcode.TEXT, b"a")

    class Strict(ClientProtocol):
        def process_subprotocol(self, headers: Any) -> Any:
            raise NegotiationError("no subprotocol")

    with pytest.raises(AssertionError):
        pair(strict := Strict(URI))
    assert isinstance(strict.handshake_exc, NegotiationError)


def test_request_after_the_handshake_is_refused() -> None:
    client, _ = pair()
    with pytest.raises(InvalidState, match="connection is open"):
        client.send_request(client.connect())


# The handshake of a server


def test_server_when_the_request_is_right_answers_101() -> None:
    server, request = asked()
    response = server.accept(request)
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert [name for name, _ in response.headers.raw_items()] == [
        "Date",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Accept",
    ]
    assert state(server) is State.CONNECTING
    server.send_response(response)
    assert state(server) is State.OPEN
    assert output(server).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")


@pytest.mark.parametrize(
    ("request_line", "status", "kind"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426, InvalidUpgrade),
        (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405, InvalidHandshake),
        (b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505, InvalidHandshake),
    ],
)
def test_server_when_the_request_is_wrong_makes_a_response_and_raises_nothing(
    request_line: bytes, status: int, kind: type[Exception]
) -> None:
    server = ServerProtocol()
    server.receive_data(request_line)
    [request] = server.events_received()
    assert isinstance(request, Request)
    response = server.accept(request)
    assert response.status_code == status
    assert isinstance(server.handshake_exc, kind)
    with pytest.warns(DeprecationWarning, match="use the attribute handshake_exc"):
        assert request.exception is server.handshake_exc
    server.send_response(response)
    head, eof = server.data_to_send()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert eof == SEND_EOF
    assert server.close_expected()


@pytest.mark.parametrize("status", [403, 299])
def test_server_when_it_rejects_ends_its_half(status: int) -> None:
    server, _ = asked()
    response = server.reject(status, "no\n")
    assert response.body == b"no\n"
    assert response.headers["Content-Length"] == "3"
    server.send_response(response)
    assert server.data_to_send()[-1] == SEND_EOF
    assert server.state is State.CONNECTING
    with pytest.raises(InvalidState):
        server.send_response(response)


def test_server_when_the_request_line_is_too_long_answers_by_itself() -> None:
    server = ServerProtocol()
    server.receive_data(b"GET /" + b"a" * 9000)
    head, eof = server.data_to_send()
    assert head.startswith(b"HTTP/1.1 414 ")
    assert eof == SEND_EOF
    assert isinstance(server.handshake_exc, RequestLineTooLong)


def test_server_when_no_http_comes_ends_without_a_word() -> None:
    server = ServerProtocol()
    server.receive_data(b"\x16\x03\x01\x00\r\n")
    assert server.data_to_send() == [SEND_EOF]
    assert isinstance(server.handshake_exc, InvalidMessage)
    assert server.events_received() == []


def test_server_when_the_origin_is_not_admitted_answers_403() -> None:
    server, request = asked(b"Origin: https://evil\r\n", origins=["https://good"])
    assert server.accept(request).status_code == 403
    assert isinstance(server.handshake_exc, InvalidOrigin)
    server, request = asked(b"Origin: https://good\r\n", origins=["https://good"])
    assert server.accept(request).status_code == 101
    assert server.origin == "https://good"


def test_server_select_subprotocol_gets_the_object_and_the_offers() -> None:
    seen: list[Any] = []

    def select(protocol: ServerProtocol, offers: Any) -> str:
        seen.append((protocol, list(offers)))
        return "b"

    server, request = asked(
        b"Sec-WebSocket-Protocol: a, b\r\n", select_subprotocol=select
    )
    response = server.accept(request)
    assert seen == [(server, ["a", "b"])]
    assert response.headers["Sec-WebSocket-Protocol"] == server.subprotocol == "b"


def test_server_steps_can_be_overridden() -> None:
    class Lenient(ServerProtocol):
        def process_origin(self, headers: Any) -> str | None:
            return "anywhere"

        def select_subprotocol(self, subprotocols: Any) -> str | None:
            return str(subprotocols[-1])

    server = Lenient()
    server.receive_data(REQUEST + b"Sec-WebSocket-Protocol: a, b\r\n\r\n")
    [request] = server.events_received()
    assert isinstance(request, Request)
    response = server.accept(request)
    assert server.origin == "anywhere"
    assert response.headers["Sec-WebSocket-Protocol"] == "b"

    class Own(ServerProtocol):
        def process_request(self, request: Request) -> Any:
            return "accepted", None, None

    own = Own()
    own.receive_data(b"GET / HTTP/1.1\r\n\r\n")
    [request] = own.events_received()
    assert isinstance(request, Request)
    response = own.accept(request)
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"] == "accepted"


def test_server_when_a_step_fails_answers_500_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(ServerProtocol):
        def process_extensions(self, headers: Any) -> Any:
            raise RuntimeError("secret")

    server = Broken()
    server.receive_data(REQUEST + b"\r\n")
    [request] = server.events_received()
    assert isinstance(request, Request)
    response = server.accept(request)
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert [record.getMessage() for record in caplog.records] == [
        "opening handshake failed"
    ]


def test_server_when_frames_come_before_its_answer_keeps_them() -> None:
    server, request = asked()
    server.receive_data(frame(TEXT, "early", mask=MASK))
    assert server.events_received() == []
    server.send_response(server.accept(request))
    assert server.events_received() == [Frame(Opcode.TEXT, b"early")]


# Frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_messages_when_sent_arrive_as_frames(size: int) -> None:
    client, server = pair()
    for sender, receiver in ((client, server), (server, client)):
        sender.send_text(b"t" * size)
        sender.send_binary(bytearray(size))
        sender.send_binary(memoryview(bytes(size)), fin=False)
        sender.send_continuation(b"", fin=False)
        sender.send_continuation(b"c", fin=True)
        pass_on(sender, receiver)
        assert receiver.events_received() == [
            Frame(Opcode.TEXT, b"t" * size),
            Frame(Opcode.BINARY, bytes(size)),
            Frame(Opcode.BINARY, bytes(size), fin=False),
            Frame(Opcode.CONT, b"", fin=False),
            Frame(Opcode.CONT, b"c"),
        ]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
def test_frames_when_they_come_in_pieces_are_whole(cut: int) -> None:
    _, server = pair()
    stream = b"".join(
        [
            frame(TEXT, "héllo", mask=MASK),
            frame(TEXT, "ab", mask=MASK, fin=False),
            frame(PING, b"p", mask=MASK),
            frame(CONT, "cd", mask=MASK),
            frame(BINARY, bytes(5000), mask=MASK),
            frame(PONG, b"x", mask=MASK),
        ]
    )
    for start in range(0, len(stream), cut):
        server.receive_data(stream[start : start + cut])
    assert server.events_received() == [
        Frame(Opcode.TEXT, "héllo".encode()),
        Frame(Opcode.TEXT, b"ab", fin=False),
        Frame(Opcode.PING, b"p"),
        Frame(Opcode.CONT, b"cd"),
        Frame(Opcode.BINARY, bytes(5000)),
        Frame(Opcode.PONG, b"x"),
    ]
    assert output(server) == frame(PONG, b"p")


def test_compressed_messages_arrive_inflated() -> None:
    client, server = pair(
        ClientProtocol(URI, extensions=[ClientPerMessageDeflateFactory()]),
        ServerProtocol(extensions=[ServerPerMessageDeflateFactory()]),
    )
    client.send_text(b"a" * 10_000)
    client.send_text(b"b" * 1000, fin=False)
    client.send_continuation(b"c" * 1000, fin=True)
    data = output(client)
    assert len(data) < 500
    server.receive_data(data)
    assert server.events_received() == [
        Frame(Opcode.TEXT, b"a" * 10_000),
        Frame(Opcode.TEXT, b"b" * 1000, fin=False),
        Frame(Opcode.CONT, b"c" * 1000),
    ]


def test_compressed_text_when_it_is_not_utf8_fails_with_1007() -> None:
    _, server = pair(
        ClientProtocol(URI, extensions=[ClientPerMessageDeflateFactory()]),
        ServerProtocol(extensions=[ServerPerMessageDeflateFactory()]),
    )
    squeeze = zlib.compressobj(wbits=-12)
    payload = squeeze.compress(b"ok\xff") + squeeze.flush(zlib.Z_SYNC_FLUSH)
    server.receive_data(frame(TEXT, payload[:-4], mask=MASK, rsv=4))
    assert server.events_received() == []
    assert server.close_sent is not None
    assert server.close_sent.code == 1007
    assert isinstance(server.parser_exc, UnicodeDecodeError)


def test_extension_of_a_program_takes_part_and_its_text_is_checked() -> None:
    class Swap(Extension):
        name = "x-swap"  # type: ignore[assignment]

        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            return Frame(frame.opcode, bytes(frame.data)[::-1], frame.fin)

        def encode(self, frame: Frame) -> Frame:
            return self.decode(frame)

    client, server = pair()
    client.extensions = [Swap()]
    server.extensions = [Swap()]
    client.send_text(b"abc")
    data = output(client)
    server.receive_data(data)
    assert server.events_received() == [Frame(Opcode.TEXT, b"abc")]
    client.send_ping(b"xyz")
    data = output(client)
    assert data == frame(PING, b"zyx", mask=data[2:6])
    server.receive_data(data)
    assert server.events_received() == [Frame(Opcode.PING, b"xyz")]
    assert output(server) == frame(PONG, b"zyx")
    server.receive_data(frame(TEXT, b"\x82\xe2", mask=MASK))
    assert server.close_sent is not None
    assert server.close_sent.code == 1007


def test_ping_is_answered_and_a_flood_of_them_with_the_last() -> None:
    _, server = pair()
    server.receive_data(frame(PING, b"x", mask=MASK))
    assert output(server) == frame(PONG, b"x")
    payload = bytes(125)
    server.receive_data(
        frame(PING, payload, mask=MASK) * 2000 + frame(PING, b"z", mask=MASK)
    )
    data = output(server)
    assert data.endswith(frame(PONG, b"z"))
    assert len(data) < 70_000
    assert len(server.events_received()) == 2002


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda p: p.send_continuation(b"", True), ProtocolError),
        (lambda p: p.send_ping(bytes(126)), ProtocolError),
        (lambda p: p.send_pong(bytes(126)), ProtocolError),
        (lambda p: p.send_close(1004), ProtocolError),
        (lambda p: p.send_close(1006), ProtocolError),
        (lambda p: p.send_close(None, "why"), ProtocolError),
        (lambda p: p.send_close(1000, "x" * 124), ProtocolError),
        (lambda p: p.send_text("text"), TypeError),
        (lambda p: p.send_ping("text"), TypeError),
        (lambda p: p.close_exc, AssertionError),
    ],
)
def test_wrong_call_changes_nothing(
    call: Callable[[Any], object], error: type[Exception]
) -> None:
    client, _ = pair()
    with pytest.raises(error):
        call(client)
    assert client.state is State.OPEN
    assert client.data_to_send() == []


def test_message_inside_a_fragmented_one_is_refused() -> None:
    client, _ = pair()
    client.send_text(b"a", fin=False)
    assert client.expect_continuation_frame
    with pytest.raises(ProtocolError, match="expected a continuation frame"):
        client.send_binary(b"b")
    client.send_ping(b"")
    client.send_continuation(b"c", fin=True)
    client.send_binary(b"b")


# The end


def test_closing_handshake_when_the_client_begins() -> None:
    client, server = pair()
    client.send_close(1001, "bye")
    assert client.state is State.CLOSING
    assert client.close_expected()
    pass_on(client, server)
    assert server.events_received() == [Frame(Opcode.CLOSE, b"\x03\xe9bye")]
    assert server.state is State.CLOSING
    echo, eof = server.data_to_send()
    assert echo == frame(CLOSE, b"\x03\xe9bye")
    assert eof == SEND_EOF
    client.receive_data(echo)
    assert client.data_to_send() == []
    client.receive_eof()
    assert client.data_to_send() == [SEND_EOF]
    server.receive_eof()
    for side, order in ((client, False), (server, True)):
        assert side.state is State.CLOSED
        assert (side.close_code, side.close_reason) == (1001, "bye")
        exc = side.close_exc
        assert isinstance(exc, ConnectionClosedOK)
        assert exc.rcvd == exc.sent == Close(1001, "bye")
        assert exc.rcvd_then_sent is order


def test_close_frame_without_a_code_counts_as_a_good_end() -> None:
    client, server = pair()
    server.send_close()
    pass_on(server, client)
    pass_on(client, server)
    assert server.data_to_send() == [SEND_EOF]
    client.receive_eof()
    assert client.close_code == CloseCode.NO_STATUS_RCVD
    assert isinstance(client.close_exc, ConnectionClosedOK)


def test_pings_while_closing_are_sent_and_answered_until_the_end() -> None:
    client, server = pair()
    client.send_close()
    client.data_to_send()
    client.send_ping(b"x")
    client.send_pong(b"y")
    assert len(client.data_to_send()) == 2
    client.receive_data(frame(PING, b"z"))
    assert output(client)
    with pytest.raises(InvalidState, match="connection is closing"):
        client.send_text(b"")
    with pytest.raises(InvalidState):
        client.send_close()
    server.receive_data(frame(CLOSE, b"", mask=MASK))
    with pytest.raises(InvalidState, match="our half is closed"):
        server.send_ping(b"")


@pytest.mark.parametrize(
    ("data", "code", "cause"),
    [
        (frame(TEXT, "a"), 1002, ProtocolError),
        (frame(3, "a", mask=MASK), 1002, ProtocolError),
        (frame(TEXT, "a", mask=MASK, rsv=4), 1002, ProtocolError),
        (frame(CONT, "a", mask=MASK), 1002, ProtocolError),
        (frame(PING, bytes(126), mask=MASK), 1002, ProtocolError),
        (frame(CLOSE, b"\x00", mask=MASK), 1002, ProtocolError),
        (frame(TEXT, b"\xff", mask=MASK), 1007, UnicodeDecodeError),
        (frame(CLOSE, b"\x03\xe8\xff", mask=MASK), 1007, UnicodeDecodeError),
        (frame(BINARY, b"", length=2**62, mask=MASK), 1009, PayloadTooBig),
    ],
)
def test_bad_input_fails_the_connection_and_raises_nothing(
    data: bytes, code: int, cause: type[Exception]
) -> None:
    _, server = pair()
    server.receive_data(frame(TEXT, "good", mask=MASK) + data)
    server.receive_data(frame(TEXT, "late", mask=MASK))
    assert server.events_received() == [Frame(Opcode.TEXT, b"good")]
    assert isinstance(server.parser_exc, cause)
    close, eof = server.data_to_send()
    assert close[2:4] == code.to_bytes(2, "big")
    assert eof == SEND_EOF
    assert server.state is State.CLOSING
    server.receive_eof()
    assert isinstance(server.close_exc, ConnectionClosedError)
    assert server.close_exc.__cause__ is server.parser_exc


@pytest.mark.parametrize(
    ("max_size", "size", "fails"),
    [(10, 10, False), (10, 11, True), (None, 2**21, False), ((100, 10), 11, True)],
)
def test_max_size_holds_for_messages_and_frames(
    max_size: Any, size: int, fails: bool
) -> None:
    server = ServerProtocol(state=State.OPEN, max_size=max_size)
    server.receive_data(frame(BINARY, bytes(size), mask=MASK))
    assert (server.parser_exc is not None) is fails


def test_fail_sends_a_close_frame_and_ignores_what_comes() -> None:
    for side in pair():
        side.fail(1011, "oops")
        assert side.state is State.CLOSING
        sent = side.data_to_send()
        assert (sent[-1] == SEND_EOF) is (side.side is Side.SERVER)
        assert side.close_sent == Close(1011, "oops")
        side.receive_data(b"\xff" * 100)
        assert side.parser_exc is None
        assert side.events_received() == []
        side.fail(1002)
        assert side.data_to_send() == []
        side.receive_eof()
        assert isinstance(side.close_exc, ConnectionClosedError)


def test_fail_with_1006_sends_nothing() -> None:
    client, server = pair()
    client.fail(1006)
    assert client.data_to_send() == []
    server.fail(1006)
    assert server.data_to_send() == [SEND_EOF]
    with pytest.raises(ProtocolError):
        pair()[0].fail(1005)


def test_eof_without_a_close_frame_is_an_error() -> None:
    client, _ = pair()
    client.receive_eof()
    assert client.data_to_send() == [SEND_EOF]
    assert client.state is State.CLOSED
    assert isinstance(client.close_exc, ConnectionClosedError)
    assert isinstance(client.close_exc.__cause__, EOFError)
    client.receive_eof()
    assert client.data_to_send() == []
    with pytest.raises(EOFError):
        client.receive_data(b"x")
    client.fail(1000)
    with pytest.raises(InvalidState, match="connection is closed"):
        client.send_text(b"")


def test_protocol_without_a_handshake_is_open_at_once() -> None:
    protocol = Protocol(Side.CLIENT)
    protocol.receive_data(frame(TEXT, "a"))
    assert protocol.events_received() == [Frame(Opcode.TEXT, b"a")]
    with pytest.raises(TypeError):
        Protocol(Side.CLIENT, State.OPEN)  # type: ignore[call-arg]


def test_older_classes_take_arguments_by_position() -> None:
    with pytest.warns(DeprecationWarning, match=r"client\.ClientProtocol"):
        from fullduplex.client import ClientConnection
    with pytest.warns(DeprecationWarning, match=r"server\.ServerProtocol"):
        from fullduplex.server import ServerConnection
    with pytest.warns(DeprecationWarning, match=r"protocol\.Protocol"):
        from fullduplex.connection import Connection
    client = ClientConnection(URI, "https://example.com")
    server = ServerConnection(["https://example.com"])
    pair(client, server)
    assert server.origin == "https://example.com"
    assert ClientConnection(wsuri=URI).uri is URI
    assert Connection(Side.SERVER, State.CONNECTING).state is State.CONNECTING


def test_debug_log_tells_frames_states_and_heads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "fullduplex"):
        client, server = pair()
        client.send_text(b"hi")
        pass_on(client, server)
    texts = [record.getMessage() for record in caplog.records]
    assert "> GET /chat?room=1 HTTP/1.1" in texts
    assert "< HTTP/1.1 101 Switching Protocols" in texts
    assert "= connection is OPEN" in texts
    assert "> TEXT 'hi' [2 bytes]" in texts
    assert "< TEXT 'hi' [2 bytes]" in texts


def test_first_state_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "fullduplex"):
        ServerProtocol()
        Protocol(Side.CLIENT)
    assert [record.getMessage() for record in caplog.records] == [
        "= connection is CONNECTING",
        "= connection is OPEN",
    ]


def test_info_log_tells_how_a_request_was_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answered(server: ServerProtocol, status: int | None, data: bytes) -> None:
        server.receive_data(data)
        events = server.events_received()
        if events:
            assert isinstance(events[0], Request)
            response = server.accept(events[0])
            if status is not None:
                response = server.reject(status, "")
            server.send_response(response)

    client = ClientProtocol(URI)
    client.send_request(client.connect())
    [request] = client.data_to_send()
    with caplog.at_level(logging.INFO, "fullduplex"):
        answered(ServerProtocol(), None, request)
        answered(ServerProtocol(), 200, request)
        answered(ServerProtocol(), 401, request)
        answered(ServerProtocol(), None, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answered(ServerProtocol(), None, b"GET / HTTP/1.1\r\nA: " + b"a" * 9000)
    assert [record.getMessage() for record in caplog.records] == [
        "connection open",
        "HTTP response sent (200 OK)",
        "connection rejected (401 Unauthorized)",
        "connection rejected (426 Upgrade Required)",
        "connection rejected (431 Request Header Fields Too Large)",
    ]


def test_events_are_of_three_kinds() -> None:
    assert set(Event.__args__) == {Request, Response, Frame}


# Generators


def drive(
    steps: Generator[None, None, Any], reader: StreamReader, *pieces: bytes
) -> Any:
    """Feed a generator piece by piece, and then the end; return its result."""
    waiting = list(pieces)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value
        if waiting:
            reader.feed_data(waiting.pop(0))
        else:
            reader.feed_eof()


def read_one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def test_request_parse_reads_through_generators() -> None:
    reader = StreamReader()
    data = b"GET /x HTTP/1.1\r\nA: b\r\n\r\nrest"
    request = drive(Request.parse(reader.read_line), reader, *read_one_by_one(data))
    assert request.path == "/x"
    assert request.headers["A"] == "b"
    assert drive(reader.read_exact(4), reader, b"rest") == b"rest"


def test_response_parse_reads_bodies_of_all_kinds() -> None:
    for head, body, rest in (
        (b"Content-Length: 3\r\n", b"abc", b""),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b""),
        (b"", b"abc", b""),
    ):
        reader = StreamReader()
        parse = Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof)
        data = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body + rest
        response = drive(parse, reader, data)
        assert (response.status_code, response.body) == (200, b"abc")


def test_response_parse_of_a_proxy_reads_no_body() -> None:
    reader = StreamReader()
    parse = Response.parse(
        reader.read_line, reader.read_exact, reader.read_to_eof, proxy=True
    )
    data = b"HTTP/1.0 403 No\r\nContent-Length: 9\r\n\r\nabc"
    response = drive(parse, reader, data)
    assert (response.status_code, response.body) == (403, b"")
    assert bytes(reader.buffer) == b"abc"


def test_generator_parsers_when_input_is_wrong_raise_what_tells_why() -> None:
    reader = StreamReader()
    with pytest.raises(EOFError):
        drive(Request.parse(reader.read_line), reader, b"GET / HT")
    reader = StreamReader()
    with pytest.raises(RequestLineTooLong):
        drive(Request.parse(reader.read_line), reader, b"a" * 9000)
    reader = StreamReader()
    with pytest.raises(ValueError, match="ends without CR"):
        drive(Request.parse(reader.read_line), reader, b"GET / HTTP/1.1\n")
    reader = StreamReader()
    parse = Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof)
    with pytest.raises(InvalidHandshake, match="MAX_BODY_SIZE"):
        drive(parse, reader, b"HTTP/1.1 200 OK\r\n\r\n", bytes(MAX_BODY_SIZE + 1))


def test_frame_parse_reads_through_generators() -> None:
    reader = StreamReader()
    data = frame(TEXT, "hi", mask=MASK)
    parsed = drive(
        Frame.parse(reader.read_exact, mask=True), reader, *read_one_by_one(data)
    )
    assert parsed == Frame(Opcode.TEXT, b"hi")


def test_stream_reader_keeps_limits_and_its_end() -> None:
    reader = StreamReader()
    reader.feed_data(b"ab\ncd")
    assert drive(reader.read_line(3), reader) == b"ab\n"
    assert drive(reader.at_eof(), reader) is False
    with pytest.raises(RuntimeError):
        drive(reader.read_line(2), reader)
    with pytest.raises(KeyError):
        drive(reader.read_line(2, KeyError), reader)
    with pytest.raises(ValueError, match="n is -1"):
        drive(reader.read_exact(-1), reader)
    reader.discard()
    reader.feed_data(b"xyz")
    with pytest.raises(KeyError):
        drive(reader.read_to_eof(2, KeyError), reader)
    assert drive(reader.read_to_eof(3), reader) == b"xyz"
    assert drive(reader.at_eof(), reader) is True
    for end in (reader.feed_eof, lambda: reader.feed_data(b"")):
        with pytest.raises(EOFError):
            end()
    with pytest.raises(EOFError, match="expected 1"):
        drive(reader.read_exact(1), reader)
