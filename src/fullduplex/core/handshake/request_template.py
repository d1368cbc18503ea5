"""A client's request that lacks only its key: checked once, sent many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..extensions.base import ClientExtensionFactory, check_factories
from ..http.grammar import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    validate_subprotocols,
)
from ..http.headers import Headers, HeadersLike
from ..http.messages import USER_AGENT, Request
from ..uri import WebSocketURI

# A request has one of each; what the caller gives takes the place of ours.
REPLACED: Final = ("Host", "Authorization", "Origin", "User-Agent")

# Headers of the handshake itself, and the parameters to use instead.
RESERVED: Final[Mapping[str, str]] = {
    "upgrade": "the handshake sends it",
    "connection": "the handshake sends it",
    "sec-websocket-key": "the handshake sends it",
    "sec-websocket-version": "the handshake sends it",
    "sec-websocket-accept": "only servers send it",
    "sec-websocket-extensions": "use extensions or compression",
    "sec-websocket-protocol": "use subprotocols",
}

# No value holds a line end, and nobody else may set this header: it is there once.
KEY: Final = b"\r\nSec-WebSocket-Key: "


class RequestTemplate:
    """
    Parts that all requests of a client to one URI have in common.

    Args:
        uri: as for `ClientHandshake`, as are all others.

    Raises:
        TypeError, ValueError, InvalidHeader: as `ClientHandshake`.
    """

    __slots__ = ("_end", "_start")

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent: str | None = USER_AGENT,
    ) -> None:
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        check_extensions(extensions)
        headers = build_headers(
            uri,
            origin=origin,
            extensions=extensions,
            subprotocols=subprotocols,
            extra_headers=extra_headers,
            user_agent=user_agent,
        )
        data = Request(uri.resource_name, headers).serialize()
        start, _, self._end = data.partition(KEY)
        self._start = start + KEY

    def with_key(self, key: str) -> bytes:
        """Return the whole request."""
        return b"%b%b%b" % (self._start, key.encode(), self._end)


def check_extensions(extensions: Sequence[ClientExtensionFactory] | None) -> None:
    """Refuse a list with other things than factories."""
    check_factories(extensions, "client", "get_request_params")


def build_headers(
    uri: WebSocketURI,
    *,
    origin: str | None,
    extensions: Sequence[ClientExtensionFactory] | None,
    subprotocols: Sequence[str] | None,
    extra_headers: HeadersLike | None,
    user_agent: str | None,
) -> Headers:
    """Make the headers of the request, with an empty key."""
    ours: dict[str, str | None] = {
        "Host": build_host(uri.host, uri.port, uri.secure),
        "Authorization": (
            build_authorization_basic(*uri.user_info) if uri.user_info else None
        ),
        "Origin": origin,
        "User-Agent": user_agent or None,
    }
    extra = None if extra_headers is None else check_extra_headers(extra_headers)
    if extra:
        for name in REPLACED:
            if name in extra:
                ours[name] = extra[name]
                del extra[name]

    headers = Headers()
    for name in ("Host", "Authorization", "Origin"):
        value = ours[name]
        if value is not None:
            headers[name] = value
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = ""
    headers["Sec-WebSocket-Version"] = "13"
    if extensions:
        offers = [(item.name, item.get_request_params()) for item in extensions]
        headers["Sec-WebSocket-Extensions"] = build_extension(offers)
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = build_subprotocol(subprotocols)
    if extra:
        headers.update(extra)
    user_agent = ours["User-Agent"]
    if user_agent is not None:
        headers["User-Agent"] = user_agent
    return headers


def check_extra_headers(extra_headers: HeadersLike) -> Headers:
    """Copy the caller's headers, unless the handshake can't do with them."""
    extra = Headers(extra_headers)
    for name in extra:
        if name in RESERVED:
            raise ValueError(f"extra_headers has {name}; {RESERVED[name]}")
    for name in REPLACED:
        count = len(extra.get_all(name))
        if count > 1:
            raise ValueError(f"extra_headers has {count} {name} headers, expected one")
    return extra
