"""The frame level, giving every frame that arrives rather than messages."""

from __future__ import annotations

from ..core.endpoint.frame_protocol import FIN, RSV1, TEXT, FrameProtocol, Side
from ..core.frames.frame import Frame
from ..core.frames.opcode import Opcode
from ..core.kernels.kernels import Utf8Validator
from ..core.typing import LoggerLike
from ..core.wire.wire import FrameReader, ReadBuffer

# A connection has its own, so it is small; longer input is parsed in steps, and
# large payloads are received straight into their object.
BUFFER = 16384


class FrameEvents(FrameProtocol):
    """
    One end of an open connection that keeps the frames it receives.

    Args:
        side: as for `FrameProtocol`; so are the others.
        max_size: bytes in a received message; None for no limit.
        max_fragment: bytes in a received frame; None for no limit.
        logger: where frames are logged at DEBUG.
    """

    __slots__ = ("_utf8", "frames")

    def __init__(
        self,
        side: Side,
        *,
        max_size: int | None,
        max_fragment: int | None,
        logger: LoggerLike,
    ) -> None:
        super().__init__(
            side,
            max_size=max_size,
            max_fragment=max_fragment,
            logger=logger,
            buffer=ReadBuffer(BUFFER),
        )
        #: frames received, in order, as the extensions have decoded them
        self.frames: list[Frame] = []
        self._utf8: Utf8Validator | None = None
        # Each frame is one event, so none is to be taken for a whole message.
        self.reader.deliver_messages = False

    def _control_received(self, opcode: int, payload: bytes) -> bool:
        """Take a control frame; as the base class, and keep it."""
        stop = super()._control_received(opcode, payload)
        self.frames.append(Frame(Opcode(opcode), payload))
        return stop

    def _data_received(self, reader: FrameReader, head: int, payload: bytes) -> None:
        fin = head & FIN != 0
        opcode = head & 0x0F
        if opcode:
            self._started = head
            # The reader has checked what travels as it is.
            decoded = head & RSV1 != 0 or (self._deflate is None and self.extensions)
            self._utf8 = Utf8Validator() if opcode == TEXT and decoded else None
        if self._deflate is not None:
            if self._started & RSV1:
                payload = self._inflate(
                    reader, self._deflate, payload, fin, opcode != 0
                )
        elif self.extensions:
            payload = self._decode(reader, head, payload)
        if self._utf8 is not None:
            good = self._utf8.feed(payload)
            if not good or (fin and not self._utf8.complete):
                raise UnicodeDecodeError(
                    "utf-8", b"", 0, 0, "invalid UTF-8 in a text message"
                )
        self.frames.append(Frame(Opcode(opcode), payload, fin))
