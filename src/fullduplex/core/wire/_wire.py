"""Bytes to frames and back (RFC 6455, 5).  Pure-Python twin of ``_wire_c.pyx``.

``tests/parity`` compares the two.  Both own the memory that transports read into and
parse every complete frame of a read.  Whole, uncompressed data messages go straight
into the caller's queue.  All other frames go to a handler, one at a time, in order.

A frame is refused for reserved bits, its opcode, masking, its length, the order of
fragments, limits, and UTF-8 (8.1).  Invalid UTF-8 is reported as soon as it is
detectable, also inside a frame that is still arriving.  The first error stops the
reader for good and is raised out of ``received``; messages found before it are in the
queue.

Parsing stops once more is queued than the marks of `hold_above` allow.  Bytes behind
that stay as they are, and the reader holds them until `proceed` is called.  A read of
compressed frames must not become a thousand times its size before the application
reads.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Protocol

from ..errors import PayloadTooBig, ProtocolError
from ..kernels._kernels import Utf8Validator, apply_mask
from ..typing import BytesLike
from ._queue import MessageQueue
from ._writer import FrameWriter as FrameWriter
from ._writer import forget_masks as forget_masks


class Inflater(Protocol):
    """Method that a reader needs of permessage-deflate."""

    def inflate(self, data: BytesLike, *, fin: bool, max_size: int | None) -> bytes:
        """Return the payload of a message, or of a part of one, decompressed."""
        ...


# An incomplete payload of at least this size, or any incomplete text, is
# received into its own object; a smaller one waits as a tail.
DIRECT = 4096
# The first memory for a payload whose announced size is larger.  It grows with what has
# arrived, never with what was announced.
FIRST_STEP = 65536


def ignore_frame(head: int, payload: bytes) -> bool:
    """Take a frame after the end."""
    return False


class ReadBuffer:
    """
    Memory that a transport reads into; one serves all connections of a loop.

    Args:
        size: bytes; at least 16384.
    """

    __slots__ = ("memory", "size", "view")

    def __init__(self, size: int = 262144) -> None:
        if size < 16384:
            raise ValueError(f"size is {size} bytes; a read buffer has at least 16384")
        self.memory = bytearray(size)
        self.view = memoryview(self.memory)
        self.size = size


class FrameReader:
    """
    Parse frames out of a buffer that it owns.

    Args:
        handler: called for each frame that is not a whole message, with its first byte
            (fin, reserved bits, opcode) and its unmasked payload; a true result stops
            the reader.
        append: the `MessageQueue` for whole messages, `str` or `bytes`, or a callable.
        masked: whether the peer must mask its frames (5.1).
        max_size: bytes in a message; None for no limit.
        max_fragment: bytes in a data frame; None for no limit.
        buffer: shared memory to read into; by default its own, 64 KiB.
        direct_view: whether a large payload may be received straight into its
            object.  False for transports that keep a buffer over loop turns.
    """

    __slots__ = (
        "_append",
        "_compressed",
        "_direct_view",
        "_handler",
        "_held",
        "_held_at",
        "_inbox",
        "_masked",
        "_payload",
        "_payload_filled",
        "_payload_head",
        "_payload_is_text",
        "_payload_key",
        "_payload_size",
        "_queue_mark",
        "_tail",
        "_unread_mark",
        "_utf8",
        "allowed_rsv",
        "buffer",
        "count",
        "deflate",
        "deliver_messages",
        "has_events",
        "max_fragment",
        "max_size",
        "message_size",
        "opcode",
        "payload",
        "queued_bytes",
        "stopped",
        "total",
    )

    def __init__(
        self,
        handler: Callable[[int, bytes], object],
        append: Callable[[str | bytes], object],
        *,
        masked: bool,
        max_size: int | None = None,
        max_fragment: int | None = None,
        buffer: ReadBuffer | None = None,
        direct_view: bool = True,
    ) -> None:
        self._handler = handler
        self._inbox = append if isinstance(append, MessageQueue) else MessageQueue()
        self._append = append.append if isinstance(append, MessageQueue) else append
        self._queue_mark = self._unread_mark = sys.maxsize
        # Bytes that were read behind a mark, and the position of their next frame.
        self._held: bytes | bytearray = b""
        self._held_at = 0
        self._masked = masked
        #: memory to read into; between reads the owner may give another one
        self.buffer = ReadBuffer(65536) if buffer is None else buffer
        self._direct_view = direct_view
        self._tail = b""
        self._payload: bytearray | None = None
        self._payload_size = 0
        self._payload_filled = 0
        self._payload_head = 0
        self._payload_is_text = False
        self._payload_key = b""
        self._utf8 = Utf8Validator()
        self._compressed = False
        self.max_size = max_size
        self.max_fragment = max_fragment
        #: opcode of the message in progress, 0 between messages
        self.opcode = 0
        #: bytes received of the message in progress; the protocol sets it for
        #: compressed messages, where the inflated size counts
        self.message_size = 0
        #: reserved bits that an extension has claimed, as in the first byte
        self.allowed_rsv = 0
        #: whether whole messages go to `append` rather than to the handler
        self.deliver_messages = True
        #: decompressor of whole messages for `append`; None gives them to the handler
        self.deflate: Inflater | None = None
        #: whether an error or the handler ended reading; all input is dropped
        self.stopped = False
        #: whether the owner has something else to look at than what `append` got; it
        #: sets and resets this, where its compiled parts see it soonest
        self.has_events = False
        #: bytes given to `append` so far; the owner may reset it
        self.queued_bytes = 0
        #: bytes that have come in, with the heads of frames
        self.total = 0
        #: bytes in the data frames of these, as they travelled
        self.payload = 0
        #: messages that were complete
        self.count = 0

    @property
    def between_frames(self) -> bool:
        """Whether no frame is partly received, nor waits to be parsed."""
        return self._payload is None and not self._tail and not self._held

    @property
    def holding(self) -> bool:
        """Whether bytes wait to be parsed; see `proceed`."""
        return len(self._held) > 0

    @property
    def held(self) -> int:
        """Number of bytes that wait to be parsed."""
        return len(self._held) - self._held_at

    def hold_above(self, messages: int | None, size: int | None) -> None:
        """
        Set marks above which nothing is parsed; they count in an `MessageQueue` only.

        Args:
            messages: number of messages that may wait there; one more may be parsed.
            size: bytes of them that may; None for no limit, as for `messages`.
        """
        self._queue_mark = sys.maxsize if messages is None else messages
        self._unread_mark = sys.maxsize if size is None else size

    @property
    def full(self) -> bool:
        """Whether more is queued than the marks allow."""
        if len(self._inbox) > self._queue_mark:
            return True
        if self.queued_bytes <= self._unread_mark:
            return False
        # It counts what came in since the queue was last empty.
        self.queued_bytes = self._inbox.size()
        return self.queued_bytes > self._unread_mark

    def get_buffer(self, hint: int) -> memoryview:
        """Return where the next bytes must be written; ask before each read."""
        if self._payload is not None and self._direct_view and not self.stopped:
            return memoryview(self._payload)[self._payload_filled :]
        return self.buffer.view[len(self._tail) :]

    def received(self, size: int) -> None:
        """
        Parse after `size` bytes were written where `get_buffer` said.

        Raises:
            ProtocolError: fail the connection with 1002.
            PayloadTooBig: fail the connection with 1009.
            UnicodeDecodeError: fail the connection with 1007.
            ValueError: there was no room for so many; nothing was parsed.
        """
        if self.stopped:
            self.total += max(size, 0)
            return
        room = len(self.get_buffer(-1))
        if not 0 <= size <= room:
            raise ValueError(
                f"{size} bytes were received; get_buffer() had room for {room}"
            )
        self.total += size
        if self._held:
            self._hold(self.buffer.view[:size])
            return
        memory = self.buffer.memory
        start = 0
        if self._payload is not None:
            if self._direct_view:
                self._payload_grew(size)
                return
            start = self._absorb(self.buffer.view[:size])
            if start == size or self.stopped:
                return
        elif self._tail:
            tail = self._tail
            self._tail = b""
            memory[: len(tail)] = tail
            size += len(tail)
        start = self._parse(memory, start, size)
        if start < size and not self.stopped:
            self._hold(self.buffer.view[start:size])

    def proceed(self) -> None:
        """Parse what is held, up to the marks; raises as `received` does."""
        if self.stopped:
            self._held, self._held_at = b"", 0
        held, at = self._held, self._held_at
        if not held or self.full:
            return
        self._held, self._held_at = b"", 0
        try:
            at = self._parse(held, at, len(held))
        except BaseException:
            self.stopped = True
            raise
        if at < len(held) and not self.stopped:
            self._held, self._held_at = held, at

    def held_bytes(self) -> bytes:
        """Return a copy of what is held; the first frame begins at its start."""
        return bytes(memoryview(self._held)[self._held_at :])

    def split(self, handler: Callable[[int, bytes], object]) -> FrameReader:
        """
        Give what is held to another reader, and keep no message any more.

        Both parse it: the other one for its messages, when there is room for them, and
        this one for the control frames in it and behind it.

        Args:
            handler: of the other reader.
        """
        other = FrameReader(
            handler,
            self._inbox,
            masked=self._masked,
            max_size=self.max_size,
            max_fragment=self.max_fragment,
            buffer=self.buffer,
            direct_view=False,
        )
        for name in (
            "allowed_rsv",
            "deflate",
            "opcode",
            "queued_bytes",
            "message_size",
            "deliver_messages",
        ):
            setattr(other, name, getattr(self, name))
        other._compressed = self._compressed
        other._utf8 = copy.copy(self._utf8)
        other._queue_mark, other._unread_mark = self._queue_mark, self._unread_mark
        other._held, other._held_at = bytes(self._held), self._held_at
        self.deliver_messages = False
        self.hold_above(None, None)
        return other

    def _hold(self, data: memoryview) -> None:
        """Keep bytes for `proceed`."""
        self._held = b"".join((memoryview(self._held)[self._held_at :], data))
        self._held_at = 0

    def feed(self, data: BytesLike) -> None:
        """Parse bytes that are elsewhere; raises as `received` does."""
        source = memoryview(data)
        done = 0
        while done < len(source) and not self.stopped:
            room = self.get_buffer(-1)
            step = min(len(room), len(source) - done)
            room[:step] = source[done : done + step]
            room.release()
            done += step
            self.received(step)

    def end(self) -> None:
        """Parse nothing more, and let go of the handler."""
        self.stopped = True
        self._held, self._held_at = b"", 0
        self._handler = ignore_frame

    def _refuse(self, error: Exception) -> None:
        self.stopped = True
        raise error

    def _check_order(self, head: int) -> None:
        opcode = head & 0x0F
        if opcode >= 8:
            if opcode > 10:
                self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
            # Extensions other than permessage-deflate may mark these too.
            if head & 0x70 and self.allowed_rsv != 0x70:
                self._refuse(ProtocolError("reserved bits must be 0"))
            if not head & 0x80:
                self._refuse(ProtocolError("fragmented control frame"))
            return
        if opcode > 2:
            self._refuse(ProtocolError(f"invalid opcode: 0x{opcode:X}"))
        if head & 0x70 & ~self.allowed_rsv:
            self._refuse(ProtocolError("reserved bits must be 0"))
        if opcode == 0:
            if self.opcode == 0:
                self._refuse(ProtocolError("unexpected continuation frame"))
            if head & 0x40 and self.allowed_rsv != 0x70:
                self._refuse(
                    ProtocolError("reserved bits must be 0 in a continuation frame")
                )
        elif self.opcode != 0:
            self._refuse(ProtocolError("expected a continuation frame"))

    def _check_size(self, head: int, size: int) -> None:
        if head & 8:
            if size > 125:
                self._refuse(
                    ProtocolError(
                        f"control frame announces {size} bytes; 125 are allowed"
                    )
                )
            return
        if self.max_fragment is not None and size > self.max_fragment:
            self._refuse(PayloadTooBig(size, self.max_fragment))
        if self.max_size is not None:
            # Data that does not shrink grows a little when deflated; what it
            # inflates to is checked against the exact limit.
            compressed = head & 0x40 if head & 0x0F else self._compressed
            slack = (self.max_size >> 10) + 64 if compressed else 0
            used = self.message_size if not head & 0x0F else 0
            if size > max(self.max_size - used, 0) + slack:
                self._refuse(PayloadTooBig(size, self.max_size, used or None))

    def _parse(self, memory: bytes | bytearray, pos: int, end: int) -> int:
        """Parse frames up to the marks; returns where the next one begins."""
        masked = self._masked
        append = self._append
        inbox = self._inbox
        while True:
            left = end - pos
            if left < 2:
                break
            if (
                len(inbox) > self._queue_mark or self.queued_bytes > self._unread_mark
            ) and self.full:
                return pos
            head = memory[pos]
            second = memory[pos + 1]
            simple = (
                (head == 0x81 or head == 0x82)
                and self.deliver_messages
                and not self.opcode
            )
            if not simple:
                self._check_order(head)
            if (second >> 7) != masked:
                self._refuse(ProtocolError("incorrect masking"))
            size = second & 0x7F
            start = pos + 2
            if size == 126:
                if left < 4:
                    break
                size = memory[start] << 8 | memory[start + 1]
                start += 2
                if size < 126:
                    self._refuse(
                        ProtocolError(f"length {size} is not in its shortest form")
                    )
            elif size == 127:
                if left < 10:
                    break
                size = int.from_bytes(memory[start : start + 8], "big")
                start += 8
                if size >> 63:
                    self._refuse(
                        ProtocolError(
                            "the most significant bit of a 64-bit length must be 0"
                        )
                    )
                if size < 65536:
                    self._refuse(
                        ProtocolError(f"length {size} is not in its shortest form")
                    )
            self._check_size(head, size)
            key = b""
            if masked:
                if end - start < 4:
                    break
                key = bytes(memory[start : start + 4])
                start += 4
            stop = start + size
            if stop > end:
                if size >= DIRECT or (head & 8 == 0 and self._is_text(head)):
                    self._begin_payload(head, size, key)
                    self._absorb(memoryview(memory)[start:end])
                    return end
                break
            payload = bytes(memory[start:stop])
            if masked:
                payload = apply_mask(payload, key)
            pos = stop
            if simple:
                append(self._text(payload) if head == 0x81 else payload)
                self._counted(size)
            elif (
                (head == 0xC1 or head == 0xC2)
                and self.deliver_messages
                and self.deflate
            ):
                self._inflate(head, payload, self.deflate)
            else:
                if head & 8 == 0 and self._is_text(head):
                    if head & 0x0F:
                        self._utf8 = Utf8Validator()
                    self._check_text(payload)
                self._deliver(head, payload)
                if self.stopped:
                    return end
        if left:
            self._tail = bytes(memory[pos:end])
        return end

    def _inflate(self, head: int, payload: bytes, deflate: Inflater) -> None:
        """Decompress a whole message (RFC 7692, 6.2)."""
        self.payload += len(payload)
        self.count += 1
        limits = [n for n in (self.max_size, self.max_fragment) if n is not None]
        limit = min(limits, default=None)
        try:
            data = deflate.inflate(payload, fin=True, max_size=limit)
            self._append(data.decode() if head & 1 else data)
        except Exception:
            self.stopped = True
            raise
        self.queued_bytes += len(data)

    def _is_text(self, head: int) -> bool:
        if self.allowed_rsv & 0x30:
            return False  # extensions change payloads; what they make is checked
        if head & 0x0F:
            return head & 0x4F == 1
        return self.opcode == 1 and not self._compressed

    def _text(self, payload: bytes | bytearray) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            self.stopped = True
            raise

    def _check_text(self, data: BytesLike) -> None:
        if not self._utf8.feed(data):
            self._bad_text()

    def _bad_text(self) -> None:
        self._refuse(
            UnicodeDecodeError("utf-8", b"", 0, 0, "invalid UTF-8 in a text message")
        )

    def _deliver(self, head: int, payload: bytes) -> None:
        opcode = head & 0x0F
        if opcode < 8:
            if opcode:
                self.message_size = 0
                self._compressed = bool(head & 0x40)
            if not self._compressed:
                self.message_size += len(payload)
            self.opcode = 0 if head & 0x80 else (opcode or self.opcode)
            if head & 0x80 and not self._utf8.complete:
                self._utf8 = Utf8Validator()
                self._bad_text()
            self.payload += len(payload)
            if head & 0x80:
                self.count += 1
        if self._handler(head, payload):
            self.stopped = True

    def _begin_payload(self, head: int, size: int, key: bytes) -> None:
        self._payload_size = size
        self._payload = bytearray(min(size, FIRST_STEP))
        self._payload_filled = 0
        self._payload_head = head
        self._payload_is_text = head & 8 == 0 and self._is_text(head)
        if head & 0x0F:
            self._utf8 = Utf8Validator()
        self._payload_key = key

    def _absorb(self, data: memoryview) -> int:
        used = 0
        while used < len(data) and self._payload is not None:
            filled = self._payload_filled
            step = min(len(data) - used, len(self._payload) - filled)
            self._payload[filled : filled + step] = data[used : used + step]
            used += step
            self._payload_grew(step)
        return used

    def _payload_grew(self, step: int) -> None:
        payload = self._payload
        assert payload is not None
        filled = self._payload_filled
        if self._masked:
            turn = filled & 3
            key = self._payload_key[turn:] + self._payload_key[:turn]
            with memoryview(payload)[filled : filled + step] as piece:
                piece[:] = apply_mask(piece, key)
        if self._payload_is_text:
            self._check_text(payload[filled : filled + step])
        self._payload_filled = filled = filled + step
        if filled < len(payload):
            return
        if filled < self._payload_size:
            room = min(self._payload_size, 2 * filled)
            self._payload = payload + bytes(room - filled)
            return
        self._payload = None
        head = self._payload_head
        if self.deliver_messages and not self.opcode and head == 0x81:
            if not self._utf8.complete:
                self._utf8 = Utf8Validator()
                self._bad_text()
            self._append(self._text(payload))
            self._counted(filled)
        elif self.deliver_messages and not self.opcode and head == 0x82:
            self._append(bytes(payload))
            self._counted(filled)
        else:
            self._deliver(head, bytes(payload))

    def _counted(self, size: int) -> None:
        """Count a whole message."""
        self.queued_bytes += size
        self.payload += size
        self.count += 1
