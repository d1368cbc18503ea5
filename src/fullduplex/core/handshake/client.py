"""The client's side of the opening handshake (RFC 6455, 4.1): bytes in and out.

    handshake = ClientHandshake(parse_uri("wss://example.com/"))
    send(handshake.request_bytes())
    while not handshake.data_received(receive()):
        pass
    # handshake.extensions, handshake.subprotocol, handshake.leftover

Nothing is sent that the caller could have spoiled: every argument is checked when
the handshake is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from ..datastructures import Headers, HeadersLike
from ..errors import (
    InvalidHandshake,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatusCode,
    StatusLineTooLong,
)
from ..extensions.base import ClientExtensionFactory, Extension
from ..headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    validate_subprotocols,
)
from ..http1 import USER_AGENT, Request, Response, ResponseParser
from ..uri import WebSocketURI
from .keys import accept_key, generate_key
from .negotiation import (
    check_upgrade,
    process_client_extensions,
    process_client_subprotocol,
    single,
)

__all__ = ["ClientHandshake"]

ClientExtensions = Callable[
    [Headers, Sequence[ClientExtensionFactory] | None], list[Extension]
]
ClientSubprotocol = Callable[[Headers, Sequence[str] | None], str | None]

# A request has one of each; what the caller gives takes the place of ours.
REPLACED: Final = ("Host", "Authorization", "Origin", "User-Agent")

# What the handshake depends on, and what to use instead.
RESERVED: Final[Mapping[str, str]] = {
    "upgrade": "the handshake sends it",
    "connection": "the handshake sends it",
    "sec-websocket-key": "the handshake sends it",
    "sec-websocket-version": "the handshake sends it",
    "sec-websocket-accept": "only servers send it",
    "sec-websocket-extensions": "use extensions or compression",
    "sec-websocket-protocol": "use subprotocols",
}


class ClientHandshake:
    """
    One opening handshake, as a client.

    Args:
        uri: where to connect to; its user name and password become a header.
        origin: value of the ``Origin`` header.
        extensions: extensions to offer, in the order of preference.
        subprotocols: subprotocols to offer, in the order of preference.
        extra_headers: further headers.  ``Host``, ``Authorization``, ``Origin`` and
            ``User-Agent`` replace those that would be sent otherwise.
        user_agent: value of ``User-Agent``; ``None`` or ``""`` for no such header.
        process_extensions: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_client_extensions`.
        process_subprotocol: replaces
            :func:`~fullduplex.core.handshake.negotiation.process_client_subprotocol`.
        random: gives that many bytes which nobody can predict.

    Raises:
        TypeError: ``extensions`` or ``subprotocols`` is no list of such things.
        ValueError: an argument can't be sent, or ``extra_headers`` has a header that
            only the handshake may set, or several where there is one.
        InvalidHeader: a header has a name or a value that can't be sent.
    """

    request: Request
    """The request.  It may be changed until :meth:`request_bytes` is called."""

    response: Response | None
    """The response, once it is complete, whatever it says."""

    extensions: list[Extension]
    """Extensions in use, in the order in which to encode frames."""

    subprotocol: str | None
    """Subprotocol in use."""

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: str | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[str] | None = None,
        extra_headers: HeadersLike | None = None,
        user_agent: str | None = USER_AGENT,
        process_extensions: ClientExtensions | None = None,
        process_subprotocol: ClientSubprotocol | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        check_extensions(extensions)
        self._available_extensions = extensions
        self._available_subprotocols = subprotocols
        self._process_extensions = process_extensions or process_client_extensions
        self._process_subprotocol = process_subprotocol or process_client_subprotocol
        self._parser = ResponseParser()
        self._complete = False
        self._key = generate_key(random)
        self.request = Request(
            uri.resource_name,
            build_headers(
                uri,
                self._key,
                origin=origin,
                extensions=extensions,
                subprotocols=subprotocols,
                extra_headers=extra_headers,
                user_agent=user_agent,
            ),
        )
        # What is wrong with the URI shows here rather than after connecting.
        self.request.request_line()
        self.response = None
        self.extensions = []
        self.subprotocol = None

    @property
    def leftover(self) -> bytes:
        """What arrived behind the response: the first bytes of frames."""
        return self._parser.leftover if self._complete else b""

    def request_bytes(self) -> bytes:
        """
        Serialize the request.

        Raises:
            ValueError: the request was changed into one that can't be sent.
            InvalidHeader: its key was removed or repeated.
        """
        self._key = single(self.request.headers, "Sec-WebSocket-Key")
        return self.request.serialize()

    def data_received(self, data: bytes) -> bool:
        """
        Take bytes from the server.

        Args:
            data: any portion of what the server sends, also behind the response.

        Returns:
            Whether the connection is open.

        Raises:
            InvalidMessage: this is not HTTP/1.1, or it exceeds a limit; the cause
                tells.
            StatusLineTooLong: the first line exceeds the limit.
            InvalidStatusCode: the server refused; its whole response is attached.
            InvalidHandshake: the server accepted in a way that it may not.
                After each of these, close TCP.
        """
        try:
            response = self._parser.feed(data)
        except (ValueError, InvalidHandshake) as exc:
            refuse_message(exc)
        if response is None:
            return False
        self.judge(response)
        return True

    def eof_received(self) -> None:
        """
        Tell that the server sends no more; this may end the body of a refusal.

        Raises:
            InvalidMessage: the response is not complete; caused by :exc:`EOFError`.
            InvalidHandshake: as :meth:`data_received`.
        """
        try:
            response = self._parser.feed_eof()
        except (EOFError, ValueError, InvalidHandshake) as exc:
            refuse_message(exc)
        self.judge(response)

    def judge(self, response: Response) -> None:
        """
        Check a response and apply what the server has chosen.

        Raises:
            InvalidStatusCode: the server refused.
            InvalidHandshake: it accepted in a way that it may not.
        """
        if self._complete:
            return
        self.response = response
        if response.status_code != 101:
            raise InvalidStatusCode(response)
        headers = response.headers
        check_upgrade(headers)
        accept = single(headers, "Sec-WebSocket-Accept")
        expected = accept_key(self._key)
        if accept != expected:
            raise InvalidHeaderValue(
                "Sec-WebSocket-Accept", f"{accept[:64]!r}, expected {expected!r}"
            )
        extensions = self._process_extensions(headers, self._available_extensions)
        self.subprotocol = self._process_subprotocol(
            headers, self._available_subprotocols
        )
        self.extensions = extensions
        self._complete = True


def refuse_message(exc: Exception) -> NoReturn:
    """Tell that the server's bytes are no response."""
    if isinstance(exc, StatusLineTooLong):
        raise exc
    raise InvalidMessage(f"did not receive a valid HTTP response: {exc}") from exc


def check_extensions(extensions: Sequence[ClientExtensionFactory] | None) -> None:
    """Refuse what is no list of factories."""
    for factory in () if extensions is None else extensions:
        # Factories written for another library's base class work as well.
        if not hasattr(factory, "name") or not hasattr(factory, "get_request_params"):
            raise TypeError(
                f"extensions has {factory!r}, expected client extension factories"
            )


def build_headers(
    uri: WebSocketURI,
    key: str,
    *,
    origin: str | None,
    extensions: Sequence[ClientExtensionFactory] | None,
    subprotocols: Sequence[str] | None,
    extra_headers: HeadersLike | None,
    user_agent: str | None,
) -> Headers:
    """Make the headers of the request; arguments as those of the handshake."""
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
    # These need no check.
    headers._append("Upgrade", "websocket")
    headers._append("Connection", "Upgrade")
    headers._append("Sec-WebSocket-Key", key)
    headers._append("Sec-WebSocket-Version", "13")
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
