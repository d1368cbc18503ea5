"""The same calls and bytes, in any order and cuts, to ours and to websockets."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..kit.bytes import frame

theirs = pytest.importorskip("websockets", minversion="17.0")
pytestmark = pytest.mark.interop

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

ascii_text = st.text("abc", max_size=130).map(str.encode)
control = st.binary(max_size=125)
codes = st.sampled_from([1000, 1001, 1002, 1005, 1006, 1011, 1015, 2000, 3000, 5000])


@st.composite
def frames(draw: Callable[[Any], Any], mask: bytes | None) -> bytes:
    """A frame, mostly a good one."""
    wrong_mask = draw(st.integers(0, 15)) == 0
    key = (None if mask else b"\1\2\3\4") if wrong_mask else mask
    kind = draw(st.sampled_from([1, 2, 8, 9, 10, 0, 1, 2, 3, 11]))
    if kind == 8:
        payload = b""
        if draw(st.booleans()):
            payload = draw(codes).to_bytes(2, "big") + draw(ascii_text)[:123]
        return frame(8, payload, mask=key)
    if kind in (9, 10):
        return frame(kind, draw(control), mask=key)
    rsv = draw(st.sampled_from([0] * 20 + [1, 4]))
    return frame(kind, draw(ascii_text), mask=key, rsv=rsv)


def steps(mask: bytes | None) -> Any:
    """Calls, as the name of a method and its arguments."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("receive_data"), frames(mask)),
            st.tuples(st.just("receive_data"), st.binary(max_size=12)),
            st.tuples(st.just("receive_data"), frames(mask)),
            st.tuples(st.just("send_text"), ascii_text, st.booleans()),
            st.tuples(st.just("send_binary"), ascii_text),
            st.tuples(st.just("send_continuation"), ascii_text, st.booleans()),
            st.tuples(st.just("send_ping"), st.binary(max_size=130)),
            st.tuples(st.just("send_pong"), control),
            st.tuples(st.just("send_close"), codes),
            st.tuples(st.just("send_close")),
            st.tuples(st.just("fail"), st.sampled_from([1000, 1006, 1011])),
            st.tuples(st.just("receive_eof")),
        ),
        max_size=12,
    )


def unmasked(data: bytes, mask: bool) -> Any:
    """Take output apart: masks are random, so only what is under them counts."""
    found = []
    while data:
        size = data[1] & 0x7F
        start = 2
        if size == 126:
            size = int.from_bytes(data[2:4], "big")
            start = 4
        assert bool(data[1] & 0x80) is mask
        key = data[start : start + 4] if mask else bytes(4)
        start += 4 if mask else 0
        payload = bytes(
            byte ^ key[i % 4] for i, byte in enumerate(data[start : start + size])
        )
        # Reasons are in each library's own words.
        own_words = data[0] == 0x88 and payload[:2] in (b"\x03\xea", b"\x03\xef")
        found.append((data[0], payload[:2] if own_words else payload))
        data = data[start + size :]
    return found


def call(protocol: Any, name: str, *arguments: Any) -> str:
    try:
        getattr(protocol, name)(*arguments)
    except Exception as exc:
        return type(exc).__name__
    return "done"


def state_of(protocol: Any, mask: bool) -> dict[str, Any]:
    output = protocol.data_to_send()
    ends = output.count(b"")
    assert not ends or output[-1] == b""
    events = [
        (int(event.opcode), bytes(event.data), event.fin)
        for event in protocol.events_received()
    ]
    seen = {
        "state": protocol.state.name,
        "output": unmasked(b"".join(output), mask),
        "ends": ends,
        "events": events,
        "close_expected": protocol.close_expected(),
        "close_code": protocol.close_code,
        "failed": type(protocol.parser_exc).__name__,
    }
    if protocol.state.name == "CLOSED":
        seen["exc"] = type(protocol.close_exc).__name__
        seen["order"] = protocol.close_exc.rcvd_then_sent
    return seen


def both(path: str) -> tuple[Any, Any]:
    module, _, name = path.partition(":")
    return tuple(
        getattr(importlib.import_module(f"{root}.{module}"), name)
        for root in ("fullduplex", "websockets")
    )


def compare(ours: Any, other: Any, calls: list[Any], *, mask: bool) -> None:
    fragmented = False
    for name, *arguments in calls:
        if name == "fail" and (ours.state.name == "CLOSED" or other.eof_sent):
            return  # theirs fails an assertion of its own
        if name.startswith("send_") and ours.eof_sent:
            return  # theirs writes behind the end
        assert call(ours, name, *arguments) == call(other, name, *arguments), name
        one, two = state_of(ours, mask), state_of(other, mask)
        fragmented = any(not fin for _, _, fin in one["events"]) or fragmented
        if one != two and is_intended(one, two, fragmented):
            return
        assert one == two, (name, arguments)


