"""The receiving half of a session: shows messages, knows how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..exceptions import ConnectionClosedError
from ..frames import Close
from ._errors import one_line
from ._render import MessagePrinter

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


_NO_CODE = 1005  # the peer's close frame was empty (RFC 6455, 7.4.1)


class AbnormalEnd(Exception):
    """The connection ended other than by a normal closing handshake."""


class Receiver:
    """
    Show what arrives until the connection ends.

    Attributes:
        count: messages shown so far.
        task: done when the connection has ended.
    """

    def __init__(self, ws: ClientConnection, printer: MessagePrinter) -> None:
        self.count = 0
        self._ws = ws
        self._printer = printer
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._show_all())

    async def _show_all(self) -> None:
        try:
            async for message in self._ws:
                self._printer.show(message)
                self.count += 1
                self._news.set()
        finally:
            self._news.set()

    async def wait_for(self, count: int, *, quiet: float | None) -> None:
        """
        Wait until ``count`` messages have arrived in all, or the connection ended.

        Args:
            count: 0 stands for a number that is not known.
            quiet: stop waiting when nothing has arrived for so many seconds.

        Cancellation: safe.
        """
        while not (0 < count <= self.count or self.task.done()):
            self._news.clear()
            try:
                async with asyncio.timeout(quiet):
                    await self._news.wait()
            except TimeoutError:
                return

    async def end(self) -> str:
        """
        Close the connection if it is open, wait until it has ended.

        Returns:
            The close code and the reason, as a line to show.

        Raises:
            AbnormalEnd: it did not end by a normal closing handshake.
        """
        await self._ws.close()
        try:
            await self.task
        except ConnectionClosedError as error:
            raise AbnormalEnd(one_line(str(error))) from None
        code = self._ws.close_code
        if code is None or code == _NO_CODE:
            return "without a code"
        return one_line(str(Close(code, self._ws.close_reason or "")))
