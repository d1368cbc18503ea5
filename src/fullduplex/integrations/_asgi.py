"""WebSocket in the ASGI specification, without I/O.

    stage        what the application may send        what it receives
    ----------   ----------------------------------   ------------------------------
    CONNECTING   accept, close, http.response.start   connect, then nothing
    OPEN         send, close                          receive
    DENYING      http.response.body                   nothing
    DONE         nothing                              what is left, then disconnect

The names have ``websocket.`` in front.  The client may leave at any stage: then
`send` raises `ClientDisconnected`, an `OSError`, and `receive` gives disconnect.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from ..core.buffers import check_bytes
from ..core.endpoint.frame_protocol import FrameProtocol
from ..core.frames.close import CloseCode, shorten_reason
from ..core.http.headers import Headers
from ..core.http.messages import Request

Event = MutableMapping[str, Any]

SPEC_VERSION = "2.5"

CONNECT = "websocket.connect"
ACCEPT = "websocket.accept"
SEND = "websocket.send"
CLOSE = "websocket.close"
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"


class Stage(enum.Enum):
    """Progress of the application."""

    CONNECTING = enum.auto()
    OPEN = enum.auto()
    DENYING = enum.auto()
    DONE = enum.auto()


ALLOWED = {
    Stage.CONNECTING: (ACCEPT, CLOSE, START),
    Stage.OPEN: (SEND, CLOSE),
    Stage.DENYING: (BODY,),
    Stage.DONE: (),
}


def check_event(stage: Stage, kind: str) -> None:
    """
    Refuse what the application may not send now.

    Raises:
        RuntimeError: the text names what may be sent.
    """
    allowed = ALLOWED[stage]
    if kind in allowed:
        return
    if allowed:
        raise RuntimeError(
            f"application sent {kind!r}; expected {' or '.join(allowed)}"
        )
    raise RuntimeError(
        f"application sent {kind!r} after it had closed the connection or answered "
        "with a response"
    )


def scope_of(
    request: Request,
    *,
    secure: bool,
    asgi_version: str,
    root_path: str,
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    state: dict[str, Any],
) -> dict[str, Any]:
    """
    Describe a request to the application.

    Args:
        root_path: prefix of each path, such as the mount point of a proxy.
        state: state of the application's lifespan; copied.
    """
    raw_path, _, query = request.path.partition("?")
    offers = request.headers.get_all("Sec-WebSocket-Protocol")
    subprotocols = [name.strip() for offer in offers for name in offer.split(",")]
    return {
        "type": "websocket",
        "asgi": {"version": asgi_version, "spec_version": SPEC_VERSION},
        "http_version": "1.1",
        "scheme": "wss" if secure else "ws",
        "server": server,
        "client": client,
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": (root_path + raw_path).encode("ascii", "backslashreplace"),
        "query_string": query.encode("ascii"),
        "headers": [
            (name.lower().encode("ascii"), value.encode("iso-8859-1"))
            for name, value in request.headers.raw_items()
        ],
        "subprotocols": [name for name in subprotocols if name],
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}},
    }


def add_headers(headers: Headers, more: Iterable[Any]) -> None:
    """
    Add pairs of bytes, as ASGI has them.

    Raises:
        InvalidHeaderFormat, InvalidHeaderValue: one of them cannot be sent.
        TypeError: one of them is not bytes.
    """
    for name, value in more:
        pair = [bytes(check_bytes("header", part)) for part in (name, value)]
        headers[pair[0].decode("iso-8859-1")] = pair[1].decode("iso-8859-1")


def payload_of(message: Event) -> Any:
    """
    Return what to send.

    Raises:
        ValueError: there is neither text nor bytes.
    """
    data = message.get("text")
    if data is None:
        data = message.get("bytes")
        if data is None:
            raise ValueError("websocket.send has neither 'text' nor 'bytes'")
    return data


def close_arguments(message: Event) -> tuple[int | None, str]:
    """
    Return code and reason of the close frame to send.

    The reason may be of any length in ASGI; it is cut to what the frame can hold.
    1005 stands for a frame without a code (RFC 6455, 7.4.1).
    """
    code = message.get("code")
    reason = message.get("reason") or ""
    if code == CloseCode.NO_STATUS_RCVD:
        return None, ""
    code = CloseCode.NORMAL_CLOSURE if code is None else code
    return code, shorten_reason(reason)


def disconnect_event(protocol: FrameProtocol | None) -> dict[str, Any]:
    """
    Tell how the connection ended: by the close frame that came first.

    Args:
        protocol: None if there was no WebSocket connection.
    """
    close = None
    if protocol is not None:
        close = protocol.close_rcvd
        if close is None or protocol.close_rcvd_then_sent is False:
            close = protocol.close_sent
    return {
        "type": "websocket.disconnect",
        "code": int(CloseCode.ABNORMAL_CLOSURE if close is None else close.code),
        "reason": "" if close is None else close.reason,
    }


class Denial:
    """
    A response other than 101, from the application's events to bytes.

    Its length is told if the whole body comes in one event, or if the application
    tells it; otherwise the body travels in chunks (RFC 9112, 7.1).

    Args:
        message: the event that starts it.
        default_headers: pairs that go before the application's.

    Raises:
        RuntimeError: the status is not in 200 to 599.
        InvalidHeaderFormat, InvalidHeaderValue: a header cannot be sent.
    """

    def __init__(self, message: Event, default_headers: Iterable[Any]) -> None:
        status = message["status"]
        if not 200 <= status <= 599:
            raise RuntimeError(f"status is {status}; allowed are 200 to 599")
        self.status = int(status)
        self._headers = Headers()
        add_headers(self._headers, default_headers)
        add_headers(self._headers, message.get("headers") or ())
        #: whether a part of it was made
        self.begun = False
        self._chunked = False
        self._bodiless = status in (204, 304)

    def body(self, data: bytes, more: bool) -> bytes:
        """Return the next bytes to send; with the first ones goes the head."""
        head = b""
        if not self.begun:
            self.begun = True
            head = self._head(len(data), more)
        if self._bodiless:
            return head
        if not self._chunked:
            return head + data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return head + chunk + (b"" if more else b"0\r\n\r\n")

    def _head(self, size: int, more: bool) -> bytes:
        headers = self._headers
        if not self._bodiless and "Content-Length" not in headers:
            if not more:
                headers["Content-Length"] = str(size)
            elif "Transfer-Encoding" not in headers:
                headers["Transfer-Encoding"] = "chunked"
        # An application that names the coding still sends plain bytes.
        self._chunked = "Transfer-Encoding" in headers
        if "Connection" not in headers:
            headers["Connection"] = "close"
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        return f"HTTP/1.1 {self.status} {phrase}\r\n".encode() + headers.serialize()
