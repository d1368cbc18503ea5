"""A session in a terminal: a prompt, and messages shown above it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import create_input
from prompt_toolkit.patch_stdout import patch_stdout

from ..exceptions import ConnectionClosed
from ._receiver import Receiver
from ._render import MessagePrinter

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


async def converse(ws: ClientConnection, shown_uri: str) -> None:
    """
    Send each line that is typed, show what arrives, until either side ends.

    Ctrl-D and Ctrl-C close the connection with 1000.

    Args:
        ws: an open connection; closed at return.
        shown_uri: name of the server to show.

    Raises:
        AbnormalEnd: the connection was not closed normally.
    """
    printer = MessagePrinter(marks=True)
    keyboard = create_input()
    # While it draws above the prompt, prompt_toolkit gives the terminal's own
    # line editing back, for programs that ask a question.  Typing in that moment would
    # be echoed twice, and a Ctrl-D lost.
    keyboard.cooked_mode = nullcontext  # type: ignore[method-assign]
    # A KeyboardInterrupt would leave the event loop by way of the task.
    session: PromptSession[str] = PromptSession(
        history=_history(), input=keyboard, interrupt_exception=EOFError
    )
    subprotocol = f", subprotocol {ws.subprotocol}" if ws.subprotocol else ""
    printer.note(f"Connected to {shown_uri}{subprotocol}. Ctrl-D ends the session.")
    with patch_stdout(raw=True):  # raw: colours are ours, messages are escaped
        receiver = Receiver(ws, printer)
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        # A task of its own: while the server is slow to read, the prompt and
        # its keys still work.
        sending = asyncio.create_task(_send_lines(ws, lines, printer))
        try:
            with keyboard.raw_mode():  # also between one prompt and the next
                await _read_lines(session, lines, receiver)
            await sending
            ending = await receiver.end()
        finally:
            sending.cancel()
            receiver.task.cancel()
    printer.note(f"Connection closed: {ending}.")


async def _read_lines(
    session: PromptSession[str], lines: asyncio.Queue[str | None], receiver: Receiver
) -> None:
    """Queue what is typed; ``None`` after the last line."""
    try:
        while True:
            typing = asyncio.ensure_future(session.prompt_async("> "))
            try:
                await asyncio.wait(
                    {typing, receiver.task}, return_when="FIRST_COMPLETED"
                )
            finally:
                if not typing.done():
                    # Awaited, so that the prompt is taken away before all else.
                    typing.cancel()
                    await asyncio.wait({typing})
            if typing.cancelled():
                return
            lines.put_nowait(typing.result())
    except EOFError:
        return
    finally:
        lines.put_nowait(None)


async def _send_lines(
    ws: ClientConnection, lines: asyncio.Queue[str | None], printer: MessagePrinter
) -> None:
    while (line := await lines.get()) is not None:
        try:
            await ws.send(line)
        except ConnectionClosed:
            return  # the receiver reports the end
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
        path.touch(mode=0o600)  # the history may hold secrets
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
