"""The opening handshake that is kept as bytes until somebody looks."""

from __future__ import annotations

from fullduplex.core.connection.base import BaseConnection
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response


class Kept(BaseConnection):
    """A connection with a dictionary, as those of the faces have it."""


def test_request_and_response_when_kept_as_bytes_are_what_they_were() -> None:
    connection = Kept()
    request = Request(
        "/path?q", Headers([("Host", "a"), ("X-Two", "1"), ("x-two", "2")])
    )
    response = Response(101, "Switching Protocols", Headers([("Upgrade", "websocket")]))
    connection._request = request.serialize()
    connection._response = response.serialize()

    assert connection.request == request
    assert connection.response == response
    assert connection.request is connection.request
    assert connection.response is connection.response


def test_request_and_response_when_set_or_unknown_are_kept_as_objects() -> None:
    connection = Kept()
    connection.request = connection.response = None
    assert connection.request is None
    assert connection.response is None
    request = Request("/", Headers())

    connection.request = request

    assert connection.request is request


def test_request_when_larger_than_parsers_allow_is_what_it_was() -> None:
    connection = Kept()
    headers = Headers([("Cookie", "c" * 20_000)])
    headers.update((f"X-{number}", "") for number in range(200))
    request = Request("/" + "p" * 20_000, headers)

    connection._request = request.serialize()

    assert connection.request == request
