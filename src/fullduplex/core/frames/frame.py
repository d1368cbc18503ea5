"""Frames as objects (RFC 6455, 5), with the readable way to parse and build them.

Connections use :mod:`fullduplex.core.wire.wire`, which goes from bytes to messages
without making frames; extensions, logs and the Sans-I/O layer use this module.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..buffers import byte_view
from ..errors import PayloadTooBig, ProtocolError
from ..typing import BytesLike, DataLike

if TYPE_CHECKING:
    pass
from ..typing import ExtensionName
from .describe import _describe, _hexadecimal
from .opcode import (
    CTRL_OPCODES,
    DATA_OPCODES,
    Opcode,
)

"""Number of characters of a payload that ``str(frame)`` shows."""

MAX_CONTROL_SIZE = 125  # bytes; RFC 6455, 5.5


@dataclass
class Frame:
    """
    A frame (RFC 6455, 5.2), without its mask.

    Args:
        opcode: payload of the frame.
        data: the payload.
        fin: true in the last frame of a message.
        rsv1: reserved for extensions, like the next two.
        rsv2: see ``rsv1``.
        rsv3: see ``rsv1``.
    """

    opcode: Opcode
    data: BytesLike
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    def __str__(self) -> str:
        """
        Describe the frame for logs.

        Payloads are cut to ``MAX_LOG_SIZE`` characters; control characters are
        escaped.  The cost doesn't depend on the size of the payload.
        """
        return self.describe()

    def describe(self, *, compressed: int | None = None) -> str:
        """
        Describe the frame for logs.

        Args:
            compressed: bytes that the payload had on the wire, if it was compressed.
        """
        if self.rsv1 and self.opcode in DATA_OPCODES:
            # RFC 7692, 6: as it travels; bytes of text would be read as text.
            view = memoryview(self.data)
            text, coding = _hexadecimal(view), "compressed"
        else:
            text, coding = _describe(self.opcode, self.data)
        size = memoryview(self.data).nbytes
        remarks = [coding, f"{size} byte{'' if size == 1 else 's'}"]
        if compressed is not None:
            remarks.append(f"compressed to {compressed}")
        if not self.fin:
            remarks.append("continued")
        words = [Opcode(self.opcode).name, text]
        words.append(f"[{', '.join(filter(None, remarks))}]")
        return " ".join(filter(None, words))

    @classmethod
    def parse(
        cls,
        read_exact: Callable[[int], Generator[None, None, BytesLike]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[Extension] | None = None,
    ) -> Generator[None, None, Frame]:
        """
        Parse a frame, in a generator that yields whenever it needs more bytes.

        Args:
            read_exact: makes a generator that returns that many bytes.
            mask: whether the frame must be masked, as when a server reads.
            max_size: bytes allowed in the payload, on the wire and decoded;
                control frames are exempt, they have a limit of their own.
            extensions: applied in reverse order.

        Raises:
            EOFError: by ``read_exact``, when the stream ends within the frame.
            PayloadTooBig: the payload is over ``max_size``; it was not read.
                Fail the connection with 1009.
            ProtocolError: the frame is malformed.  Fail the connection with 1002.
        """
        head1, head2 = yield from read_exact(2)
        fin = head1 & 0x80 != 0
        length = head2 & 0x7F
        try:
            opcode = Opcode(head1 & 0x0F)
        except ValueError as exc:
            raise ProtocolError(f"invalid opcode {head1 & 0x0F:#x}") from exc
        if (head2 & 0x80 != 0) != mask:
            raise ProtocolError(
                "frame is not masked; a client must mask"
                if mask
                else "frame is masked; a server must not mask"
            )
        if opcode in CTRL_OPCODES:
            # Before reading on: what follows would be lost otherwise.
            if not fin:
                raise ProtocolError(f"{opcode.name} frame is fragmented")
            if length > MAX_CONTROL_SIZE:
                raise ProtocolError(
                    f"{opcode.name} frame has more than {MAX_CONTROL_SIZE} bytes"
                )
        if length > MAX_CONTROL_SIZE:
            length = yield from _parse_long_length(read_exact, length)
        if opcode in CTRL_OPCODES:
            max_size = None
        if max_size is not None and length > max_size:
            raise PayloadTooBig(length, max_size)

        key = bytes((yield from read_exact(4))) if mask else b""
        data = yield from read_exact(length)
        if mask:
            data = _apply_mask(data, key)
        frame = cls(
            opcode,
            data,
            fin,
            head1 & 0x40 != 0,
            head1 & 0x20 != 0,
            head1 & 0x10 != 0,
        )
        for extension in reversed(extensions or ()):
            frame = extension.decode(frame, max_size=max_size)
        frame.check()
        return frame

    def serialize(
        self,
        *,
        mask: bool,
        extensions: Sequence[Extension] | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> bytes:
        """
        Encode the frame.

        Args:
            mask: whether to mask it, as clients must (RFC 6455, 5.1).
            extensions: applied in order.
            random: gives that many unpredictable bytes (5.3).

        Raises:
            ProtocolError: the frame is malformed.
        """
        self.check()
        frame = self
        for extension in extensions or ():
            frame = extension.encode(frame)

        data = frame.data
        length = memoryview(data).nbytes
        head1 = (
            (0x80 if frame.fin else 0)
            | (0x40 if frame.rsv1 else 0)
            | (0x20 if frame.rsv2 else 0)
            | (0x10 if frame.rsv3 else 0)
            | frame.opcode
        )
        head2 = 0x80 if mask else 0
        if length < 126:
            head = struct.pack("!BB", head1, head2 | length)
        elif length < 65536:
            head = struct.pack("!BBH", head1, head2 | 126, length)
        else:
            head = struct.pack("!BBQ", head1, head2 | 127, length)
        if not mask:
            return head + bytes(data)
        key = random(4)
        return head + key + _apply_mask(data, key)

    def check(self) -> None:
        """
        Check what holds for every frame once extensions have done their part.

        Raises:
            ProtocolError: a reserved bit is set, or a control frame is fragmented
                or has more than 125 bytes.
        """
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise ProtocolError("a reserved bit is set, and no extension uses it")
        if self.opcode in CTRL_OPCODES:
            size = memoryview(self.data).nbytes
            if size > MAX_CONTROL_SIZE:
                raise ProtocolError(
                    f"{Opcode(self.opcode).name} frame has {size} bytes; "
                    f"allowed are {MAX_CONTROL_SIZE}"
                )
            if not self.fin:
                raise ProtocolError(f"{Opcode(self.opcode).name} frame is fragmented")


def _parse_long_length(
    read_exact: Callable[[int], Generator[None, None, BytesLike]], marker: int
) -> Generator[None, None, int]:
    size = 2 if marker == 126 else 8
    length = int.from_bytes((yield from read_exact(size)), "big")
    if length >> 63:
        raise ProtocolError(f"frame announces {length:,} bytes; allowed is 2**63 - 1")
    # RFC 6455, 5.2: the minimal number of bytes MUST be used.
    if length < (126 if size == 2 else 65536):
        raise ProtocolError(f"length {length} is encoded in {size} bytes; too many")
    return length


def _apply_mask(data: BytesLike, key: bytes) -> bytes:
    # Imported late: choosing and loading the compiled kernels takes time that
    # those who only want the constants above need not spend.
    from ..kernels.kernels import apply_mask

    return apply_mask(data, key)


# -- Payloads ------------------------------------------------------------------


def prepare_data(data: DataLike) -> tuple[Opcode, BytesLike]:
    """
    Choose the opcode for a message and encode it.

    Raises:
        TypeError: it is neither str nor bytes-like.
    """
    if isinstance(data, str):
        return Opcode.TEXT, str.encode(data)
    payload = byte_view(data)
    if payload is not None:
        return Opcode.BINARY, payload
    raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")


def prepare_ctrl(data: DataLike) -> bytes:
    """
    Encode the payload of a ping or a pong; what is mutable is copied.

    Raises:
        TypeError: it is neither str nor bytes-like.
    """
    return control_payload("data", data)


def control_payload(name: str, data: Any) -> bytes:
    """
    Encode as `prepare_ctrl` does.

    Args:
        name: the name of `data` in the text of the TypeError.
    """
    if isinstance(data, str):
        return str.encode(data)
    payload = byte_view(data)
    if payload is not None:
        return bytes(payload)
    raise TypeError(f"{name} must be str or bytes-like, not {type(data).__name__}")


class Extension:
    """
    An extension in use on one connection.

    Subclasses set :attr:`name` and override :meth:`decode` and :meth:`encode`.
    """

    __slots__ = ()

    name: ExtensionName
    """Name in ``Sec-WebSocket-Extensions``."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Rewrite a frame that was received.

        Args:
            frame: frame as it arrived, unmasked.  Control frames come too.
            max_size: largest payload to return, in bytes; a frame of exactly this
                size passes.  ``None`` sets no limit.

        Returns:
            The frame for the application or for the next extension.

        Raises:
            PayloadTooBig: the payload would be larger than ``max_size``.  Raise it
                before memory grows past the limit.  The connection fails with 1009.
            ProtocolError: the frame is not one this extension may receive.  The
                connection fails with 1002.
        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """
        Rewrite a frame that is about to be sent.

        Args:
            frame: frame of the application or of the previous extension, unmasked.
                Control frames come too.

        Returns:
            The frame to send.
        """
        raise NotImplementedError
