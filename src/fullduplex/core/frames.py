"""Frames as objects (RFC 6455, 5), with the readable way to parse and build them.

Connections use :mod:`fullduplex.core.wire`, which goes from bytes to messages
without making frames; extensions, logs and the Sans-I/O layer use this module.
"""

from __future__ import annotations

import codecs
import enum
import os
import struct
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .buffers import byte_view
from .credentials import escape
from .environ import setting
from .errors import PayloadTooBig, ProtocolError
from .typing import BytesLike, DataLike

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = [
    "BINARY",
    "CLOSE",
    "CLOSE_CODES",
    "CLOSE_CODE_EXPLANATIONS",
    "CONT",
    "CTRL_OPCODES",
    "Close",
    "CloseCode",
    "DATA_OPCODES",
    "EXTERNAL_CLOSE_CODES",
    "Frame",
    "MAX_LOG_SIZE",
    "OK_CLOSE_CODES",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONT",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "Opcode",
    "PING",
    "PONG",
    "TEXT",
    "explain_close_code",
    "prepare_ctrl",
    "prepare_data",
]

MAX_LOG_SIZE: int = setting("MAX_LOG_SIZE", 75, int)
"""Number of characters of a payload that ``str(frame)`` shows."""

MAX_CONTROL_SIZE = 125  # bytes; RFC 6455, 5.5
MAX_REASON_SIZE = 123  # bytes; what the close code leaves of it


class Opcode(enum.IntEnum):
    """Kind of a frame (RFC 6455, 5.2 and 11.8)."""

    CONT, TEXT, BINARY = 0x00, 0x01, 0x02
    CLOSE, PING, PONG = 0x08, 0x09, 0x0A


CONT = OP_CONT = Opcode.CONT
TEXT = OP_TEXT = Opcode.TEXT
BINARY = OP_BINARY = Opcode.BINARY
CLOSE = OP_CLOSE = Opcode.CLOSE
PING = OP_PING = Opcode.PING
PONG = OP_PONG = Opcode.PONG

DATA_OPCODES = frozenset({CONT, TEXT, BINARY})
CTRL_OPCODES = frozenset({CLOSE, PING, PONG})


