"""Base of the connections on asyncio and trio.

Each method starts an operation of the session and lets the driver carry it out.  A face
adds its transport, and its own `recv` and `send`, which return before an operation is
made where that is possible.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Coroutine, Iterable
from typing import Any, Literal, Self, overload

from ..core.connection.base import BaseConnection
from ..core.endpoint import operations
from ..core.endpoint.endpoint import Endpoint
from ..core.endpoint.message_sender import (
    FragmentSender,
    message_payload,
)
from ..core.endpoint.not_open import NOT_OPEN
from ..core.endpoint.options import Options
from ..core.frames.frame import control_payload
from ..core.typing import BytesLike, Data, DataLike, LoggerLike
from .driver import AsyncDriver
from .fragment_stream import FragmentStream


class AsyncConnection(BaseConnection):
    """
    All that connections on asyncio and trio have in common.

    Args:
        options: the limits.
        logger: where to log.
        driver: carries out operations.
    """

    # Attributes that `recv` and `send` read are slots: no look into a dictionary.
    __slots__ = ("__dict__", "__weakref__", "_driver", "_session")

    _driver: Any

    def __init__(
        self, options: Options, logger: LoggerLike, driver: AsyncDriver
    ) -> None:
        self._options = options
        self._base_logger = logger
        self._driver = driver
        self._session: Endpoint = NOT_OPEN
        #: subprotocol, if one was negotiated
        self.subprotocol: str | None = None

    def _tcp_ended(self) -> bool:
        return self._driver.ended  # type: ignore[no-any-return]

    def _begin_close(self, code: int | None, reason: str) -> None:
        self._driver.begin_close(code, reason)

    async def ensure_open(self) -> None:
        """
        Return if messages can be exchanged; if not, wait for the end, and raise.

        Always a checkpoint on trio.  Cancellation: safe.

        Raises:
            ConnectionClosed: the connection is closed.
        """
        if not self.open:
            await self.wait_closed()
            raise self.close_exc
        await self._driver.checkpoint()

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, by whichever side.

        Never raises.  Cancellation: safe.
        """
        if self._session is not NOT_OPEN or not self._driver.ended:
            await self._driver.run(operations.wait_closed(self._session))
        await self._driver.share()

    async def __aenter__(self) -> Self:
        return self

    # Receiving

    @overload
    def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
    @overload
    def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
    @overload
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]: ...

    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]:
        """
        Wait for the next message.

        Cancellation: safe.  A cancelled call takes nothing; the next call gets the
        message.

        Args:
            decode: True returns `str` for binary messages too, which must then be
                UTF-8, False returns `bytes` for text messages too.

        Returns:
            `str` for a text message, `bytes` for a binary one (RFC 6455, 5.6).

        Raises:
            ConnectionClosed: the connection is closed and all messages that had
                arrived before have been returned.
            ConcurrencyError: another call is waiting already.
        """
        return self._receive(decode)

    async def _receive(self, decode: bool | None) -> Data:
        # Before a message is taken, which would be lost where this is cancelled.
        await self._driver.share()
        return await self._driver.run(operations.recv(self._session, decode))  # type: ignore[no-any-return]

    def recv_streaming(self, decode: bool | None = None) -> FragmentStream:
        """
        Receive the next message fragment by fragment.

        Args:
            decode: as for `recv`; a character that is split between frames comes
                with the frame that ends it.

        Returns:
            An asynchronous iterator over the payloads of its frames.  When it is
            abandoned, the rest of the message is discarded.

        Cancellation: safe; go on with the same iterator.

        Raises:
            ConnectionClosed: (from the iterator) as `recv`.
            ConcurrencyError: (from the iterator) as `recv`.
        """
        return FragmentStream(self._session, self._driver, decode)

    # Sending

    def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> Coroutine[Any, Any, None]:
        """
        Send a message.

        A `str` goes out as text, a bytes-like object as binary.  An iterable or
        asynchronous iterable of either goes out as one message in fragments (RFC
        6455, 5.4); other messages wait until it is complete.

        It waits only while more than `write_limit` bytes are on their way.

        Cancellation: a message goes out whole or not at all.  A message in fragments
        cannot be completed then, so the connection fails with 1011.

        Args:
            text: True sends bytes as a text message, which must then be UTF-8;
                False sends a `str` as a binary one.
            compress: False sends this message as it is, True compresses it whatever
                the policy says, and None, the default, leaves it to the policy (see
                `ClientPerMessageDeflateFactory`).  Of no effect where the extension
                was not negotiated.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            TypeError: `message` is of another type; nothing was sent.  For an item
                after the first one, the connection fails with 1011.
            UnicodeEncodeError: a `str` has lone surrogates; nothing was sent.
        """
        return self._send(message, text, compress)

    async def _send(
        self, message: Any, text: bool | None, compress: bool | None
    ) -> None:
        payload = message_payload(message, text)
        if payload is None:
            await self._send_fragments(message, text, compress)
        else:
            await self._driver.run_fairly(
                operations.send(self._session, *payload, compress)
            )

    async def _send_fragments(
        self, message: Any, text: bool | None, compress: bool | None
    ) -> None:
        run = self._driver.run_fairly
        fragments = FragmentSender(self._session, text, compress)
        failure: BaseException | None = None
        try:
            if isinstance(message, AsyncIterable):
                async for item in message:
                    await run(fragments.add(item))
            else:
                for item in message:
                    await run(fragments.add(item))
            await run(fragments.end())
        except BaseException as exc:
            failure = exc
            raise
        finally:
            self._session.now = self._now()
            for waiter in fragments.release(failure):
                waiter.fire()
            self._driver.step()
            self._end_turn()

    def _end_turn(self) -> None:
        """Send what a driver joins with later messages."""

    async def pong(self, data: str | BytesLike = b"") -> None:
        """
        Send an unsolicited pong, a heartbeat in one direction (RFC 6455, 5.5.3).

        Args:
            data: at most 125 bytes.

        Cancellation: the pong may or may not be sent.

        Raises:
            ConnectionClosed: the connection is closing or closed.
            ProtocolError: `data` is longer than 125 bytes; nothing was sent.
        """
        payload = control_payload("pong data", data)
        await self._driver.run_fairly(
            operations.pong(self._session, payload, self._now())
        )
