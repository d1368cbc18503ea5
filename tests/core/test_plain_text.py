"""Text that is checked is the text that is sent, also of a subclass of `str`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex.core.client.proxy.address import Proxy, parse_proxy
from fullduplex.core.client.proxy.http_tunnel import Tunnel
from fullduplex.core.errors import InvalidHeaderValue
from fullduplex.core.frames.close import Close
from fullduplex.core.frames.frame import prepare_ctrl, prepare_data
from fullduplex.core.handshake.client import ClientHandshake
from fullduplex.core.handshake.server import ServerHandshake
from fullduplex.core.http.grammar import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    build_www_authenticate_basic,
)
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response
from fullduplex.core.uri import WebSocketURI, parse_uri

BAD = "a\r\nX-Evil: 1"


class Evil(str):
    """Holds what it was made of, and says something else."""

    def _evil(self, *arguments: Any) -> Any:
        return BAD

    __format__ = __str__ = __repr__ = __add__ = __radd__ = __mod__ = _evil
    __getitem__ = lower = upper = strip = translate = removesuffix = replace = _evil

    def encode(self, *arguments: Any, **keywords: Any) -> bytes:
        return BAD.encode()

    def split(self, *arguments: Any, **keywords: Any) -> Any:
        return [BAD]

    def partition(self, separator: str) -> tuple[str, str, str]:
        return BAD, "", ""

    def isascii(self) -> bool:
        return True

    def __contains__(self, text: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        return 1


def asked(uri: WebSocketURI | None = None, **options: Any) -> bytes:
    return ClientHandshake(uri or parse_uri("ws://h/"), **options).request_bytes()


def address(**parts: Any) -> WebSocketURI:
    known: dict[str, Any] = {"secure": False, "host": "h", "port": 81, "path": "/p"}
    known |= {"query": "q", "username": "u", "password": "p"}
    return WebSocketURI(**{**known, **parts})


def through(**parts: Any) -> bytes:
    known: dict[str, Any] = {"scheme": "http", "host": "h", "port": 81}
    known |= {"username": "u", "password": "p"}
    return Tunnel(Proxy(**{**known, **parts}), Evil("h"), 80).request_bytes()


REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x-ext\r\n\r\n"
)


def answered(**options: Any) -> bytes:
    handshake = ServerHandshake(**options)
    request = handshake.data_received(REQUEST)
    assert request is not None
    data = handshake.accept_bytes(request, now_date="now")
    if isinstance(data, Response):
        data = handshake.response_bytes(data)
    return data + handshake.response_bytes(handshake.accept(request))


class Offer:
    name = Evil("x-ext")

    def get_request_params(self) -> Any:
        return [(Evil("p"), Evil("v"))]

    def process_request_params(self, params: Any, accepted: Any) -> Any:
        return [(Evil("p"), Evil("v"))], self


MADE: dict[str, Callable[[], bytes | str]] = {
    "address": lambda: asked(parse_uri(Evil("ws://h/p"))),
    "host": lambda: asked(address(host=Evil("h"))),
    "path": lambda: asked(address(path=Evil("/p"))),
    "query": lambda: asked(address(query=Evil("q"))),
    "origin": lambda: asked(origin=Evil("https://a")),
    "subprotocols": lambda: asked(subprotocols=[Evil("chat")]),
    "header": lambda: asked(extra_headers=[(Evil("X-A"), Evil("b"))]),
    "Host": lambda: asked(extra_headers={"Host": Evil("b")}),
    "user agent": lambda: asked(user_agent=Evil("b")),
    "extension": lambda: asked(extensions=[Offer()]),
    "proxy": lambda: Tunnel(parse_proxy(Evil("http://h")), "h", 80).request_bytes(),
    "host of a proxy": lambda: through(host=Evil("h")),
    "user of a proxy": lambda: through(username=Evil("u"), password=Evil("p")),
    "request": lambda: Request(
        Evil("/"), Headers(), Evil("GET"), Evil("HTTP/1.1")
    ).serialize(),
    "response": lambda: Response(200, Evil("OK"), Headers()).serialize(),
    "server": lambda: answered(server_header=Evil("s")),
    "server's subprotocols": lambda: answered(subprotocols=[Evil("chat")]),
    "chosen subprotocol": lambda: answered(select_subprotocol=lambda _: Evil("chat")),
    "own step": lambda: answered(process_subprotocol=lambda *_: Evil("other")),
    "server's extensions": lambda: answered(extensions=[Offer()]),
    "close reason": lambda: Close(1000, Evil("why")).serialize(),
    "message": lambda: bytes(prepare_data(Evil("text"))[1]),
    "ping": lambda: prepare_ctrl(Evil("text")),
    "realm": lambda: build_www_authenticate_basic(Evil("r")),
    "host and port": lambda: build_host(Evil("h"), 81, False),
    "header of extensions": lambda: build_extension(
        [(Evil("a"), [(Evil("b"), Evil("c"))])]  # type: ignore[list-item]
    ),
    "header of subprotocols": lambda: build_subprotocol([Evil("a"), Evil("b")]),
    "user": lambda: base64.b64decode(
        build_authorization_basic(Evil("u"), Evil("p"))[len("Basic ") :]
    ),
}


@pytest.mark.parametrize("what", MADE)
def test_text_that_says_two_things_is_sent_as_it_was_checked(what: str) -> None:
    made = MADE[what]()
    data = made if isinstance(made, bytes) else made.encode()
    assert b"Evil" not in data


@pytest.mark.parametrize("text", ["a\r\nb", "a\0", "a\nb"])
def test_text_that_hides_what_it_holds_is_refused(text: str) -> None:
    class Good(Evil):
        def _good(self, *arguments: Any) -> Any:
            return "good"

        __format__ = __str__ = _good

    with pytest.raises(InvalidHeaderValue):
        Headers()["X-A"] = Good(text)
    with pytest.raises(ValueError):
        Request(Good(f"/{text}"), Headers()).serialize()
    with pytest.raises(ValueError):
        Response(200, Good(text), Headers()).serialize()
    with pytest.raises(ValueError):
        build_subprotocol([Good(text)])


def test_headers_keep_plain_text() -> None:
    headers = Headers([(Evil("X-A"), Evil("b"))])
    [(name, value)] = headers.raw_items()
    assert type(name) is type(value) is str
    assert (name, value) == ("X-A", "b")
