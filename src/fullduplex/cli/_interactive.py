"""A session in a terminal: a prompt, and messages shown above it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from ..exceptions import ConnectionClosed
from ._receiver import Receiver
from ._render import MessagePrinter

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection

__all__ = ["converse"]


async def converse(ws: ClientConnection, shown_uri: str) -> None:
    """
    Send each line that is typed, show what arrives, until either side ends.

    Ctrl-D and Ctrl-C close the connection with 1000.

    Args:
        ws: an open connection; closed at return.
        shown_uri: how to name the server.

    Raises:
        AbnormalEnd: the connection was not closed normally.
    """
    printer = MessagePrinter(marks=True)
    # A KeyboardInterrupt would leave the event loop by way of the task.
    session: PromptSession[str] = PromptSession(
        history=_history(), interrupt_exception=EOFError
    )
    subprotocol = f", subprotocol {ws.subprotocol}" if ws.subprotocol else ""
    printer.note(f"Connected to {shown_uri}{subprotocol}. Ctrl-D ends the session.")
    with patch_stdout(raw=True):  # raw: colours are ours, messages are escaped
        receiver = Receiver(ws, printer)
        try:
            await _send_typed(ws, session, receiver, printer)
            ending = await receiver.end()
        finally:
            receiver.task.cancel()
    printer.note(f"Connection closed: {ending}.")


async def _send_typed(
    ws: ClientConnection,
    session: PromptSession[str],
    receiver: Receiver,
    printer: MessagePrinter,
) -> None:
    while True:
        typing = asyncio.ensure_future(session.prompt_async("> "))
        try:
            await asyncio.wait({typing, receiver.task}, return_when="FIRST_COMPLETED")
        finally:
            if not typing.done():
                # Awaited, so that the terminal is set back before anything else.
                typing.cancel()
                await asyncio.wait({typing})
        if typing.cancelled():
            return
        try:
            await ws.send(typing.result())
        except (EOFError, ConnectionClosed):
            return
        except UnicodeEncodeError:
            printer.note("Not sent: the line holds what is no Unicode text.")


def _history() -> History:
    """Return the history kept between sessions, or one for this session only."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # Relative paths in the variable are invalid (XDG Base Directory).
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    path = base / "fullduplex" / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # what was typed may be secret
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return _ForgivingHistory(str(path))


class _ForgivingHistory(FileHistory):
    """A history file; one that cannot be read or written is no error."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except (OSError, UnicodeError):
            pass
