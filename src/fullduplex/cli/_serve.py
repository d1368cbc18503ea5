"""The command ``fullduplex serve``: an echo or chat server until a signal.

The first SIGTERM or Ctrl-C stops accepting and gives connections time to finish;
the second one ends at once.
"""

from __future__ import annotations

import asyncio
import math
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from ..exceptions import ConnectionClosed
from ._server import FAILED, Options, Stop, failure, run_server, welcome


async def _serve(options: Options) -> int:
    stop = Stop()
    stop.on_signals()
    return await run_server(options, stop, partial(welcome, options))


def serve_alone(options: Options) -> int:
    """Serve in this process; returns the exit status."""
    try:
        return asyncio.run(_serve(options))
    except (OSError, ConnectionClosed) as error:
        print(failure(options, error), file=sys.stderr)
        return FAILED


def _check_drain(
    _context: click.Context, _parameter: click.Parameter, value: float
) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("it must be a number of seconds")
    return value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Name or address to listen on; '' for all.",
)
@click.option(
    "--port",
    default=8765,
    show_default=True,
    metavar="PORT",
    type=click.IntRange(0, 65535),
    help="Port; 0: the system chooses.",
)
@click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option(
    "--tls-cert",
    metavar="FILE",
    help="Certificate chain in PEM; makes the server a wss:// one.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    help="Key of the certificate, if it is in a file of its own.",
)
@click.option(
    "--broadcast", "chat", is_flag=True, help="Chat: send each message to everybody."
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 1024),
    help="Processes on the one port.",
)
@click.option(
    "--drain",
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=_check_drain,
    help="Time for connections to finish when the server stops.",
)
def command(workers: int, host: str, **given: Any) -> Callable[[], int]:
    """Serve WebSocket connections: echo each message.

    Ctrl-C or SIGTERM stops the server: it accepts no more connections,
    closes the open ones with 1001 and waits for them, --drain at most.
    A second one ends it at once.

    Exit status: 0 stopped, 1 could not listen, 2 wrong usage, 130 ended at
    once.
    """
    options = Options(host=host or None, **given)
    if options.tls_key is not None and options.tls_cert is None:
        raise click.UsageError("--tls-key needs --tls-cert")
    if options.unix is not None and not hasattr(socket, "AF_UNIX"):
        raise click.UsageError("this system has no Unix sockets")
    if workers == 1:
        return partial(serve_alone, options)
    if options.chat:
        raise click.UsageError(
            "--broadcast reaches the connections of one process; leave out --workers"
        )
    if options.unix is not None:
        raise click.UsageError("a Unix socket has one process; leave out --workers")
    if not hasattr(socket, "SO_REUSEPORT"):
        raise click.UsageError("this system cannot share a port between processes")
    from ._workers import serve_together

    return partial(serve_together, options, workers)
