"""The `repr` of connections, from what is known of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fullduplex import State
from fullduplex.core.connection.representation import represent
from fullduplex.core.endpoint.frame_protocol import Side
from fullduplex.datastructures import Headers
from fullduplex.http11 import Request


class Connection(SimpleNamespace):
    """As much of a connection as is shown."""


def client(host: str | None, port: int | None, secure: bool, request: Any) -> str:
    return represent(
        Connection(
            side=Side.CLIENT,
            host=host,
            port=port,
            secure=secure,
            state=State.OPEN,
            _session=object(),
            _request=request,
        )
    )


def server(peer: Any, request: Any) -> str:
    return represent(
        Connection(
            side=Side.SERVER,
            remote_address=peer,
            state=State.CONNECTING,
            _session=object(),
            _request=request,
        )
    )


@pytest.mark.parametrize(
    ("host", "port", "secure", "uri"),
    [
        ("example.com", 80, False, "ws://example.com/a"),
        ("example.com", 443, True, "wss://example.com/a"),
        ("example.com", 443, False, "ws://example.com:443/a"),
        ("::1", 8765, False, "ws://[::1]:8765/a"),
        ("::1", 80, False, "ws://[::1]/a"),
    ],
)
def test_client_shows_its_uri(host: str, port: int, secure: bool, uri: str) -> None:
    request = b"GET /a?token=secret HTTP/1.1\r\n\r\n"

    assert client(host, port, secure, request) == f"<Connection {uri} OPEN>"


def test_client_without_an_address_shows_its_state() -> None:
    assert client(None, None, False, None) == "<Connection OPEN>"


@pytest.mark.parametrize(
    ("peer", "request_", "text"),
    [
        (None, None, "CONNECTING"),
        (("1.2.3.4", 5), None, "from 1.2.3.4:5 CONNECTING"),
        ("", Request("/", Headers()), "/ CONNECTING"),
        (("::1", 5, 0, 0), Request("/?a=b", Headers()), "/ from [::1]:5 CONNECTING"),
        (None, Request("/\n" + "b" * 99, Headers()), f"/\\n{'b' * 58}... CONNECTING"),
        (None, b"GET /\xe9 HTTP/1.1", "/\\xe9 CONNECTING"),
    ],
)
def test_server_shows_path_and_client(peer: Any, request_: Any, text: str) -> None:
    assert server(peer, request_) == f"<Connection {text}>"
