"""A buffer that is read by generators, for parsers that are composed of them."""

from __future__ import annotations

from collections.abc import Generator

__all__ = ["StreamReader"]


class StreamReader:
    """
    Bytes that arrive by and by, and generators that wait for enough of them.

    A generator yields while there is too little; feed more and go on with it.  Only
    one of them may be under way at a time.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False

    def read_line(
        self, m: int, too_long_exc_type: type[Exception] = RuntimeError
    ) -> Generator[None, None, bytes]:
        """
        Read up to a line feed, and return it with what is before.

        Args:
            m: largest size of the line in bytes, with its end.
            too_long_exc_type: exception to raise if it is longer.

        Raises:
            EOFError: the stream ends within the line.
        """
        scanned = 0
        while True:
            end = self.buffer.find(b"\n", scanned, m) + 1
            if end:
                return self._take(end)
            scanned = len(self.buffer)
            if scanned >= m:
                raise too_long_exc_type(f"line has more than {m} bytes")
            if self.eof:
                raise EOFError(f"stream ends after {scanned} bytes of a line")
            yield

    def read_exact(self, n: int) -> Generator[None, None, bytes]:
        """
        Read `n` bytes.

        Raises:
            EOFError: the stream ends before.
            ValueError: `n` is negative.
        """
        if n < 0:
            raise ValueError(f"n is {n}; it must be 0 or more bytes")
        while len(self.buffer) < n:
            if self.eof:
                raise EOFError(
                    f"stream ends after {len(self.buffer)} bytes; expected {n}"
                )
            yield
        return self._take(n)

    def read_to_eof(
        self, m: int, too_long_exc_type: type[Exception] = RuntimeError
    ) -> Generator[None, None, bytes]:
        """
        Read all that comes.

        Args:
            m: largest number of bytes.
            too_long_exc_type: exception to raise if there are more.
        """
        while True:
            if len(self.buffer) > m:
                raise too_long_exc_type(f"stream has more than {m} bytes")
            if self.eof:
                return self._take(len(self.buffer))
            yield

    def at_eof(self) -> Generator[None, None, bool]:
        """Tell whether nothing comes any more, once that is known."""
        while not self.buffer:
            if self.eof:
                return True
            yield
        return False

    def feed_data(self, data: bytes | bytearray) -> None:
        """
        Add bytes.

        Raises:
            EOFError: the stream was ended.
        """
        self._check_open()
        self.buffer += data

    def feed_eof(self) -> None:
        """
        End the stream.

        Raises:
            EOFError: it was ended before.
        """
        self._check_open()
        self.eof = True

    def discard(self) -> None:
        """Throw away what was not read; the stream goes on."""
        self.buffer.clear()

    def _check_open(self) -> None:
        if self.eof:
            raise EOFError("stream was ended; nothing can come after that")

    def _take(self, size: int) -> bytes:
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data
