"""Requests that are answered without a face: bytes in, results out."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest

from fullduplex.core.connection.base import BaseConnection
from fullduplex.core.endpoint.endpoint import Endpoint
from fullduplex.core.endpoint.not_open import NOT_OPEN
from fullduplex.core.endpoint.options import Options
from fullduplex.core.http.messages import Request
from fullduplex.core.server.base import BaseServer
from fullduplex.core.server.config import ServerSettings
from fullduplex.core.server.connection import BaseServerConnection
from fullduplex.core.server.limits import ConnectionLimits
from fullduplex.core.server.responder import HandshakeResponder, HandshakeResult

REQUEST = (
    b"GET /path HTTP/1.1\r\n"
    b"Host: localhost\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


class Face(BaseConnection):
    """The part of a connection that a face adds, without a socket."""

    def __init__(self, options: Options, logger: Any) -> None:
        self._options = options
        self._base_logger = logger
        self._session: Endpoint = NOT_OPEN
        self.subprotocol: str | None = None

    def _tcp_ended(self) -> bool:
        return False

    def _address(self, name: str) -> Any:
        return None


class Connection(BaseServerConnection, Face, face=True):
    """A server's connection without a socket."""


class Server(BaseServer[Connection]):
    """A server without a socket."""

    def _refusal_counted(self) -> None:
        pass


def accepted(**keywords: Any) -> tuple[Connection, HandshakeResponder]:
    """Return a connection that has sent nothing yet, and its responder."""
    limits = ConnectionLimits(max_connections=keywords.pop("max_connections", None))
    settings = ServerSettings(keywords, logging.getLogger("fullduplex.server"))
    server = Server(settings, limits)
    connection = Connection(lambda ws: None, server, **keywords)
    server._register(connection, None, 0.0)
    responder = connection._responder
    assert responder is not None
    return connection, responder


def result_of(value: Any) -> HandshakeResult:
    assert isinstance(value, HandshakeResult)
    return value


def test_request_in_pieces_opens_with_its_last_byte() -> None:
    connection, responder = accepted()

    assert responder.feed(connection, REQUEST[:-1], 0.0, 0.0) is None
    result = result_of(responder.feed(connection, REQUEST[-1:] + b"rest", 0.0, 0.0))

    assert result.then == "open"
    assert result.data.startswith(b"HTTP/1.1 101 ")
    assert result.leftover == b"rest"
    assert connection.path == "/path"


def test_connection_has_no_responder_once_it_is_answered() -> None:
    connection, responder = accepted()
    responder.feed(connection, REQUEST, 0.0, 0.0)

    assert connection._responder is None


def test_responder_does_not_hold_its_connection() -> None:
    connection, responder = accepted()
    responder.feed(connection, REQUEST[:10], 0.0, 0.0)

    assert connection not in gc.get_referents(responder)


def test_malformed_request_is_answered_400_and_drained() -> None:
    connection, responder = accepted()
    data = b"GET / HTTP/1.1\r\nno colon\r\n\r\n"

    result = result_of(responder.feed(connection, data, 0.0, 0.0))

    assert result.then == "linger"
    assert result.data.startswith(b"HTTP/1.1 400 ")
    assert connection._responder is None


def test_client_above_a_limit_is_told_when_to_come_again() -> None:
    connection, responder = accepted(max_connections=1)
    connection._server._register(other := accepted()[0], None, 0.0)
    other._server = connection._server

    result = result_of(
        HandshakeResponder(responder.settings, connection._server).feed(
            other, REQUEST, 0.0, 0.0
        )
    )

    assert result.then == "close"
    assert result.data.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in result.data


def test_hook_is_asked_by_the_caller_and_its_value_decides() -> None:
    connection, responder = accepted(process_request=lambda ws, request: "a value")

    request = responder.feed(connection, REQUEST, 0.0, 0.0)
    assert isinstance(request, Request)
    steps = responder.respond(connection, request, 0.0)
    assert next(steps) == "a value"
    with pytest.raises(StopIteration) as stop:
        steps.send((204, [], b""))

    result = result_of(stop.value.value)
    assert result.then == "close"
    assert result.data.startswith(b"HTTP/1.1 204 ")
