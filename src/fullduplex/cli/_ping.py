"""The command ``fullduplex ping``: round-trip times, shown as ``ping`` does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import click

from ..core.diagnostics.connect_trace import show_address
from ..core.diagnostics.stats import percentile
from ..exceptions import ConnectionClosed, WebSocketException
from ._errors import describe, one_line
from ._render import keep_printing
from ._target import OPEN_TIMEOUT, Target, check_seconds, open_target, with_target

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Options:
    """
    Target and timing of pings.

    Args:
        count: number of pings; None until Ctrl-C.
        interval: seconds from one to the next.
        timeout: seconds after which a ping counts as lost.
        quiet: show only the summary.
    """

    target: Target
    count: int | None = None
    interval: float = 1.0
    timeout: float = 10.0
    quiet: bool = False


@dataclass
class Tally:
    """Results of the pings."""

    sent: int = 0
    #: seconds
    times: list[float] = field(default_factory=list)

    def summary(self, elapsed: float) -> list[str]:
        """Return the lines of the summary; `elapsed` is in seconds."""
        answered = len(self.times)
        lost = 100 * (self.sent - answered) / self.sent if self.sent else 0
        lines = [
            f"{self.sent} pings sent, {answered} answered, {lost:.3g}% lost, "
            f"time {elapsed:.1f} s"
        ]
        if self.times:
            times = sorted(self.times)
            values = (
                times[0],
                sum(times) / answered,
                percentile(times, 50),
                percentile(times, 99),
                times[-1],
            )
            shown = "/".join(f"{1000 * seconds:.3f}" for seconds in values)
            lines.append(f"rtt min/mean/p50/p99/max = {shown} ms")
        return lines


def run_ping(options: Options) -> int:
    """Ping until the count is reached or Ctrl-C; return the exit status."""
    keep_printing()
    try:
        return asyncio.run(_ping(options))
    except KeyboardInterrupt:
        return INTERRUPTED


async def _ping(options: Options) -> int:
    target = options.target
    try:
        ws = await open_target(target, ping_interval=None)
    except (OSError, WebSocketException, ImportError) as error:
        reason = describe(error, open_timeout=OPEN_TIMEOUT)
        return _fail(f"cannot connect to {target.shown_uri}: {reason}")
    try:
        return await _ping_open(ws, options)
    finally:
        await ws.close()


async def _ping_open(ws: ClientConnection, options: Options) -> int:
    target = options.target
    print(f"PING {target.shown_uri} ({show_address(ws.remote_address)})", flush=True)
    tally = Tally()
    began = monotonic()
    failure: str | None = None
    try:
        await _measure(ws, options, tally)
    except ConnectionClosed as error:
        failure = f"connection to {target.shown_uri} ended: {one_line(str(error))}"
    except asyncio.CancelledError:
        pass  # Ctrl-C: what was measured so far is what was asked for
    print(f"--- {target.shown_uri} ping statistics ---")
    for line in tally.summary(monotonic() - began):
        print(line, flush=True)
    if failure is not None:
        return _fail(failure)
    return 0 if tally.times else FAILED


def _fail(reason: str) -> int:
    print(f"fullduplex: {reason}", file=sys.stderr)
    return FAILED


async def _measure(ws: ClientConnection, options: Options, tally: Tally) -> None:
    """
    Send pings at their times, whatever becomes of them, and wait for the last.

    Raises:
        ConnectionClosed: the connection ended first.
        OutputFailed: a line could not be written.
    """
    # Messages that nobody takes would stop the reading of pongs behind them.
    discarding = asyncio.create_task(_discard(ws))
    waiting: set[asyncio.Task[None]] = set()
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def over(task: asyncio.Task[None]) -> None:
        waiting.discard(task)
        if not task.cancelled() and not failed.done():
            error = task.exception()
            if error is not None:
                failed.set_exception(error)

    start = monotonic()
    try:
        while options.count is None or tally.sent < options.count:
            pause = start + tally.sent * options.interval - monotonic()
            if pause > 0:
                await asyncio.wait(
                    [discarding, failed], timeout=pause, return_when="FIRST_COMPLETED"
                )
            if failed.done():
                break
            # Raises once the connection has ended.
            pong = await ws.ping()
            tally.sent += 1
            task = asyncio.create_task(
                _await_pong(ws, pong, tally.sent, options, tally)
            )
            waiting.add(task)
            task.add_done_callback(over)
        while waiting and not failed.done():
            await asyncio.wait([failed, *waiting], return_when="FIRST_COMPLETED")
        if failed.done():
            failed.result()
    finally:
        if failed.done():
            failed.exception()  # seen, whatever ended it
        for task in (discarding, *waiting):
            task.cancel()
        await asyncio.gather(discarding, *waiting, return_exceptions=True)


async def _discard(ws: ClientConnection) -> None:
    async for _ in ws:
        pass


async def _await_pong(
    ws: ClientConnection,
    pong: Awaitable[float],
    number: int,
    options: Options,
    tally: Tally,
) -> None:
    try:
        seconds = await asyncio.wait_for(pong, options.timeout)
    except TimeoutError:
        line = f"no pong: seq={number} within {options.timeout:g} s"
    else:
        tally.times.append(seconds)
        address = show_address(ws.remote_address)
        line = f"pong from {address}: seq={number} time={1000 * seconds:.3f} ms"
    if not options.quiet:
        print(line, flush=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@with_target
@click.option(
    "-c",
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    help="Stop after N pings.  [default: until Ctrl-C]",
)
@click.option(
    "-i",
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.001, max=86_400),
    callback=check_seconds,
    default=1.0,
    show_default=True,
    help="Send a ping this often.",
)
@click.option(
    "-W",
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0.001, max=86_400),
    callback=check_seconds,
    default=10.0,
    show_default=True,
    help="Wait this long for each pong.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only the summary.")
def command(
    target: Target, count: int | None, interval: float, timeout: float, quiet: bool
) -> Callable[[], int]:
    """Measure round-trip times of WebSocket pings to URI.

    Ctrl-C ends it and shows the summary.

    Exit status: 0 at least one ping was answered, 1 none was, or the
    connection could not be opened or ended early, 2 wrong usage.
    """
    return partial(run_ping, Options(target, count, interval, timeout, quiet))
