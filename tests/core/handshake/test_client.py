"""The client's opening handshake: what it sends, and what it accepts."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.errors import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidUpgrade,
    NegotiationError,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from fullduplex.core.extensions.base import ClientExtensionFactory
from fullduplex.core.extensions.deflate import PerMessageDeflate
from fullduplex.core.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from fullduplex.core.frames.frame import Extension
from fullduplex.core.handshake.client import ClientHandshake
from fullduplex.core.handshake.errors import InvalidStatus, InvalidStatusCode
from fullduplex.core.handshake.keys import accept_key, generate_key
from fullduplex.core.http.headers import Headers
from fullduplex.core.typing import ExtensionName, ExtensionParameter
from fullduplex.core.uri import WebSocketURI, parse_uri

# RFC 6455, 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HEAD = "HTTP/1.1 101 Switching Protocols\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
ANSWER = HEAD + UPGRADE + f"Sec-WebSocket-Accept: {ACCEPT}\r\n"


def sample_nonce(size: int) -> bytes:
    assert size == 16
    return b"the sample nonce"


def make(uri: str = "ws://example.com/chat", **kwargs: Any) -> ClientHandshake:
    return ClientHandshake(parse_uri(uri), random=sample_nonce, **kwargs)


def sent(uri: str = "ws://example.com/chat", **kwargs: Any) -> Headers:
    handshake = make(uri, **kwargs)
    handshake.request_bytes()
    return handshake.request.headers


def receive(answer: str, **kwargs: Any) -> ClientHandshake:
    handshake = make(**kwargs)
    handshake.request_bytes()
    assert handshake.data_received(answer.encode())
    return handshake


class Marker(Extension):
    name = ExtensionName("x-marker")

    def __init__(self, params: Sequence[ExtensionParameter] = ()) -> None:
        self.params = list(params)


class MarkerFactory(ClientExtensionFactory):
    name = ExtensionName("x-marker")

    def __init__(self, wanted: str | None = None) -> None:
        self.wanted = wanted

    def get_request_params(self) -> list[ExtensionParameter]:
        return [("op", self.wanted)]

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        if list(params) != [("op", self.wanted)]:
            raise NegotiationError("not mine")
        return Marker(params)


# -- Keys ----------------------------------------------------------------------


def test_accept_key_is_that_of_the_rfc() -> None:
    assert accept_key(KEY) == ACCEPT


def test_keys_are_16_bytes_and_differ() -> None:
    keys = {generate_key() for _ in range(20)}
    assert len(keys) == 20
    assert all(len(base64.b64decode(key)) == 16 for key in keys)


# -- Request -------------------------------------------------------------------


def test_request_has_everything_in_the_usual_order() -> None:
    handshake = make(
        "wss://user:pa%20ss@example.com:8443/chat?room=1",
        origin="https://example.com",
        extensions=[ClientPerMessageDeflateFactory(), MarkerFactory("1")],
        subprotocols=["chat", "superchat"],
        extra_headers=[("X-One", "1"), ("X-One", "2")],
        user_agent="tester",
    )
    assert (
        handshake.request_bytes()
        == (
            "GET /chat?room=1 HTTP/1.1\r\n"
            "Host: example.com:8443\r\n"
            f"Authorization: Basic {base64.b64encode(b'user:pa ss').decode()}\r\n"
            "Origin: https://example.com\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Extensions: "
            "permessage-deflate; client_max_window_bits, x-marker; op=1\r\n"
            "Sec-WebSocket-Protocol: chat, superchat\r\n"
            "X-One: 1\r\n"
            "X-One: 2\r\n"
            "User-Agent: tester\r\n"
            "\r\n"
        ).encode()
    )


@pytest.mark.parametrize("empty", [None, [], ()])
def test_nothing_to_offer_sends_no_header(empty: Any) -> None:
    headers = sent(extensions=empty, subprotocols=empty, extra_headers=empty)
    assert list(headers) == [
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "user-agent",
    ]


def test_default_user_agent_names_us() -> None:
    assert re.fullmatch(r"Python/3\.\d+ fullduplex/\S+", sent()["User-Agent"])


@pytest.mark.parametrize("user_agent", [None, ""])
def test_user_agent_can_be_left_out(user_agent: str | None) -> None:
    assert "User-Agent" not in sent(user_agent=user_agent)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("ws://example.com/", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("wss://example.com:443/", "example.com"),
        ("wss://example.com:80/", "example.com:80"),
        ("ws://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_host_leaves_out_the_default_port(uri: str, host: str) -> None:
    assert sent(uri)["Host"] == host


@pytest.mark.parametrize("name", ["Host", "Authorization", "Origin", "User-Agent"])
def test_a_header_of_the_caller_replaces_ours(name: str) -> None:
    headers = sent(
        "ws://u:p@example.com/",
        origin="https://a",
        extra_headers={name.lower(): "theirs"},
    )
    assert headers.get_all(name) == ["theirs"]
    assert len(headers) == 8


class OnlyKeys:
    def keys(self) -> list[str]:
        return ["X-A"]

    def __getitem__(self, name: str) -> str:
        return "1"


@pytest.mark.parametrize(
    "extra_headers",
    [
        {"X-A": "1"},
        [("X-A", "1")],
        Headers({"X-A": "1"}),
        OnlyKeys(),
        iter([("X-A", "1")]),
    ],
    ids=["mapping", "pairs", "Headers", "keys", "iterator"],
)
def test_extra_headers_come_in_every_form(extra_headers: Any) -> None:
    assert sent(extra_headers=extra_headers)["X-A"] == "1"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("Upgrade", "handshake"),
        ("connection", "handshake"),
        ("Sec-WebSocket-Key", "handshake"),
        ("Sec-WebSocket-Version", "handshake"),
        ("Sec-WebSocket-Accept", "servers"),
        ("Sec-WebSocket-Extensions", "extensions or compression"),
        ("SEC-WEBSOCKET-PROTOCOL", "subprotocols"),
    ],
)
def test_headers_of_the_handshake_are_refused(name: str, instead: str) -> None:
    with pytest.raises(ValueError, match=rf"(?i)extra_headers has {name}.*{instead}"):
        make(extra_headers={name: "x"})


@pytest.mark.parametrize("name", ["Host", "Authorization", "Origin", "User-Agent"])
def test_two_of_a_header_that_is_there_once_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"2 {name} headers"):
        make(extra_headers=[(name, "a"), (name.lower(), "b")])


@pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "\u20ac"])
@pytest.mark.parametrize(
    "argument",
    [
        lambda bad: {"origin": bad},
        lambda bad: {"user_agent": bad},
        lambda bad: {"extra_headers": {"X-A": bad}},
        lambda bad: {"extra_headers": [("Host", bad)]},
    ],
    ids=["origin", "user_agent", "extra_headers", "Host"],
)
def test_values_that_cannot_be_sent_are_refused(
    argument: Callable[[str], dict[str, Any]], bad: str
) -> None:
    with pytest.raises(InvalidHeaderValue):
        make(**argument(bad))


@pytest.mark.parametrize("name", ["", "X A", "X\r\nY", "X:", "\u00e9"])
def test_names_that_cannot_be_sent_are_refused(name: str) -> None:
    with pytest.raises(InvalidHeader):
        make(extra_headers={name: "x"})


@pytest.mark.parametrize("path", ["/\r\nX-Evil: 1", "/a b", "/\x00", "/\u00e9"])
def test_a_path_that_cannot_be_sent_is_refused(path: str) -> None:
    uri = WebSocketURI(False, "example.com", 80, path, "")
    with pytest.raises(ValueError, match="path"):
        ClientHandshake(uri)


@pytest.mark.parametrize(
    ("subprotocols", "error"),
    [
        ("chat", TypeError),
        ({"chat"}, TypeError),
        (["a b"], ValueError),
        ([""], ValueError),
        (["a\r\nb"], ValueError),
        ([None], ValueError),
    ],
)
def test_bad_subprotocols_are_refused(
    subprotocols: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="subprotocols"):
        make(subprotocols=subprotocols)


@pytest.mark.parametrize("extensions", [["permessage-deflate"], [object()], "x"])
def test_bad_extensions_are_refused(extensions: Any) -> None:
    with pytest.raises(TypeError, match="extensions has"):
        make(extensions=extensions)


def test_an_extension_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="token"):
        make(extensions=[MarkerFactory("a\r\nb")])


def test_request_can_be_edited_until_it_is_serialized() -> None:
    handshake = make()
    handshake.request.headers["X-Late"] = "1"
    del handshake.request.headers["Sec-WebSocket-Key"]
    key = base64.b64encode(b"another 16 bytes").decode()
    handshake.request.headers["Sec-WebSocket-Key"] = key
    data = handshake.request_bytes()
    assert b"\r\nX-Late: 1\r\n" in data
    answer = HEAD + UPGRADE + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    assert handshake.data_received(answer.encode())


def test_a_request_without_key_is_not_sent() -> None:
    handshake = make()
    del handshake.request.headers["Sec-WebSocket-Key"]
    with pytest.raises(InvalidHeader, match="missing Sec-WebSocket-Key"):
        handshake.request_bytes()


# -- Response that is accepted -------------------------------------------------


@pytest.mark.parametrize(
    "upgrade",
    [
        UPGRADE,
        "upgrade: WebSocket\r\nCONNECTION: upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: UPGRADE\r\n",
        UPGRADE + "Content-Length: 12\r\n",
    ],
)
def test_a_right_answer_opens_the_connection(upgrade: str) -> None:
    handshake = receive(HEAD + upgrade + f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n")
    assert handshake.response is not None
    assert handshake.response.status_code == 101
    assert handshake.extensions == []
    assert handshake.subprotocol is None
    assert handshake.leftover == b""


def test_interim_responses_are_skipped() -> None:
    early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert receive(early * 2 + ANSWER + "\r\n").subprotocol is None


def test_bytes_behind_the_response_are_kept() -> None:
    handshake = make()
    assert handshake.leftover == b""
    assert handshake.data_received((ANSWER + "\r\n").encode() + b"\x81\x01a")
    assert handshake.leftover == b"\x81\x01a"
    assert handshake.data_received(b"\x81\x01b")
    assert handshake.leftover == b"\x81\x01a\x81\x01b"
    handshake.eof_received()


@given(st.lists(st.integers(0, len(ANSWER) + 6), max_size=8))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    data = (ANSWER + "\r\n").encode() + b"\x81\x02hi"
    handshake = make()
    edges = [0, *sorted(cuts), len(data)]
    opened = False
    for start, stop in itertools.pairwise(edges):
        opened = handshake.data_received(data[start:stop])
        assert opened == (stop >= len(ANSWER) + 2)
    assert opened
    assert handshake.leftover == b"\x81\x02hi"


def test_extensions_are_applied_in_the_order_of_the_server() -> None:
    handshake = receive(
        ANSWER + "Sec-WebSocket-Extensions: x-marker; op=2\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        extensions=[
            ClientPerMessageDeflateFactory(),
            MarkerFactory("1"),
            MarkerFactory("2"),
        ],
    )
    marker, deflate = handshake.extensions
    assert isinstance(marker, Marker)
    assert marker.params == [("op", "2")]
    assert isinstance(deflate, PerMessageDeflate)


@pytest.mark.parametrize(
    ("offered", "header", "chosen"),
    [
        (["chat", "other"], "Sec-WebSocket-Protocol: other\r\n", "other"),
        (["chat"], "", None),
        (None, "", None),
    ],
)
def test_the_server_chooses_the_subprotocol(
    offered: list[str] | None, header: str, chosen: str | None
) -> None:
    handshake = receive(ANSWER + header + "\r\n", subprotocols=offered)
    assert handshake.subprotocol == chosen


def test_steps_can_be_replaced() -> None:
    seen: list[Any] = []

    def process_extensions(headers: Headers, available: Any) -> list[Extension]:
        seen.append((headers["X-A"], available))
        return [Marker()]

    def process_subprotocol(headers: Headers, available: Any) -> str | None:
        seen.append((headers["X-A"], available))
        return "mine"

    handshake = receive(
        ANSWER + "X-A: 1\r\nSec-WebSocket-Protocol: theirs\r\n\r\n",
        subprotocols=["chat"],
        process_extensions=process_extensions,
        process_subprotocol=process_subprotocol,
    )
    assert [type(extension) for extension in handshake.extensions] == [Marker]
    assert handshake.subprotocol == "mine"
    assert seen == [("1", None), ("1", ["chat"])]


# -- Response that is refused --------------------------------------------------

ACCEPTED = f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
LONG = "x" * 8192

REFUSED: list[tuple[str, str, type[Exception], type[Exception] | None]] = [
    ("garbage", "SSH-2.0-OpenSSH_9.6\r\n", InvalidMessage, ValueError),
    ("HTTP/1.0", "HTTP/1.0 101 Switching\r\n\r\n", InvalidMessage, ValueError),
    ("no reason part", "HTTP/1.1 101\r\n\r\n", InvalidMessage, ValueError),
    ("LF only", "HTTP/1.1 101 X\n\n", InvalidMessage, ValueError),
    ("space before colon", HEAD + "A : b\r\n\r\n", InvalidMessage, ValueError),
    ("long status line", "HTTP/1.1 101 " + LONG, StatusLineTooLong, None),
    ("long header", HEAD + "A: " + LONG, InvalidMessage, HeaderLineTooLong),
    ("many headers", HEAD + "A: b\r\n" * 129, InvalidMessage, TooManyHeaders),
    (
        "many extensions",
        ANSWER + "Sec-WebSocket-Extensions: " + "a," * 129 + "\r\n\r\n",
        InvalidHeaderValue,
        None,
    ),
    (
        "no Connection",
        HEAD + "Upgrade: websocket\r\n" + ACCEPTED + "\r\n",
        InvalidUpgrade,
        None,
    ),
    (
        "other Connection",
        HEAD + "Upgrade: websocket\r\nConnection: close\r\n" + ACCEPTED + "\r\n",
        InvalidUpgrade,
        None,
    ),
    (
        "no Upgrade",
        HEAD + "Connection: Upgrade\r\n" + ACCEPTED + "\r\n",
        InvalidUpgrade,
        None,
    ),
    (
        "other Upgrade",
        HEAD + "Connection: Upgrade\r\nUpgrade: h2c\r\n" + ACCEPTED + "\r\n",
        InvalidUpgrade,
        None,
    ),
    (
        "two upgrades",
        HEAD + UPGRADE + "Upgrade: h2c\r\n" + ACCEPTED + "\r\n",
        InvalidUpgrade,
        None,
    ),
    ("no accept", HEAD + UPGRADE + "\r\n", InvalidHeader, None),
    ("two accepts", ANSWER + ACCEPTED + "\r\n", InvalidHeader, None),
    (
        "wrong accept",
        HEAD + UPGRADE + f"Sec-WebSocket-Accept: {KEY}\r\n\r\n",
        InvalidHeaderValue,
        None,
    ),
    (
        "malformed extension",
        ANSWER + "Sec-WebSocket-Extensions: a;;b\r\n\r\n",
        InvalidHeaderFormat,
        None,
    ),
    (
        "malformed subprotocol",
        ANSWER + "Sec-WebSocket-Protocol: a/b\r\n\r\n",
        InvalidHeaderFormat,
        None,
    ),
    (
        "extension, none offered",
        ANSWER + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        NegotiationError,
        None,
    ),
    (
        "subprotocol, none offered",
        ANSWER + "Sec-WebSocket-Protocol: chat\r\n\r\n",
        NegotiationError,
        None,
    ),
]


@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_a_wrong_answer_is_refused(
    answer: str, error: type[Exception], cause: type[Exception] | None
) -> None:
    handshake = make()
    with pytest.raises(error) as caught:
        handshake.data_received(answer.encode())
    assert isinstance(caught.value, InvalidHandshake)
    if cause is not None:
        assert isinstance(caught.value.__cause__, cause)
    assert handshake.extensions == []
    # And it stays refused.
    with pytest.raises(error):
        handshake.data_received(b"")


OFFERS: dict[str, Any] = {
    "extensions": [ClientPerMessageDeflateFactory(), MarkerFactory("1")],
    "subprotocols": ["chat", "other"],
}


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("Extensions: x-unknown", NegotiationError),
        ("Extensions: permessage-deflate, permessage-deflate", NegotiationError),
        ("Extensions: permessage-deflate; mystery", NegotiationError),
        ("Extensions: x-marker; op=2", NegotiationError),
        ("Protocol: unknown", NegotiationError),
        ("Protocol: Chat", NegotiationError),
        ("Protocol: chat, other", InvalidHeader),
    ],
)
def test_an_answer_beyond_the_offer_is_refused(
    header: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        receive(ANSWER + f"Sec-WebSocket-{header}\r\n\r\n", **OFFERS)


def test_messages_tell_what_came_and_what_was_allowed() -> None:
    with pytest.raises(NegotiationError) as caught:
        receive(ANSWER + "Sec-WebSocket-Protocol: unknown\r\n\r\n", **OFFERS)
    assert str(caught.value) == (
        "server chose subprotocol 'unknown'; offered: chat, other"
    )


def test_messages_cut_what_came() -> None:
    with pytest.raises(InvalidHeaderValue) as caught:
        receive(HEAD + UPGRADE + f"Sec-WebSocket-Accept: {'x' * 1000}\r\n\r\n")
    assert len(str(caught.value)) < 200


# -- Refusal of the server -----------------------------------------------------


def test_a_refusal_brings_the_whole_response() -> None:
    handshake = make()
    head = "HTTP/1.1 401 Unauthorized\r\nX-Why: token\r\nContent-Length: 4\r\n\r\n"
    assert not handshake.data_received(head.encode() + b"no")
    with pytest.raises(InvalidStatus, match="HTTP 401") as caught:
        handshake.data_received(b"pe, and more")
    exc = caught.value
    assert isinstance(exc, InvalidStatusCode)
    assert exc.status_code == 401
    assert exc.headers["X-Why"] == "token"
    assert exc.response.body == b"nope"
    assert handshake.response is exc.response
    assert handshake.leftover == b""


ODD_BODIES: list[tuple[str, bytes, type[Exception]]] = [
    ("Content-Length: 1048577", bytes(2**20 + 1), SecurityError),
    ("Content-Length: +1", b"why", ValueError),
    ("Content-Length: 9", b"why", EOFError),
    ("Transfer-Encoding: gzip", b"why", ValueError),
    ("Transfer-Encoding: gzip, chunked", b"3\r\nwhy\r\n0\r\n\r\n", ValueError),
    ("Transfer-Encoding: chunked", b"3\r\nwhy\r\n", EOFError),
]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("status", [200, 403, 503, 999])
@pytest.mark.parametrize(("line", "body", "cause"), ODD_BODIES)
def test_a_refusal_counts_whatever_its_body_is(
    version: str, status: int, line: str, body: bytes, cause: type[Exception]
) -> None:
    handshake = make()
    head = f"HTTP/{version} {status} X\r\nRetry-After: 3\r\n{line}\r\n\r\n"
    with pytest.raises(InvalidStatus) as caught:
        assert not handshake.data_received(head.encode())
        assert handshake.refused
        handshake.data_received(body)
        handshake.eof_received()
    response = caught.value.response
    assert response.status_code == status
    assert response.headers["Retry-After"] == "3"
    assert response.body == (b"why" if b"why" in body else bytes(2**20))
    assert isinstance(caught.value.__cause__, cause)


def test_a_refusal_may_be_cut() -> None:
    handshake = make()
    assert not handshake.data_received(b"HTTP/1.0 403 Forbidden\r\n\r\nwh")
    exc = handshake.cut(TimeoutError("late"))
    assert isinstance(exc, InvalidStatus)
    assert exc.response.body == b"wh"
    assert isinstance(exc.__cause__, TimeoutError)
    assert handshake.response is exc.response


def test_a_redirect_is_known_from_its_head() -> None:
    handshake = make()
    head = b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 9\r\n\r\n"
    assert not handshake.data_received(head[:-1])
    with pytest.raises(InvalidStatus) as caught:
        handshake.data_received(head[-1:])
    assert caught.value.response.headers["Location"] == "/x"


def test_a_refusal_may_end_with_the_connection() -> None:
    handshake = make()
    assert not handshake.data_received(b"HTTP/1.1 403 Forbidden\r\n\r\nwhy")
    with pytest.raises(InvalidStatus) as caught:
        handshake.eof_received()
    assert caught.value.response.body == b"why"


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 10", ANSWER.encode()])
def test_an_answer_that_ends_too_early_is_refused(data: bytes) -> None:
    handshake = make()
    assert not handshake.data_received(data)
    with pytest.raises(InvalidMessage) as caught:
        handshake.eof_received()
    assert isinstance(caught.value.__cause__, EOFError)
