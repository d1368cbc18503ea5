"""Names for the types that appear in public signatures."""

from __future__ import annotations

import http
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NewType, TypeAlias

Data: TypeAlias = str | bytes
"""A received message: :class:`str` for a text message, :class:`bytes` for binary."""

BytesLike: TypeAlias = bytes | bytearray | memoryview
"""Binary data to send; a :class:`memoryview` need not be contiguous."""

if TYPE_CHECKING:
    from typing_extensions import Buffer

    DataLike: TypeAlias = str | Buffer
else:
    DataLike = str | bytes | bytearray | memoryview
"""One message to send: text, or an object that exports a buffer of bytes."""

LoggerLike: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]
"""Types that are accepted as ``logger``."""

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""The path of a Unix socket."""

StatusLike: TypeAlias = http.HTTPStatus | int
"""An HTTP status code, as a number or as a member of :class:`http.HTTPStatus`."""

Origin = NewType("Origin", str)
"""The value of an ``Origin`` header (RFC 6454, 7)."""

Subprotocol = NewType("Subprotocol", str)
"""One item of a ``Sec-WebSocket-Protocol`` header (RFC 6455, 11.3.4)."""

ExtensionName = NewType("ExtensionName", str)
"""The name of an extension (RFC 6455, 9.1)."""

ExtensionParameter: TypeAlias = tuple[str, str | None]
"""A parameter of an extension; the value is None when it has no ``=``."""

ExtensionHeader: TypeAlias = tuple[ExtensionName, Sequence[ExtensionParameter]]
"""One item of a ``Sec-WebSocket-Extensions`` header: a name and its parameters."""

ConnectionOption = NewType("ConnectionOption", str)
"""One item of a ``Connection`` header (RFC 9110, 7.6.1)."""

UpgradeProtocol = NewType("UpgradeProtocol", str)
"""One item of an ``Upgrade`` header (RFC 9110, 7.8)."""
