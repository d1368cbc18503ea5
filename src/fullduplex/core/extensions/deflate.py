"""The streams of permessage-deflate on one connection (RFC 7692, 6 and 7.2).

One compressed message is one run of DEFLATE blocks.  The sender flushes after its
last block, which ends the bytes with ``00 00 ff ff``; these four are not sent, and
the receiver puts them back (RFC 7692, 7.2.1 and 7.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from ..errors import PayloadTooBig, ProtocolError
from ..frames.frame import Extension, Frame
from ..frames.opcode import BINARY, CONT, TEXT
from ..typing import BytesLike, ExtensionName
from .compression_policy import SMALLEST_ALONE, CompressionPolicy, check_policy
from .zlib_library import (
    Compressor,
    Decompressor,
    compressobj,
    decompressobj,
    error,
    is_complete,
)

NAME: Final = ExtensionName("permessage-deflate")

# End of a flush: an empty block that is not compressed, less its header.
TAIL: Final = b"\x00\x00\xff\xff"

# A block that ends the stream makes us start a new one (RFC 7692, 7.2.3.5).  Honest
# senders use one a message; each costs a copy of what follows it.
MAX_FINAL_BLOCKS: Final = 64

# Parameters that zlib is known to accept; trying takes longer than the rest of a
# handshake.
MEM_LEVELS: Final = range(1, 10)


def check_window_bits(name: str, value: Any, smallest: int) -> None:
    """Refuse a size of window that zlib or RFC 7692 doesn't have."""
    # True and False are integers; neither names a size.
    if type(value) is not int or not smallest <= value <= 15:
        raise ValueError(f"{name} is {value!r}, expected {smallest} to 15")


