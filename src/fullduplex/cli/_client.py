"""One connection from opening to exit status.

Where its outgoing messages come from is the matter of ``_interactive`` and
``_piped``; both leave the connection closed and tell how it ended by a
``Receiver``.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import WebSocketException
from ._errors import describe
from ._receiver import AbnormalEnd
from ._render import keep_printing
from ._target import OPEN_TIMEOUT, Target, open_target

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


# Above the library's default, which guards programs: this is for looking at
# what arrives.
_MAX_SIZE = 64 * 2**20  # bytes

_FAILED = 1
_INTERRUPTED = 130  # as shells report a command ended by Ctrl-C


@dataclass(frozen=True)
class Options:
    """Arguments of the command; times in seconds, ``None``: without end."""

    target: Target
    ping_interval: float | None
    wait: float | None


class _CannotConnect(Exception):
    """The connection could not be opened; the text says why."""


def run_session(options: Options) -> int:
    """
    Hold one session and return the exit status of the process.

    Raises:
        click.UsageError: the library refused an option, and nothing was sent,
            or standard input holds what is no text.
    """
    keep_printing()
    try:
        return asyncio.run(_session(options))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except _CannotConnect as failure:
        return _fail(f"cannot connect to {options.target.shown_uri}: {failure}")
    except AbnormalEnd as failure:
        return _fail(f"connection to {options.target.shown_uri} failed: {failure}")


def _fail(reason: str) -> int:
    print(f"fullduplex: {reason}", file=sys.stderr)
    return _FAILED


async def _session(options: Options) -> int:
    async with await _open(options) as ws:
        try:
            if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
                from ._interactive import converse

                await converse(ws, options.target.shown_uri)
            else:
                from ._piped import exchange

                await exchange(ws, quiet=options.wait)
        except asyncio.CancelledError:
            await ws.close(1001)  # Ctrl-C: going away (RFC 6455, 7.4.1)
            raise
    return 0


async def _open(options: Options) -> ClientConnection:
    try:
        return await open_target(
            options.target, ping_interval=options.ping_interval, max_size=_MAX_SIZE
        )
    except (OSError, WebSocketException, ImportError) as error:
        raise _CannotConnect(describe(error, open_timeout=OPEN_TIMEOUT)) from None
