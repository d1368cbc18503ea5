"""Frames read and written through coroutines and callables, one at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple

from ..core.frames import frame as frames
from ..core.frames.close import Close
from ..core.frames.frame import Extension
from ..core.frames.opcode import Opcode
from ..core.typing import BytesLike


class Frame(NamedTuple):
    """
    A frame (RFC 6455, 5.2), with its fields in the order of websockets 10.

    Args:
        fin: true in the last frame of a message.
        opcode: kind of the frame.
        data: the payload.
        rsv1: reserved for extensions, like the next two.
        rsv2: see ``rsv1``.
        rsv3: see ``rsv1``.
    """

    fin: bool
    opcode: Opcode
    data: BytesLike
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    @property
    def new_frame(self) -> frames.Frame:
        """The frame as `fullduplex.frames.Frame`."""
        return frames.Frame(
            self.opcode, self.data, self.fin, self.rsv1, self.rsv2, self.rsv3
        )

    @classmethod
    async def read(
        cls,
        reader: Callable[[int], Awaitable[bytes]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[Extension] | None = None,
    ) -> Frame:
        """
        Read a frame.

        Args:
            reader: coroutine function that returns that many bytes.
            mask: whether the frame must be masked, as when a server reads.
            max_size: bytes allowed in the payload.
            extensions: applied in reverse order.

        Raises:
            PayloadTooBig: the payload is over ``max_size``.
            ProtocolError: the frame is malformed.
        """
        asked: list[int] = []
        came: list[bytes] = []

        def read_exact(size: int) -> Generator[None, None, BytesLike]:
            asked.append(size)
            yield
            return came.pop()

        steps: Any = frames.Frame.parse(
            read_exact, mask=mask, max_size=max_size, extensions=extensions
        )
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                frame = stop.value
                return cls(
                    frame.fin,
                    frame.opcode,
                    frame.data,
                    frame.rsv1,
                    frame.rsv2,
                    frame.rsv3,
                )
            came.append(await reader(asked.pop()))

    def write(
        self,
        write: Callable[[bytes], Any],
        *,
        mask: bool,
        extensions: Sequence[Extension] | None = None,
    ) -> None:
        """
        Write the frame.

        Args:
            write: called once, with all bytes.
            mask: whether to mask it, as clients must (RFC 6455, 5.1).
            extensions: applied in order.

        Raises:
            ProtocolError: the frame is malformed.
        """
        write(self.new_frame.serialize(mask=mask, extensions=extensions))

    def check(self) -> None:
        """
        Check what holds for every frame.

        Raises:
            ProtocolError: it doesn't.
        """
        self.new_frame.check()


def parse_close(data: bytes) -> tuple[int, str]:
    """Decode the payload of a close frame; as `fullduplex.frames.Close.parse`."""
    close = Close.parse(data)
    return close.code, close.reason


def serialize_close(code: int, reason: str) -> bytes:
    """Encode the payload of a close frame; as `fullduplex.frames.Close.serialize`."""
    return Close(code, reason).serialize()