def check_compress_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copy what will be given to :func:`zlib.compressobj`, once it was tried."""
    settings = dict(settings or {})
    if "wbits" in settings:
        raise ValueError(
            "compress_settings has wbits; give server_max_window_bits or "
            "client_max_window_bits instead"
        )
    if settings.keys() - {"memLevel"} or settings.get("memLevel", 8) not in MEM_LEVELS:
        try:
            compressobj(wbits=-15, **settings)
        except (TypeError, ValueError, OverflowError, error) as exc:
            raise ValueError(f"compress_settings is {settings!r}: {exc}") from exc
    return settings


class PerMessageDeflate(Extension):
    """
    permessage-deflate on one connection.

    "Remote" is about messages that we receive, "local" about messages that we send.
    Streams of zlib are made when the first message needs them.

    Args:
        remote_no_context_takeover: the peer starts every message with an empty window.
        local_no_context_takeover: we do.
        remote_max_window_bits: size of the peer's window, as a power of two; 8 to 15.
        local_max_window_bits: size of ours; 9 to 15.
        compress_settings: further keyword arguments of :func:`zlib.compressobj`.
        min_size: as for `ClientPerMessageDeflateFactory`, as is `adaptive`.

    Raises:
        ValueError: a size is out of range, or zlib refuses the settings.
    """

    __slots__ = (
        "_after",
        "_before",
        "_begun",
        "_compressor",
        "_idle",
        "_receiving",
        "_sending",
        "compress_settings",
        "decompressor",
        "local_max_window_bits",
        "local_no_context_takeover",
        "policy",
        "remote_max_window_bits",
        "remote_no_context_takeover",
    )

    name = NAME

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: Mapping[str, Any] | None = None,
        *,
        min_size: int | None = None,
        adaptive: bool = True,
    ) -> None:
        check_policy(min_size)
        check_window_bits("remote_max_window_bits", remote_max_window_bits, 8)
        check_window_bits("local_max_window_bits", local_max_window_bits, 9)
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings = check_compress_settings(compress_settings)
        #: the stream that is kept between messages, once there is one
        self.decompressor: Decompressor | None = None
        self._compressor: Compressor | None = None
        # Has nothing been compressed since `rest` was called?
        self._idle = False
        # Is a fragmented message that is compressed under way?
        self._begun = False
        self._receiving = False
        self._sending = False
        # Sizes of the message that is being sent, before and after compression, in
        # bytes.
        self._before = 0
        self._after = 0
        if min_size is None:
            min_size = SMALLEST_ALONE if local_no_context_takeover else 0
        #: policy for messages whose sender leaves it open
        self.policy = CompressionPolicy(min_size, adaptive)

    def __repr__(self) -> str:
        return (
            f"PerMessageDeflate("
            f"remote_no_context_takeover={self.remote_no_context_takeover}, "
            f"local_no_context_takeover={self.local_no_context_takeover}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, "
            f"local_max_window_bits={self.local_max_window_bits})"
        )

    # The pair for a connection whose only extension is this one.

    def inflate(self, data: BytesLike, *, fin: bool, max_size: int | None) -> bytes:
        """
        Decompress one frame's payload of a compressed message (RFC 7692, 6.2).

        Args:
            data: payload of the frame, unmasked.
            fin: is it the last frame of its message?
            max_size: largest result, in bytes; a result of exactly this size passes.
                Zero allows only an empty result, ``None`` sets no limit.

        Raises:
            PayloadTooBig: the result would be larger than ``max_size``; at most one
                byte more than that was produced.  Fail the connection with 1009.
            ProtocolError: the payload is not a DEFLATE stream, or the message ends
                within a block.  Fail with 1002.
                After either, this side of the extension can't be used any more.
        """
        if fin:
            if not data and not self._begun:
                # Some senders leave out the header of the empty block, too.
                return b""
            data = b"".join((data, TAIL))
        self._begun = not fin
        return self._inflate(data, fin, max_size)

    def inflate_whole(self, data: bytes, max_size: int | None) -> bytes:
        """Decompress a whole message to which `TAIL` was added; see `inflate`."""
        if len(data) == len(TAIL):
            return b""
        return self._inflate(data, True, max_size)

    def _inflate(self, data: BytesLike, fin: bool, max_size: int | None) -> bytes:
        decompressor = self.decompressor
        if decompressor is None:
            decompressor = decompressobj(-self.remote_max_window_bits)
            self.decompressor = decompressor
        if fin and self.remote_no_context_takeover:
            self.decompressor = None
        # For zlib 0 means no limit; one byte above ours tells "full" from "too big".
        max_length = 0 if max_size is None else max_size + 1
        try:
            output = decompressor.decompress(data, max_length)
        except OverflowError:  # the limit is above the largest object there can be
            max_size = None
            output = self._decompress(decompressor, data, 0)
        except error as exc:
            raise bad_stream(exc) from exc
        # Below max_length, zlib has used up all input or met the end of a stream.
        return self.check_output(decompressor, output, fin, max_size)

    def check_output(
        self,
        decompressor: Decompressor,
        output: bytes,
        fin: bool,
        max_size: int | None,
    ) -> bytes:
        """Check what came out of `decompressor`, and go on where a stream ended."""
        if max_size is not None and len(output) > max_size:
            raise PayloadTooBig(None, max_size)
        if decompressor.eof:
            return self._inflate_after_end(decompressor, output, fin, max_size)
        if fin:
            self.check_complete(decompressor)
        return output

    @staticmethod
    def check_complete(decompressor: Decompressor) -> None:
        """Refuse a message that ends within a block (RFC 7692, 7.2.2)."""
        if not is_complete(decompressor):
            raise ProtocolError("compressed message ends within a DEFLATE block")

    @staticmethod
    def refuse(exc: Exception) -> NoReturn:
        """Raise what `inflate` raises where a stream raised `exc`."""
        if isinstance(exc, error):
            raise bad_stream(exc) from exc
        raise exc

    def deflate(self, data: BytesLike, *, fin: bool) -> bytes:
        """
        Compress one frame's payload (RFC 7692, 7.2.1).

        Args:
            data: payload of the frame.
            fin: is it the last frame of its message?  Earlier ones are flushed too,
                so that the peer can read them when they arrive.

        Returns:
            Payload to send in a frame, with RSV1 set if it is the message's first.
        """
        if not data:
            # One block header, completed by TAIL (7.2.3.6).  zlib would not
            # produce anything for a second flush in a row.
            if not fin:
                return b""
            if self.local_no_context_takeover:
                self._compressor = None
            return b"\x00"
        self._idle = False
        compressor = self._compressor
        if compressor is None:
            compressor = compressobj(
                lasting=not self.local_no_context_takeover,
                wbits=-self.local_max_window_bits,
                **self.compress_settings,
            )
            self._compressor = compressor
        if fin and self.local_no_context_takeover:
            self._compressor = None
        try:
            return compressor.deflate(data, fin)
        except BufferError:  # a view whose bytes don't lie side by side
            return compressor.deflate(bytes(data), fin)

    def rest(self) -> None:
        """
        Release the stream that compresses if nothing was since the last call.

        Keeping a window is allowed, not required.  The next message does not refer to
        earlier ones then, and the peer reads it as any other.  Only between messages.
        """
        if self._idle:
            self._compressor = None
        self._idle = True

    def compress_payload(
        self, data: BytesLike, first: bool, fin: bool, compress: bool | None
    ) -> tuple[bool, BytesLike]:
        """
        Compress a frame's payload, or let it be (RFC 7692, 6).

        A message that is not compressed leaves both windows as they are.

        Args:
            data: payload of the frame.
            first: is it the first frame of its message?
            fin: is it the last one?
            compress: for a first frame, whether to compress its message; None
                leaves it to the policy.

        Returns:
            RSV1 of the frame, and its payload.
        """
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        if first:
            if compress is None:
                self._sending = self.policy.wants(size if fin else None)
            else:
                self._sending = compress
            self._before = self._after = 0
        if not self._sending:
            return False, data
        output = self.deflate(data, fin=fin)
        self._before += size
        self._after += len(output)
        if fin:
            self.policy.learn(self._before, self._after)
            # With a window that is kept it must go out: it is in ours already, and
            # later messages may refer to it.
            if (
                first
                and compress is None
                and self.local_no_context_takeover
                and len(output) >= size
            ):
                return False, data
        return first, output

    # The interface of extensions.

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Decompress a frame, if its message is compressed.

        Raises:
            PayloadTooBig: the payload would be larger than ``max_size``.
            ProtocolError: RSV1 is set on a frame that continues a message (RFC 7692,
                6.1), or the payload is not a DEFLATE stream.
        """
        opcode = frame.opcode
        if opcode == CONT:
            if frame.rsv1:
                raise ProtocolError(
                    "RSV1 is set on a continuation frame; "
                    "permessage-deflate allows it on the first frame of a message"
                )
            if not self._receiving:
                return frame
        elif opcode in (TEXT, BINARY):
            if not frame.rsv1:
                # Reset also after a message whose end never came: the protocol
                # refuses that one, and must not see the next one garbled.
                self._receiving = False
                return frame
        else:
            return frame  # control frames are never compressed (RFC 7692, 5)
        self._receiving = not frame.fin
        data = self.inflate(frame.data, fin=frame.fin, max_size=max_size)
        return Frame(opcode, data, frame.fin, False, frame.rsv2, frame.rsv3)

    def encode(self, frame: Frame, compress: bool | None = None) -> Frame:
        """Compress a frame of a data message, as `compress_payload`."""
        if frame.opcode not in (CONT, TEXT, BINARY):
            return frame
        first = frame.opcode != CONT
        rsv1, data = self.compress_payload(frame.data, first, frame.fin, compress)
        if data is frame.data:
            return frame
        return Frame(frame.opcode, data, frame.fin, rsv1, frame.rsv2, frame.rsv3)

    # Rare cases.

    def _inflate_after_end(
        self,
        decompressor: Decompressor,
        output: bytes,
        fin: bool,
        max_size: int | None,
    ) -> bytes:
        """
        Go on behind a block that ended its stream.

        RFC 7692, 7.2.3.5 allows such blocks.  The next message is a stream of its own:
        its sender had to start anew as well.
        """
        outputs = [output]
        left = None if max_size is None else max_size - len(output)
        for _ in range(MAX_FINAL_BLOCKS):
            data = decompressor.unused_data
            if fin and data == TAIL:
                # The sender left out the block header which the RFC asks for.
                data = b""
            if not data:
                self.decompressor = None
                return b"".join(outputs)
            decompressor = decompressobj(-self.remote_max_window_bits)
            max_length = 0 if left is None else left + 1
            output = self._decompress(decompressor, data, max_length)
            if left is not None:
                left -= len(output)
                if left < 0:
                    assert max_size is not None
                    raise PayloadTooBig(None, max_size)
            outputs.append(output)
            if not decompressor.eof:
                if fin:
                    self.check_complete(decompressor)
                done = fin and self.remote_no_context_takeover
                self.decompressor = None if done else decompressor
                return b"".join(outputs)
        raise ProtocolError(
            f"compressed frame has more than {MAX_FINAL_BLOCKS} final DEFLATE blocks"
        )

    @staticmethod
    def _decompress(
        decompressor: Decompressor, data: BytesLike, max_length: int
    ) -> bytes:
        try:
            return decompressor.decompress(data, max_length)
        except error as exc:
            raise bad_stream(exc) from exc


def bad_stream(exc: Exception) -> ProtocolError:
    """Tell that a payload can't be decompressed."""
    return ProtocolError(f"compressed frame is not a DEFLATE stream: {exc}")
