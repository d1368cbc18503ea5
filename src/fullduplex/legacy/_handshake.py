"""The steps of the opening handshake that concern keys, on headers."""

from __future__ import annotations

from ..core.errors import InvalidHeaderValue
from ..core.handshake.keys import accept_key, check_key, generate_key
from ..core.handshake.negotiation import check_upgrade, required_header
from ..core.http.headers import Headers


def build_request(headers: Headers) -> str:
    """Add what asks for a connection; returns the key."""
    key = generate_key()
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = key
    headers["Sec-WebSocket-Version"] = "13"
    return key


def check_request(headers: Headers) -> str:
    """
    Check that a request asks for a connection.

    Returns:
        The key, for `build_response`.

    Raises:
        InvalidHandshake: it doesn't.
    """
    check_upgrade(headers)
    key = required_header(headers, "Sec-WebSocket-Key")
    try:
        check_key(key)
    except ValueError as exc:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key) from exc
    version = required_header(headers, "Sec-WebSocket-Version")
    if version != "13":
        raise InvalidHeaderValue("Sec-WebSocket-Version", version)
    return key


def build_response(headers: Headers, key: str) -> None:
    """Add what grants a connection."""
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Accept"] = accept_key(key)


def check_response(headers: Headers, key: str) -> None:
    """
    Check that a response grants a connection.

    Args:
        key: result of `build_request`.

    Raises:
        InvalidHandshake: it doesn't.
    """
    check_upgrade(headers)
    accept = required_header(headers, "Sec-WebSocket-Accept")
    if accept != accept_key(key):
        raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