class CloseCode(enum.IntEnum):
    """Code for the end of a connection (RFC 6455, 7.4.1, and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    # 1004 is reserved.
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: Mapping[int, str] = {
    CloseCode.NORMAL_CLOSURE: "OK",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no status received [internal]",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure [internal]",
    CloseCode.INVALID_DATA: "invalid frame payload data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure [internal]",
}
CLOSE_CODES = CLOSE_CODE_EXPLANATIONS

# Codes that are allowed in a close frame, besides 3000 to 4999 (RFC 6455, 7.4.1 and
# 7.4.2). 1005, 1006 and 1015 only stand for situations.
EXTERNAL_CLOSE_CODES = frozenset(
    set(CloseCode)
    - {
        CloseCode.NO_STATUS_RCVD,
        CloseCode.ABNORMAL_CLOSURE,
        CloseCode.TLS_HANDSHAKE,
    }
)

# Codes of a ConnectionClosedOK, on both sides.
OK_CLOSE_CODES = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
)

# C0 and C1, so that what a peer sent cannot drive a terminal or forge log lines.
_escaped_controls = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))
}


def explain_close_code(code: int) -> str:
    """Say in a few words what a close code means; ``unknown`` if nobody knows."""
    if 3000 <= code < 4000:
        return "registered"
    if 4000 <= code < 5000:
        return "private use"
    return CLOSE_CODE_EXPLANATIONS.get(code, "unknown")


@dataclass
class Close:
    """
    The payload of a close frame (RFC 6455, 5.5.1).

    Args:
        code: the close code.
        reason: at most 123 bytes in UTF-8.
    """

    code: int
    reason: str

    def __str__(self) -> str:
        text = f"{int(self.code)} ({explain_close_code(self.code)})"
        if self.reason:
            text += " " + escape(self.reason.translate(_escaped_controls))
        return text

    @classmethod
    def parse(cls, data: BytesLike) -> Close:
        """
        Decode the payload of a close frame.

        Args:
            data: unmasked payload; 0 to 125 bytes, checked by the caller.

        Returns:
            The code and the reason.  An empty payload gives 1005, the code that
            stands for "no code" and never travels (RFC 6455, 7.1.5).

        Raises:
            ProtocolError: the payload is one byte long, or its code must not be
                sent.  Fail the connection with 1002.
            UnicodeDecodeError: the reason is not UTF-8.  Fail it with 1007.
        """
        if len(data) == 0:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            raise ProtocolError("close frame has a payload of 1 byte; a code has 2")
        close = cls(int.from_bytes(data[:2], "big"), str(data[2:], "utf-8"))
        close.check()
        return close

    def serialize(self) -> bytes:
        """
        Encode the payload of a close frame.

        Raises:
            ProtocolError: the code must not be sent, or the reason is too long.
        """
        self.check()
        return self._pack()

    def _pack(self) -> bytes:  # for those who have checked it
        return struct.pack("!H", self.code) + str.encode(self.reason)

    def check(self) -> None:
        """
        Check that this may travel.

        Raises:
            ProtocolError: the code is none of 1000 to 1003, 1007 to 1014 and 3000
                to 4999, or the reason has more than 123 bytes or cannot be
                encoded.
        """
        if not (self.code in EXTERNAL_CLOSE_CODES or 3000 <= self.code < 5000):
            raise ProtocolError(
                f"close code is {int(self.code)}; allowed are 1000 to 1003, "
                f"1007 to 1014, and 3000 to 4999"
            )
        try:
            size = len(str.encode(self.reason))
        except UnicodeEncodeError as exc:
            raise ProtocolError(f"close reason cannot be encoded: {exc}") from exc
        if size > MAX_REASON_SIZE:
            raise ProtocolError(
                f"close reason has {size} bytes; allowed are {MAX_REASON_SIZE}"
            )


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
    from .kernels import apply_mask

    return apply_mask(data, key)


# -- Logs ----------------------------------------------------------------------


def _describe(opcode: int, data: BytesLike) -> tuple[str, str]:
    """Return the payload for logs, and its coding where the opcode leaves it open."""
    view = memoryview(data)
    if view.nbytes == 0:
        return "''" if opcode in DATA_OPCODES else "", ""
    if opcode == Opcode.CLOSE:
        try:
            return _shorten(str(Close.parse(bytes(view)))), ""
        except (ProtocolError, UnicodeDecodeError):
            return _hexadecimal(view), "binary"
    text = _text(view, errors="replace" if opcode == Opcode.TEXT else "strict")
    if text is None:
        return _hexadecimal(view), "" if opcode == Opcode.BINARY else "binary"
    return text, "" if opcode == Opcode.TEXT else "text"


def _text(view: memoryview, errors: str) -> str | None:
    # No more than the ends is looked at: 4 bytes make at least one character.
    ends = 4 * max(MAX_LOG_SIZE, 3)
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    try:
        if view.nbytes <= 2 * ends:
            return _shorten(repr(decoder.decode(bytes(view), final=True)))
        head = repr(decoder.decode(bytes(view[:ends])))[:-1]
        tail = repr(bytes(view[-ends:]).decode("utf-8", "replace"))[1:]
    except UnicodeDecodeError:
        return None
    return _shorten(head + tail)


def _hexadecimal(view: memoryview) -> str:
    shown = max(MAX_LOG_SIZE // 3, 1)  # a byte takes three characters
    if view.nbytes <= shown:
        return bytes(view).hex(" ")
    tail = max(shown // 3, 1)
    head = max(shown - 1 - tail, 0)
    return f"{bytes(view[:head]).hex(' ')} ... {bytes(view[-tail:]).hex(' ')}".strip()


def _shorten(text: str) -> str:
    if len(text) <= MAX_LOG_SIZE:
        return text
    cut = max(MAX_LOG_SIZE // 3 - 1, 0)
    return text[: 2 * cut] + "..." + text[len(text) - cut :]


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
    if isinstance(data, str):
        return str.encode(data)
    payload = byte_view(data)
    if payload is not None:
        return bytes(payload)
    raise TypeError(f"data must be str or bytes-like, not {type(data).__name__}")
