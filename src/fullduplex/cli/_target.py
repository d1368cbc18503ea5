"""Address and request of a connection: the words that client commands share."""

from __future__ import annotations

import functools
import math
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .. import connect
from ..exceptions import WebSocketException
from ._errors import one_line, without_credentials

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection


OPEN_TIMEOUT = 10.0  # seconds
# Short: somebody waits for the prompt of their shell.
CLOSE_TIMEOUT = 3.0  # seconds

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


@dataclass(frozen=True)
class Target:
    """Arguments of the command line about one connection."""

    uri: str
    headers: list[tuple[str, str]]
    subprotocols: list[str]
    origin: str | None
    insecure: bool
    compression: str | None

    @property
    def shown_uri(self) -> str:
        """The URI as it may be shown: one line, without user name and password."""
        return one_line(without_credentials(self.uri))


async def open_target(target: Target, **options: Any) -> ClientConnection:
    """
    Connect.

    Args:
        options: further ones for `connect`, and other values for its timeouts.

    Raises:
        OSError, WebSocketException, ImportError: as `connect` does.
        click.UsageError: the library refused an option, and nothing was sent.
    """
    if target.insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        options["ssl"] = context
    options.setdefault("open_timeout", OPEN_TIMEOUT)
    options.setdefault("close_timeout", CLOSE_TIMEOUT)
    try:
        return await connect(
            target.uri,
            additional_headers=target.headers,
            subprotocols=target.subprotocols or None,
            origin=target.origin,
            compression=target.compression,
            **options,
        )
    except (OSError, WebSocketException, ImportError):
        raise
    except (ValueError, TypeError) as error:
        raise click.UsageError(one_line(without_credentials(str(error)))) from None


def with_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument URI and its options; it gets a `Target`."""

    @functools.wraps(command)
    def with_parts(
        uri: str,
        headers: list[tuple[str, str]],
        subprotocols: tuple[str, ...],
        origin: str | None,
        insecure: bool,
        no_compression: bool,
        **others: Any,
    ) -> Any:
        if insecure and not uri.lower().startswith("wss:"):
            raise click.UsageError("--insecure is for wss:// URIs")
        target = Target(
            uri=uri,
            headers=headers,
            subprotocols=list(subprotocols),
            origin=origin,
            insecure=insecure,
            compression=None if no_compression else "deflate",
        )
        return command(target, **others)

    wrapped: Callable[..., Any] = with_parts
    for option in reversed(_PARTS):
        wrapped = option(wrapped)
    return wrapped


def check_seconds(
    _context: click.Context, _parameter: click.Parameter, value: float
) -> float:
    """Refuse what `click.FloatRange` lets through."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds")
    return value


def _check_uri(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from ..exceptions import InvalidURI
    from ..uri import parse_uri

    try:
        parse_uri(value)
    except (InvalidURI, ValueError) as error:
        # A slash in a password moves the end of the user information, so
        # in a URI that does not parse everything up to the last @ is hidden.
        reason = without_credentials(str(error), strict=True)
        raise click.BadParameter(one_line(reason)) from None
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


_PARTS: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.argument("uri", callback=_check_uri),
    click.option(
        "-H",
        "--header",
        "headers",
        metavar="NAME:VALUE",
        multiple=True,
        callback=_split_headers,
        help="Add a header to the handshake request.  May be repeated.",
    ),
    click.option(
        "--subprotocol",
        "subprotocols",
        metavar="NAME",
        multiple=True,
        callback=_check_values,
        help="Offer a subprotocol.  May be repeated, the preferred one first.",
    ),
    click.option(
        "--origin",
        metavar="ORIGIN",
        callback=_check_values,
        help="Send an Origin header.",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        help="Accept any certificate of a wss:// server.",
    ),
    click.option("--no-compression", is_flag=True, help="Do not offer compression."),
]
