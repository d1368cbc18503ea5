"""Agreement of the two sides: WebSocket, extensions, subprotocol, origin.

Each function reads the headers of one message and either returns what follows from
them or raises.  A client passes what it offered, a server what it supports.

A client refuses an answer that goes beyond its offer.  A server skips extensions
that it can't use, but refuses a request with which it has no subprotocol in common:
without one, neither side could tell what messages mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from ..arguments import exact_str
from ..errors import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidOrigin,
    InvalidUpgrade,
    NegotiationError,
)
from ..extensions.base import ClientExtensionFactory, ServerExtensionFactory
from ..frames.frame import Extension
from ..http.grammar import (
    build_extension,
    check_items,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
)
from ..http.headers import Headers
from ..typing import ExtensionHeader, Subprotocol

OriginRule: TypeAlias = str | re.Pattern[str] | None
"""An origin that is allowed; ``None`` stands for requests without one."""

SelectSubprotocol: TypeAlias = Callable[[list[Subprotocol]], str | None]
"""Picks one of the subprotocols that a client offers."""

T = TypeVar("T")


def required_header(headers: Headers, name: str) -> str:
    """
    Get a header that must be there once.

    Raises:
        InvalidHeader: it is missing or repeated.
    """
    values = headers._all(name)
    if not values:
        raise InvalidHeader(name)
    if len(values) > 1:
        raise InvalidHeader(name, f"it is there {len(values)} times, expected once")
    return values[0]


def check_upgrade(headers: Headers) -> None:
    """
    Check ``Connection`` and ``Upgrade`` (RFC 6455, 4.1 and 4.2.1).

    Raises:
        InvalidUpgrade: one is missing or has another value.
        InvalidHeaderFormat: one is malformed.
    """
    plain = is_only(headers, "Connection", "upgrade")
    if plain and is_only(headers, "Upgrade", "websocket"):
        return
    options = parse_all(parse_connection, headers, "Connection")
    if not any(option.lower() == "upgrade" for option in options):
        raise InvalidUpgrade("Connection", quote(options))
    protocols = parse_all(parse_upgrade, headers, "Upgrade")
    # For now, upgrading to one of several protocols makes no sense to a client.
    if len(protocols) != 1 or protocols[0].lower() != "websocket":
        raise InvalidUpgrade("Upgrade", quote(protocols))


# -- Client --------------------------------------------------------------------


def process_client_extensions(
    headers: Headers, available_extensions: Sequence[ClientExtensionFactory] | None
) -> list[Extension]:
    """
    Apply the server's choice of extensions.

    Args:
        headers: headers of the response.
        available_extensions: offered subprotocols, in the order of preference.

    Returns:
        Extensions in the order in which to encode frames.

    Raises:
        NegotiationError: the server chose what was not offered, or in a way that
            was not offered.
        InvalidHeaderFormat: the header is malformed.
    """
    accepted: list[Extension] = []
    for name, params in parse_all(parse_extension, headers, "Sec-WebSocket-Extensions"):
        refused: NegotiationError | None = None
        # Several offers may differ only in their parameters.
        for factory in available_extensions or ():
            if factory.name == name:
                try:
                    accepted.append(factory.process_response_params(params, accepted))
                except NegotiationError as exc:
                    refused = refused or exc
                else:
                    break
        else:
            if refused is not None:
                raise refused
            offered = ", ".join(factory.name for factory in available_extensions or ())
            raise NegotiationError(
                f"server chose extension {name[:64]!r}; offered: {offered or 'none'}"
            )
    return accepted


def process_client_subprotocol(
    headers: Headers, available_subprotocols: Sequence[str] | None
) -> Subprotocol | None:
    """
    Get the server's choice of a subprotocol.

    Args:
        headers: headers of the response.
        available_subprotocols: offered extensions.

    Returns:
        The subprotocol; ``None`` if the server chose none, which is its right.

    Raises:
        NegotiationError: the server chose one that was not offered.
        InvalidHeaderValue: the server chose several.
        InvalidHeaderFormat: the header is malformed.
    """
    name = "Sec-WebSocket-Protocol"
    chosen = parse_all(parse_subprotocol, headers, name)
    if not chosen:
        return None
    if available_subprotocols and len(chosen) > 1:
        raise InvalidHeaderValue(name, f"{quote(chosen)}, expected one subprotocol")
    if chosen[0] not in (available_subprotocols or ()):
        raise NegotiationError(
            f"server chose subprotocol {quote(chosen)!r}; "
            f"offered: {', '.join(available_subprotocols or ()) or 'none'}"
        )
    return chosen[0]


# -- Server --------------------------------------------------------------------


def process_origin(
    headers: Headers, origins: Sequence[OriginRule] | None
) -> str | None:
    """
    Check where a request comes from (RFC 6455, 10.2).

    Args:
        headers: headers of the request.
        origins: origins that are allowed; a string must be equal, a pattern must
            match all of it, ``None`` admits requests without an origin.  No list
            admits everything.

    Returns:
        The origin, ``None`` if the request has none.

    Raises:
        InvalidOrigin: the origin is not allowed, or missing.  Answer with 403.
        InvalidHeader: there are several.  Answer with 400.
    """
    origin = required_header(headers, "Origin") if "Origin" in headers else None
    if origins is None:
        return origin
    for rule in origins:
        if isinstance(rule, re.Pattern):
            if origin is not None and rule.fullmatch(origin):
                return origin
        elif rule == origin:
            return origin
    raise InvalidOrigin(None if origin is None else origin[:64])


def process_server_extensions(
    headers: Headers, available_extensions: Sequence[ServerExtensionFactory] | None
) -> tuple[str | None, list[Extension]]:
    """
    Choose extensions among those that a client offers.

    For each offer, in the client's order, the first factory that can accept it is
    taken.  Offers that nobody accepts are skipped.

    Args:
        headers: headers of the request.
        available_extensions: extensions that this server supports.

    Returns:
        Value of ``Sec-WebSocket-Extensions``, ``None`` for no such header, and the
        extensions in the order in which to encode frames.

    Raises:
        InvalidHeaderFormat: the header is malformed.
    """
    answer: list[ExtensionHeader] = []
    accepted: list[Extension] = []
    for name, params in parse_all(parse_extension, headers, "Sec-WebSocket-Extensions"):
        for factory in available_extensions or ():
            if factory.name == name:
                try:
                    agreed, extension = factory.process_request_params(params, accepted)
                except NegotiationError:
                    continue
                answer.append((name, agreed))
                accepted.append(extension)
                break
    return build_extension(answer) if answer else None, accepted


def process_server_subprotocol(
    headers: Headers,
    available_subprotocols: Sequence[str] | None,
    select: SelectSubprotocol | None = None,
) -> Subprotocol | None:
    """
    Choose a subprotocol among those that a client offers.

    Args:
        headers: headers of the request.
        available_subprotocols: subprotocols that this server supports, in the order of
            preference.
        select: chooses instead, and is asked even if the client offers none.
            It may raise :exc:`NegotiationError` to refuse the request.

    Returns:
        The subprotocol; ``None`` to go on without one.

    Raises:
        NegotiationError: the client offers none of those supported.
        InvalidHeaderFormat: the header is malformed.
        ValueError: ``select`` returned what the client did not offer.
    """
    offered = parse_all(parse_subprotocol, headers, "Sec-WebSocket-Protocol")
    if select is not None:
        chosen = select(list(offered))
        if chosen is None:
            return None
        if chosen not in offered:
            raise ValueError(
                f"select_subprotocol returned {chosen!r}, "
                f"which is not in what the client offers: {quote(offered)}"
            )
        return Subprotocol(exact_str(chosen))
    return choose_subprotocol(offered, available_subprotocols)


def choose_subprotocol(
    offered: Sequence[str], available: Sequence[str] | None
) -> Subprotocol | None:
    """
    Take the first one of `available` that is among those `offered`.

    Raises:
        NegotiationError: none is; a server that supports some needs one.
    """
    if not available:
        return None
    for subprotocol in available:
        if subprotocol in offered:
            return Subprotocol(exact_str(subprotocol))
    supported = ", ".join(available)
    if not offered:
        raise NegotiationError(f"missing subprotocol; expected one of: {supported}")
    raise NegotiationError(
        f"invalid subprotocol {quote(offered)!r}; expected one of: {supported}"
    )


# -- Helpers -------------------------------------------------------------------


def is_only(headers: Headers, name: str, value: str) -> bool:
    """Whether a header is there once and is just this, in any case."""
    values = headers._all(name)
    return len(values) == 1 and values[0].lower() == value


def parse_all(parse: Callable[[str], list[T]], headers: Headers, name: str) -> list[T]:
    """Parse a list that may be spread over several headers (RFC 9110, 5.3)."""
    values = headers._all(name)
    if not values:
        return []
    if len(values) > 1:
        check_items(name, values)
    return [item for value in values for item in parse(value)]


def quote(items: Sequence[Any]) -> str | None:
    """Show what a peer sent: at most 64 characters; ``None`` if it sent nothing."""
    return ", ".join(items)[:64] or None
