"""Options and arguments: from the words of a command line to a call.

Three commands share one name.  A URI holds ``://``, so the words ``demo`` and
``serve`` in first place can only mean these.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import click

from . import version_line
from ._failures import one_line, without_credentials
from ._session import Options, run_session

__all__ = ["run"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def run(arguments: Sequence[str]) -> NoReturn:
    """Run one command line, given without the program's name, and exit."""
    command, name = client, "fullduplex"
    if arguments[:1] == ["demo"]:
        command, name, arguments = demo, "fullduplex demo", arguments[1:]
    elif arguments[:1] == ["serve"]:
        from ._serve import command as serve

        command, name, arguments = serve, "fullduplex serve", arguments[1:]
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


def _check_uri(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from ..exceptions import InvalidURI
    from ..uri import parse_uri

    try:
        parse_uri(value)
    except (InvalidURI, ValueError) as error:
        hint = ""
        if "://" not in value:
            hint = "; a URI starts with ws:// or wss://"
        elif value.lower().startswith(("http://", "https://")):
            hint = "; replace http by ws"
        # A slash in a password moves the end of the user information, so
        # in a URI that does not parse everything up to the last @ is hidden.
        reason = without_credentials(str(error), strict=True)
        raise click.BadParameter(one_line(reason) + hint) from None
    return value


def _split_headers(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    headers = []
    for item in values:
        name, colon, value = item.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()):
            # The item may be a secret whose name was forgotten: not shown.
            raise click.BadParameter("a header is given as NAME:VALUE")
        headers.append((name.strip(), _one_line_value(value.strip())))
    return headers


def _check_values(
    _context: click.Context,
    _parameter: click.Parameter,
    value: str | tuple[str, ...] | None,
) -> str | tuple[str, ...] | None:
    for item in (value,) if isinstance(value, str) else value or ():
        _one_line_value(item)
    return value


def _one_line_value(value: str) -> str:
    if any(character in "\r\n\0" for character in value):
        raise click.BadParameter("a header cannot hold CR, LF or NUL")
    return value


def _check_seconds(
    _context: click.Context, _parameter: click.Parameter, value: float
) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds")
    return value


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`fullduplex demo` shows the library at work, without a network; "
    "`fullduplex serve` starts an echo or chat server.",
)
@click.argument("uri", callback=_check_uri)
@click.option(
    "-H",
    "--header",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    callback=_split_headers,
    help="Add a header to the handshake request.  May be repeated.",
)
@click.option(
    "--subprotocol",
    "subprotocols",
    metavar="NAME",
    multiple=True,
    callback=_check_values,
    help="Offer a subprotocol.  May be repeated, the preferred one first.",
)
@click.option(
    "--origin", metavar="ORIGIN", callback=_check_values, help="Send an Origin header."
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Accept any certificate of a wss:// server.",
)
@click.option(
    "--ping-interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=_check_seconds,
    default=20.0,
    show_default=True,
    help="Ping the server this often, to find out when it is gone; 0: never.",
)
@click.option("--no-compression", is_flag=True, help="Do not offer compression.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    callback=_check_seconds,
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
def client(
    uri: str,
    headers: list[tuple[str, str]],
    subprotocols: tuple[str, ...],
    origin: str | None,
    insecure: bool,
    ping_interval: float,
    no_compression: bool,
    wait: float,
) -> Callable[[], int]:
    """Open the WebSocket connection URI and talk to its server.

    In a terminal, each line you type is sent as a text message, and messages
    that arrive are shown above the prompt.  Ctrl-D ends the session.

    With piped input, each line of standard input is sent as a text message
    and replies are printed, one a line.  The session ends when as many
    messages have arrived as were sent, or after --wait.

    Exit status: 0 closed normally, 1 could not connect or closed abnormally,
    2 wrong usage.
    """
    if insecure and not uri.lower().startswith("wss:"):
        raise click.UsageError("--insecure is for wss:// URIs")
    options = Options(
        uri=uri,
        headers=headers,
        subprotocols=list(subprotocols),
        origin=origin,
        insecure=insecure,
        ping_interval=ping_interval if 0 < ping_interval < math.inf else None,
        compression=None if no_compression else "deflate",
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
    help="How many messages are sent and echoed.",
)
def demo(messages: int) -> Callable[[], int]:
    """Send messages to an echo server in this process and time the replies.

    Needs no network: the server listens on a free port of 127.0.0.1.  Every
    echo is compared with what was sent.
    """
    from ._demo import run_demo

    return partial(run_demo, messages)
