"""WebSocket client and server, friendly and fast.

    from fullduplex import connect

    async with connect("wss://example.com/") as ws:
        await ws.send("hello")
        async for message in ws:
            ...

Names are loaded when they are first used, so that importing the package costs
little and loads no event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import version as __version__

if TYPE_CHECKING:
    from .as_websockets import install_as_websockets
    from .asyncio.broadcast import BroadcastResult, broadcast
    from .asyncio.client import (
        ClientConnection,
        WebSocketClientProtocol,
        connect,
        unix_connect,
    )
    from .asyncio.router import Router, route, unix_route
    from .asyncio.server import (
        BasicAuthWebSocketServerProtocol,
        Server,
        ServerConnection,
        WebSocketServer,
        WebSocketServerProtocol,
        basic_auth,
        basic_auth_protocol_factory,
        serve,
        unix_serve,
    )
    from .asyncio.session import Session as Session
    from .core.client.backoff import Backoff
    from .core.client.outbox import OutboxFull
    from .core.client.reconnect import StateChange
    from .core.diagnostics.diagnosis import Diagnosis
    from .core.diagnostics.stats import Rtt, Stats
    from .core.endpoint.keepalive import Verdict
    from .core.errors import (
        ConcurrencyError,
        DuplicateParameter,
        HeaderLineTooLong,
        InvalidHandshake,
        InvalidHeader,
        InvalidHeaderFormat,
        InvalidHeaderValue,
        InvalidMessage,
        InvalidMethod,
        InvalidOrigin,
        InvalidParameterName,
        InvalidParameterValue,
        InvalidProtocol,
        InvalidProxy,
        InvalidState,
        InvalidUpgrade,
        InvalidURI,
        NegotiationError,
        PayloadTooBig,
        ProtocolError,
        RequestLineTooLong,
        SecurityError,
        StatusLineTooLong,
        TooManyFragments,
        TooManyHeaders,
        WebSocketException,
    )
    from .core.frames.close import (
        Close,
        CloseCode,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        State,
    )
    from .core.frames.frame import Frame
    from .core.frames.opcode import Opcode
    from .core.handshake.errors import (
        InvalidProxyMessage,
        InvalidProxyStatus,
        InvalidStatus,
        InvalidStatusCode,
        ProxyError,
    )
    from .core.http.headers import Headers, HeadersLike, MultipleValuesError
    from .core.http.messages import Request, Response
    from .core.implementation import IMPLEMENTATION
    from .core.typing import (
        Data,
        ExtensionHeader,
        ExtensionName,
        ExtensionParameter,
        LoggerLike,
        Origin,
        StatusLike,
        Subprotocol,
    )
    from .sansio.client import ClientProtocol
    from .sansio.protocol import Protocol, Side
    from .sansio.server import ServerProtocol

# Where each public name lives; `core` modules are not for import by programs.
_HOMES = {
    "as_websockets": "install_as_websockets",
    "asyncio.client": "ClientConnection WebSocketClientProtocol connect unix_connect",
    "asyncio.broadcast": "BroadcastResult broadcast",
    "asyncio.router": "Router route unix_route",
    "asyncio.server": (
        "BasicAuthWebSocketServerProtocol Server ServerConnection WebSocketServer "
        "WebSocketServerProtocol basic_auth basic_auth_protocol_factory serve "
        "unix_serve"
    ),
    "core.implementation": "IMPLEMENTATION",
    "asyncio.session": "Session",
    "core.client.backoff": "Backoff",
    "core.client.outbox": "OutboxFull",
    "core.frames.close": (
        "Close CloseCode ConnectionClosed ConnectionClosedError ConnectionClosedOK "
        "State"
    ),
    "core.http.headers": "Headers HeadersLike MultipleValuesError",
    "core.diagnostics.diagnosis": "Diagnosis",
    "core.errors": (
        "ConcurrencyError DuplicateParameter HeaderLineTooLong InvalidHandshake "
        "InvalidHeader InvalidHeaderFormat InvalidHeaderValue InvalidMessage "
        "InvalidMethod InvalidOrigin InvalidParameterName InvalidParameterValue "
        "InvalidProtocol InvalidProxy InvalidState InvalidURI InvalidUpgrade "
        "NegotiationError PayloadTooBig ProtocolError RequestLineTooLong "
        "SecurityError StatusLineTooLong TooManyFragments TooManyHeaders "
        "WebSocketException"
    ),
    "core.handshake.errors": (
        "InvalidProxyMessage InvalidProxyStatus InvalidStatus InvalidStatusCode "
        "ProxyError"
    ),
    "core.frames.frame": "Frame",
    "core.frames.opcode": "Opcode",
    "core.http.messages": "Request Response",
    "core.endpoint.keepalive": "Verdict",
    "core.client.reconnect": "StateChange",
    "core.diagnostics.stats": "Rtt Stats",
    "core.typing": (
        "Data ExtensionHeader ExtensionName ExtensionParameter LoggerLike Origin "
        "StatusLike Subprotocol"
    ),
    "sansio.client": "ClientProtocol",
    "sansio.protocol": "Protocol Side",
    "sansio.server": "ServerProtocol",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
# Submodules that `import fullduplex` makes reachable without importing them.
_MODULES = frozenset(
    {
        "as_websockets",
        "asyncio",
        "auth",
        "client",
        "connection",
        "datastructures",
        "exceptions",
        "extensions",
        "frames",
        "headers",
        "http",
        "http11",
        "imports",
        "legacy",
        "protocol",
        "proxy",
        "server",
        "streams",
        "typing",
        "uri",
        "utils",
        "version",
    }
)
# Names that warn: where they are, and what to use instead.
_DEPRECATED = {
    "AbortHandshake": (
        ".core.handshake.errors",
        "a Response that process_request returns",
    ),
    "RedirectHandshake": (".core.handshake.errors", "nothing instead"),
    "WebSocketCommonProtocol": (
        ".asyncio.connection:Connection",
        "fullduplex.asyncio.connection.Connection",
    ),
    "WebSocketProtocolError": (
        ".core.errors:ProtocolError",
        "fullduplex.ProtocolError",
    ),
    "WebSocketURI": (".core.uri", "fullduplex.uri.WebSocketURI"),
    "framing": (".legacy.framing:", "fullduplex.frames"),
    "handshake": (".legacy.handshake:", "fullduplex.protocol"),
    "parse_uri": (".core.uri", "fullduplex.uri.parse_uri"),
}

__all__ = [
    "ClientConnection",
    "WebSocketClientProtocol",
    "connect",
    "unix_connect",
    "Server",
    "ServerConnection",
    "WebSocketServer",
    "WebSocketServerProtocol",
    "BasicAuthWebSocketServerProtocol",
    "basic_auth",
    "basic_auth_protocol_factory",
    "serve",
    "unix_serve",
    "Router",
    "route",
    "unix_route",
    "BroadcastResult",
    "broadcast",
    "Backoff",
    "OutboxFull",
    "Session",
    "StateChange",
    "Protocol",
    "ClientProtocol",
    "ServerProtocol",
    "Side",
    "State",
    "Diagnosis",
    "Rtt",
    "Stats",
    "Verdict",
    "IMPLEMENTATION",
    "install_as_websockets",
    "Headers",
    "HeadersLike",
    "MultipleValuesError",
    "WebSocketException",
    "ConnectionClosed",
    "ConnectionClosedOK",
    "ConnectionClosedError",
    "InvalidURI",
    "InvalidHandshake",
    "SecurityError",
    "RequestLineTooLong",
    "StatusLineTooLong",
    "HeaderLineTooLong",
    "TooManyHeaders",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidProtocol",
    "InvalidStatus",
    "InvalidStatusCode",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidOrigin",
    "InvalidUpgrade",
    "InvalidProxy",
    "ProxyError",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "NegotiationError",
    "DuplicateParameter",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidState",
    "ConcurrencyError",
    "ProtocolError",
    "PayloadTooBig",
    "TooManyFragments",
    "Close",
    "CloseCode",
    "Frame",
    "Opcode",
    "Request",
    "Response",
    "Data",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "StatusLike",
    "Subprotocol",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is not None:
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _DEPRECATED:
        from .imports import find_deprecated

        return find_deprecated(globals(), name, *_DEPRECATED[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
