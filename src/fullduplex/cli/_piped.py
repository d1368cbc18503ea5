"""A session between two pipes: lines in, replies out, and then an end.

A program that pipes a line into the command wants its answer and then the exit
status.  WebSocket has no notion of an answer, so two rules stand in for it: as
many messages arrived as were sent, or nothing arrived for a while.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from ..exceptions import ConnectionClosed
from ._output import OutputFailed
from ._receiver import Receiver
from ._render import MessagePrinter

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


_CHUNK = 65_536  # bytes


async def exchange(ws: ClientConnection, *, quiet: float | None) -> None:
    """
    Send the lines of standard input, print what arrives, and close.

    Args:
        ws: an open connection; closed at return.
        quiet: after the end of the input, wait for replies until nothing has
            arrived for so many seconds.

    Raises:
        AbnormalEnd: the connection was not closed normally.
        click.UsageError: a line is not UTF-8; the lines before it were sent.
        OutputFailed: standard output cannot be written; the connection was closed.
    """
    receiver = Receiver(ws, MessagePrinter(marks=False))
    sending = asyncio.create_task(_send_lines(ws))
    refused: click.UsageError | None = None
    try:
        await asyncio.wait({receiver.task, sending}, return_when="FIRST_COMPLETED")
        try:
            if sending.done():
                await receiver.wait_for(sending.result(), quiet=quiet)
        except ConnectionClosed:
            # The receiver reports the end; an error here may go unnoticed.
            print(
                "fullduplex: the connection was closed before all lines were sent",
                file=sys.stderr,
            )
        except click.UsageError as error:
            refused = error
        await receiver.end()
    except OutputFailed:
        await ws.close()
        raise
    finally:
        sending.cancel()
        receiver.task.cancel()
    if refused is not None:
        raise refused


async def _send_lines(ws: ClientConnection) -> int:
    """Send each line of standard input as a text message, return how many."""
    count = 0
    async for line in _lines():
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise click.UsageError(
                f"line {count + 1} of standard input is not UTF-8"
                f" ({error.reason} at byte {error.start}); messages are text"
            ) from None
        await ws.send(text)
        count += 1
    return count


async def _lines() -> AsyncIterator[bytes]:
    """Yield the lines of standard input without their ends."""
    parts: list[bytes] = []  # of a line whose end has not been read
    async for chunk in _chunks():
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for piece in others:
            yield b"".join(parts).removesuffix(b"\r")
            parts = [piece]
    if last := b"".join(parts):
        yield last


async def _chunks() -> AsyncIterator[bytes]:
    """
    Yield what a thread reads from standard input.

    Event loops cannot watch regular files, nor on Windows pipes.  The thread
    is a daemon and calls ``os.read`` because it may wait in there for ever:
    neither holds up the end of the process.  It reads only when asked, so that
    the server's pace limits how much input is held.
    """
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    wanted = threading.Semaphore(0)

    def read() -> None:
        chunk = b"-"
        while chunk:
            wanted.acquire()
            try:
                chunk = os.read(descriptor, _CHUNK)
            except OSError:
                chunk = b""
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:
                return  # the loop was closed while this thread waited

    threading.Thread(target=read, name="standard input", daemon=True).start()
    while True:
        wanted.release()
        chunk = await chunks.get()
        if not chunk:
            return
        yield chunk
