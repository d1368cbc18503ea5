"""Frames on their way through extensions that are not a single permessage-deflate."""

from __future__ import annotations

from collections.abc import Sequence

from ..buffers import check_bytes
from ..errors import ProtocolError
from ..frames.frame import Extension, Frame
from ..frames.opcode import Opcode
from ..typing import BytesLike
from .deflate import PerMessageDeflate


def frame_of(head: int, payload: bytes) -> Frame:
    """
    Make a `Frame`.

    Args:
        head: first byte on the wire: fin, reserved bits, opcode.
    """
    return Frame(
        Opcode(head & 0x0F),
        payload,
        fin=head & 0x80 != 0,
        rsv1=head & 0x40 != 0,
        rsv2=head & 0x20 != 0,
        rsv3=head & 0x10 != 0,
    )


def encode(
    extensions: Sequence[Extension],
    head: int,
    payload: BytesLike,
    compress: bool | None,
) -> tuple[int, BytesLike]:
    """
    Let each extension rewrite a frame that is to be sent.

    Args:
        compress: as for `PerMessageDeflate.compress_payload`.

    Returns:
        The first byte of what to send, and the payload.
    """
    frame = frame_of(head, bytes(payload))
    for extension in extensions:
        if isinstance(extension, PerMessageDeflate):
            frame = extension.encode(frame, compress)
        else:
            frame = extension.encode(frame)
    head |= frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
    return head, frame.data


def decode(
    extensions: Sequence[Extension], head: int, payload: bytes, limit: int | None
) -> bytes:
    """
    Let each extension rewrite a frame that was received, the last one first.

    Args:
        limit: bytes that may come out; None for no limit.

    Raises:
        ProtocolError: a reserved bit is left that no extension has cleared, or an
            extension refuses the frame.
        PayloadTooBig: more than `limit` bytes would come out.
    """
    frame = frame_of(head, payload)
    for extension in reversed(extensions):
        frame = extension.decode(frame, max_size=limit)
    if frame.rsv1 or frame.rsv2 or frame.rsv3:
        raise ProtocolError("reserved bits must be 0")
    return bytes(check_bytes("data of a frame that an extension decoded", frame.data))
