"""The command ``fullduplex explain``: how a connection is opened, or why not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import click

from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.diagnostics.explain import explain_failure, milliseconds
from ..exceptions import ConnectionClosed, WebSocketException
from ._errors import describe
from ._render import keep_printing
from ._target import OPEN_TIMEOUT, Target, open_target, with_target

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


FAILED = 1
INTERRUPTED = 130
# Seconds for one ping; a server that does not answer it may still be a good one.
PATIENCE = 3.0


def run_explain(target: Target) -> int:
    """Connect, tell the story, close; return the exit status."""
    keep_printing()
    try:
        return asyncio.run(_tell(target))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _tell(target: Target) -> int:
    began = monotonic()
    try:
        ws = await open_target(target, ping_interval=None)
    except (OSError, WebSocketException, ImportError) as error:
        _show(explain_failure(error, ConnectTrace(target.uri, began)))
        reason = describe(error, open_timeout=OPEN_TIMEOUT)
        print(
            f"fullduplex: cannot connect to {target.shown_uri}: {reason}",
            file=sys.stderr,
        )
        return FAILED
    try:
        await _tell_of(ws, monotonic() - began)
    finally:
        with contextlib.suppress(ConnectionClosed):
            await ws.close()
    return 0


async def _tell_of(ws: ClientConnection, took: float) -> None:
    verdict = f"works: open after {milliseconds(took)}"
    try:
        async with asyncio.timeout(PATIENCE):
            seconds = await (await ws.ping())
        verdict += f", a ping was answered after {milliseconds(seconds)}"
    except TimeoutError:
        verdict += f", but a ping was not answered within {PATIENCE:g} s"
    except ConnectionClosed:
        verdict += ", but the server ended the connection at once"
    _show(f"{ws.explain()}\nverdict: {verdict}")


def _show(text: str) -> None:
    for line in text.splitlines():
        # The lines of a section are further in than its title.
        click.secho(line, bold=not line.startswith("    "))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@with_target
def command(target: Target) -> Callable[[], int]:
    """Connect to URI and show everything that happened.

    Addresses, proxy, redirects, TLS, request and response, what was agreed,
    and timings.  Secrets in headers are hidden.

    Exit status: 0 the connection was opened, 1 it was not (standard error says
    why), 2 wrong usage.
    """
    return partial(run_explain, target)
