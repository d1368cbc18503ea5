"""One message for many connections: the frame is built and compressed once.

    connection                                   frame
    ------------------------------------------   ---------------------------------
    server, no extension, or permessage-deflate  one for all
    alone and `compress` is False
    server, permessage-deflate alone, and each   one for all with the same window
    message starts with an empty window          and the same settings
    any other                                    its own: a client masks (RFC 6455,
                                                 5.1), a window that is kept makes
                                                 bytes depend on earlier messages

Rule: this module knows no transport.  The driver tells how much waits in it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from ..buffers import byte_view
from ..errors import ConcurrencyError
from ..extensions.deflate import PerMessageDeflate
from ..frames.close import State
from ..wire.wire import FrameWriter
from .endpoint import Endpoint
from .frame_protocol import BINARY, FIN, RSV1, TEXT, FrameProtocol, Side
from .message_sender import message_payload

C = TypeVar("C")

OnSlow = Literal["buffer", "drop", "close"]
# A frame to write; or its own frame was queued; or what becomes of a connection
# that does not get the message.
Delivery = bytes | Literal["queued", "skipped", "dropped", "closed"]

# Multiple of `write_limit` that may wait for a member under "buffer".
BUFFER_FACTOR = 16


@dataclass(slots=True)
class BroadcastResult(Generic[C]):
    """
    Outcome of a message given to `broadcast`.

    Attributes:
        sent: number of connections that it was sent to.  It is on its way; whether
            it arrived is not known.
        dropped: connections that were too slow and did not get it.
        closed: connections that were too slow and are being closed with 1013.
        skipped: connections that are not open, or in the middle of sending a
            fragmented message, or whose extension failed.
    """

    sent: int = 0
    dropped: list[C] = field(default_factory=list)
    closed: list[C] = field(default_factory=list)
    skipped: list[C] = field(default_factory=list)


def check_policy(on_slow: object, max_buffer: object) -> None:
    """
    Refuse what `broadcast` cannot do.

    Raises:
        TypeError: `max_buffer` is neither None nor an int.
        ValueError: `on_slow` is no policy, or `max_buffer` is negative.
    """
    if on_slow not in ("buffer", "drop", "close"):
        raise ValueError(
            f"on_slow is {on_slow!r}; it must be 'buffer', 'drop' or 'close'"
        )
    if max_buffer is None:
        return
    if isinstance(max_buffer, bool) or not isinstance(max_buffer, int):
        raise TypeError(
            "max_buffer must be an int (bytes) or None, "
            f"not {type(max_buffer).__name__}"
        )
    if max_buffer < 0:
        raise ValueError(f"max_buffer is {max_buffer}; it must be at least 0 bytes")


class SharedMessage:
    """
    A message and the frames that were built of it so far.

    Args:
        message: `str` or bytes-like; copied.
        text: True sends bytes as text, False a `str` as binary, None goes by type.
        compress: as for `PerMessageDeflate.compress_payload`.

    Raises:
        TypeError: `message` is of another type.
        UnicodeEncodeError: a `str` has lone surrogates.
    """

    __slots__ = ("_compress", "_deflated", "data", "is_text", "plain")

    def __init__(
        self, message: Any, text: bool | None, compress: bool | None = None
    ) -> None:
        data = message if isinstance(message, str) else byte_view(message)
        parts = None if data is None else message_payload(data, text)
        if parts is None:
            raise TypeError(
                f"message must be str or bytes-like, not {type(message).__name__}"
            )
        payload, self.is_text = parts
        #: the payload, not compressed
        self.data = str.encode(payload) if isinstance(payload, str) else bytes(payload)
        #: the frame for servers without an extension
        self.plain = self._frame(0, self.data)
        self._compress = compress
        self._deflated: dict[Hashable, bytes] = {}

    def _frame(self, rsv: int, payload: bytes) -> bytes:
        writer = FrameWriter(mask=False)
        writer.add(FIN | rsv | (TEXT if self.is_text else BINARY), payload)
        return writer.take()

    def frame_for(self, protocol: FrameProtocol) -> bytes | None:
        """
        Return the frame that `protocol` shares with others.

        None if its frame is its own; `send_to` then compresses and queues it.
        """
        if protocol.side is Side.CLIENT or protocol.debug:
            return None
        extensions = protocol.extensions
        if not extensions:
            return self.plain
        deflate = extensions[0]
        if len(extensions) > 1 or type(deflate) is not PerMessageDeflate:
            return None
        if self._compress is False:
            return self.plain
        if not deflate.local_no_context_takeover:
            return None
        left_open = self._compress is None
        if left_open and len(self.data) < deflate.policy.min_size:
            return self.plain
        key = (
            deflate.local_max_window_bits,
            *sorted(deflate.compress_settings.items()),
        )
        frame = self._deflated.get(key)
        if frame is None:
            payload = deflate.deflate(self.data, fin=True)
            if left_open and len(payload) >= len(self.data):
                frame = self.plain
            else:
                frame = self._frame(RSV1, payload)
            self._deflated[key] = frame
        return frame

    def send_to(self, protocol: FrameProtocol) -> None:
        """Queue a frame of its own, in one step with compressing it."""
        protocol.send_message(self.data, self.is_text, self._compress)


def deliver(
    session: Endpoint,
    shared: SharedMessage,
    waiting: int,
    on_slow: OnSlow,
    max_buffer: int | None,
) -> Delivery:
    """
    Decide what a connection gets, in whatever state it is.

    Args:
        waiting: bytes that wait in the driver, apart from the session's writer.
        on_slow: as for `broadcast`, as is `max_buffer`.

    Returns:
        The frame to write; ``"queued"`` if its own frame is in the session's writer;
        ``"closed"`` for a connection to close with 1013.

    Raises:
        ConcurrencyError: it is sending a fragmented message.
        RuntimeError: an extension failed.
    """
    if session.protocol.state is not State.OPEN:
        return "skipped"
    if session.fragmenting:
        raise ConcurrencyError("a fragmented message is being sent")
    if max_buffer is None:
        max_buffer = session.options.write_high
        if on_slow == "buffer":
            max_buffer *= BUFFER_FACTOR
    if session.writer.pending + waiting > max_buffer:
        return "dropped" if on_slow == "drop" else "closed"
    try:
        frame = shared.frame_for(session.protocol)
        if frame is None:
            shared.send_to(session.protocol)
    except Exception as exc:
        raise RuntimeError("failed to encode the message") from exc
    return "queued" if frame is None else frame
