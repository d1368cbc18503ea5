"""Options and arguments: from the words of a command line to a call.

Several commands share one name.  A URI holds ``://``, so the words in `COMMANDS`
can only mean these where they come first.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import click

from ._client import Options, run_session
from ._program import version_line
from ._target import Target, check_seconds, with_target


def run(arguments: Sequence[str]) -> NoReturn:
    """Run one command line, given without the program's name, and exit."""
    command, name = client, "fullduplex"
    word = arguments[0] if arguments else ""
    if word in COMMANDS:
        command, name = COMMANDS[word](), f"{name} {word}"
        arguments = arguments[1:]
    try:
        # click only parses: around what it runs, it has its own idea of Ctrl-C.
        action: Callable[[], int] | int = command.main(
            list(arguments), prog_name=name, standalone_mode=False
        )
        # A status where help or version was all that was wanted.
        sys.exit(action if isinstance(action, int) else action())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _show_version(
    context: click.Context, _parameter: click.Parameter, wanted: bool
) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(version_line())
        context.exit()


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`fullduplex ping URI` measures round-trip times; `fullduplex explain URI` "
    "shows how a connection is opened, or why not; `fullduplex serve` starts an echo "
    "or chat server; `fullduplex demo` shows the library at work, without a network.",
)
@with_target
@click.option(
    "--ping-interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=check_seconds,
    default=20.0,
    show_default=True,
    help="Ping the server this often, to find out when it is gone; 0: never.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=check_seconds,
    default=1.0,
    show_default=True,
    help="With piped input: after its end, wait for replies until none has come "
    "for this long; inf: until the server closes.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and the implementation in use.",
)
def client(target: Target, ping_interval: float, wait: float) -> Callable[[], int]:
    """Open the WebSocket connection URI and talk to its server.

    In a terminal, each line you type is sent as a text message, and messages
    that arrive are shown above the prompt.  Ctrl-D ends the session.

    With piped input, each line of standard input is sent as a text message
    and replies are printed, one a line.  The session ends when as many
    messages have arrived as were sent, or after --wait.

    Exit status: 0 closed normally, 1 could not connect or closed abnormally,
    2 wrong usage.
    """
    options = Options(
        target=target,
        ping_interval=ping_interval if 0 < ping_interval < math.inf else None,
        wait=wait if wait < math.inf else None,
    )
    return partial(run_session, options)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--messages",
    metavar="N",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Number of messages to send and echo.",
)
def demo(messages: int) -> Callable[[], int]:
    """Send messages to an echo server in this process and time the replies.

    Needs no network: the server listens on a free port of 127.0.0.1.  Every
    echo is compared with what was sent.
    """
    from ._demo import run_demo

    return partial(run_demo, messages)


def _serve() -> click.Command:
    from ._serve import command

    return command


def _ping() -> click.Command:
    from ._ping import command

    return command


def _explain() -> click.Command:
    from ._explain import command

    return command


# Loaded when they are called: each brings more than the others need.
COMMANDS: dict[str, Callable[[], click.Command]] = {
    "demo": lambda: demo,
    "explain": _explain,
    "ping": _ping,
    "serve": _serve,
}
