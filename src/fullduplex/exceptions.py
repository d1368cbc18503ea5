"""Every exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from .core.handshake.errors import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidStatusCode,
    ProxyError,
)
from .imports import deprecate, reexport

if TYPE_CHECKING:
    from .core.errors import WebSocketProtocolError as WebSocketProtocolError
    from .core.handshake.errors import AbortHandshake as AbortHandshake
    from .core.handshake.errors import RedirectHandshake as RedirectHandshake

__all__ = [
    "WebSocketException",
    "ConnectionClosed",
    "ConnectionClosedOK",
    "ConnectionClosedError",
    "InvalidURI",
    "InvalidProxy",
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
    "NegotiationError",
    "DuplicateParameter",
    "InvalidParameterName",
    "InvalidParameterValue",
    "ProxyError",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "ConcurrencyError",
    "ProtocolError",
    "PayloadTooBig",
    "TooManyFragments",
]

reexport(globals())
deprecate(
    globals(),
    {
        "AbortHandshake": (
            ".core.handshake.errors",
            "a Response that process_request returns",
        ),
        "RedirectHandshake": (
            ".core.handshake.errors",
            "nothing instead; connect follows redirects",
        ),
        "WebSocketProtocolError": (
            ".core.errors",
            "fullduplex.exceptions.ProtocolError",
        ),
    },
)