def is_intended(one: Any, two: Any, fragmented: bool) -> bool:
    """
    Whether two results differ as docs/differences.md says.

    What must be refused is refused when it arrives; and a close frame inside a
    fragmented message is echoed.
    """
    closed_inside = any(opcode == 8 for opcode, _, _ in one["events"]) and fragmented
    early = one["failed"] in ("UnicodeDecodeError", "ProtocolError") and two[
        "failed"
    ] in ("NoneType", "EOFError")
    # Of two faults in one frame, either may be found first.
    two_faults = one["failed"] != two["failed"] and "NoneType" not in (
        one["failed"],
        two["failed"],
    )
    return closed_inside or early or two_faults


@settings(max_examples=200, deadline=None)
@given(steps(None))
def test_client_does_what_websockets_does(calls: list[Any]) -> None:
    one, two = both("protocol:Protocol")
    side, other_side = both("protocol:Side")
    compare(one(side.CLIENT), two(other_side.CLIENT), calls, mask=True)


@settings(max_examples=200, deadline=None)
@given(steps(b"\1\2\3\4"))
def test_server_does_what_websockets_does(calls: list[Any]) -> None:
    one, two = both("protocol:Protocol")
    side, other_side = both("protocol:Side")
    compare(one(side.SERVER), two(other_side.SERVER), calls, mask=False)


ANSWERS = [
    HANDSHAKE,
    HANDSHAKE.replace(b"GET", b"POST"),
    HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    HANDSHAKE.replace(b"13", b"12"),
    HANDSHAKE.replace(b"Upgrade: websocket\r\n", b""),
    HANDSHAKE.replace(b"Connection", b"Konnektion"),
    HANDSHAKE.replace(b"==", b"=!"),
    HANDSHAKE.replace(b"Host: h", b"Host h"),
    HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil\r\n\r\n"),
    HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
    HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
    HANDSHAKE.replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * 200),
    HANDSHAKE.replace(b"GET /", b"GET /" + b"x" * 10_000),
    HANDSHAKE.replace(b"Host: h", b"Host: " + b"x" * 10_000),
    b"\x00\x01\x02\r\n\r\n",
    HANDSHAKE[:60],
]
# Ours tells which versions it speaks, with the status that RFC 6455, 4.4 has.
STATUS = {3: 426}
# Ours tells clients that speak HTTP what is wrong (RFC 9112, 3 and 5.1).
TOLD = dict.fromkeys((7, 10), (b"HTTP/1.1 400 ", b""))


@pytest.mark.parametrize("number", range(len(ANSWERS)))
@pytest.mark.parametrize("cut", [1, 17, 20_000])
def test_server_handshake_does_what_that_of_websockets_does(
    number: int, cut: int
) -> None:
    data = ANSWERS[number]
    results = []
    for cls in both("server:ServerProtocol"):
        server = cls(origins=[None, "https://good"], subprotocols=None)
        for start in range(0, len(data), cut):
            server.receive_data(data[start : start + cut])
        events = server.events_received()
        status = None
        if events:
            response = server.accept(events[0])
            status = response.status_code
            server.send_response(response)
        output = server.data_to_send()
        server.receive_eof()
        results.append(
            {
                "status": status,
                "start": output[0][:13] if output else None,
                "ends": output.count(b""),
                "why": type(server.handshake_exc).__name__,
                "state": server.state.name,
                "close_code": server.close_code,
            }
        )
    if number in TOLD:
        # Theirs ends without a word.
        assert (results[0].pop("start"), results[1].pop("start")) == TOLD[number]
    if number in STATUS:
        for result in results:
            assert result["status"] in (400, STATUS[number])
            del result["status"], result["start"]
    assert results[0] == results[1]


RESPONSES = [
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
    b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n Folded: x\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 101 Switching",
    b"",
]


@pytest.mark.parametrize("number", range(len(RESPONSES)))
def test_client_handshake_does_what_that_of_websockets_does(number: int) -> None:
    results = []
    [parse, other] = both("uri:parse_uri")
    for cls, parse_uri in zip(
        both("client:ClientProtocol"), (parse, other), strict=True
    ):
        client = cls(parse_uri("ws://h/"))
        client.send_request(client.connect())
        [request] = client.data_to_send()
        if RESPONSES[number]:
            client.receive_data(RESPONSES[number])
        before = client.state.name, client.close_expected()
        client.receive_eof()
        results.append(
            (
                request.partition(b"Sec-WebSocket-Key")[0],
                before,
                # Both names of this one work with ours.
                type(client.handshake_exc).__name__.replace("StatusCode", "Status"),
                type(client.handshake_exc.__cause__).__name__,
                [
                    (event.status_code, bytes(event.body))
                    for event in client.events_received()
                ],
                client.data_to_send(),
                client.state.name,
            )
        )
    assert results[0] == results[1]
