"""Rules for redirects: the next URI, and the headers that must not go along.

    from the last URI to the next        what holds
    ------------------------------       ------------------------------------------
    same scheme, host and port           everything is sent again
    another host or port, ws to wss      credentials stay behind
    wss to ws                            refused
    http or https                        taken for ws or wss, of which these are the
                                         handshakes (RFC 6455, 3)
    any, with a socket of the caller     refused: the socket is used up
    another origin, with a destination   refused: the caller's address, or Unix
    of the caller                        socket, belongs to the old origin

WebSocket says nothing about redirects but that clients may follow them (RFC 6455,
4.1); what becomes of credentials is RFC 9110, 15.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urljoin

from ..environ import environment_value
from ..errors import InvalidHeader, InvalidURI, SecurityError
from ..http.headers import Headers, HeadersLike
from ..http.messages import Response
from ..http.parser import is_redirect
from ..uri import WebSocketURI, parse_uri

MAX_REDIRECTS: int = environment_value("MAX_REDIRECTS", 10, int)
"""Largest number of requests of one connection; that many redirects are an error."""

WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}

# Meant for the old origin only.  A Host header of the caller names that origin.
PRIVATE_HEADERS: Final = frozenset(
    {"authorization", "cookie", "host", "proxy-authorization"}
)


@dataclass(frozen=True)
class Redirect:
    """
    Where to connect next.

    Args:
        uri: the next URI, with the credentials for it.
        cross_origin: whether its scheme, host or port is another.
        drop_headers: names, in lower case, of the caller's headers that must not be
            sent there, nor to any later URI.
    """

    uri: WebSocketURI
    cross_origin: bool
    drop_headers: frozenset[str] = field(default_factory=frozenset)


def follow_redirect(
    trail: Sequence[WebSocketURI],
    response: Response,
    *,
    has_address: bool = False,
    has_sock: bool = False,
    is_unix: bool = False,
) -> Redirect | None:
    """
    Tell what a response means that is not 101.

    Args:
        trail: URIs that were requested, in order; the last one got this response.
        response: the response.
        has_address: did the caller give the host or port to connect to?
        has_sock: did the caller give a connected socket?
        is_unix: is the connection one to a Unix socket?

    Returns:
        Where to go; ``None`` if the response is no redirect, but a refusal.

    Raises:
        InvalidHeader: there are several ``Location`` headers.
        InvalidURI: the target is no URI of WebSocket or HTTP.
        SecurityError: the target gives up TLS, or there were
            :data:`MAX_REDIRECTS` requests already.
        ValueError: the target can't be reached with the caller's socket or address.
    """
    locations = response.headers.get_all("Location")
    if not is_redirect(response):
        return None
    if len(locations) > 1:
        raise InvalidHeader("Location", f"it is there {len(locations)} times")
    old = trail[-1]
    new = resolve(old, locations[0])
    if old.secure and not new.secure:
        raise SecurityError(
            f"redirect from {display_uri(old)} to {display_uri(new)} would give up TLS"
        )
    if has_sock:
        raise ValueError(
            f"redirect to {display_uri(new)} needs a new connection, "
            "but sock or stream is given"
        )
    cross_origin = origin(new) != origin(old)
    if cross_origin and (has_address or is_unix):
        given = "the path of a Unix socket" if is_unix else "host or port"
        raise ValueError(
            f"redirect to {display_uri(new)} leaves {display_uri(old)}, "
            f"for which {given} was given"
        )
    if len(trail) >= MAX_REDIRECTS:
        raise SecurityError(describe_limit(trail, new))
    return Redirect(new, cross_origin, PRIVATE_HEADERS if cross_origin else frozenset())


def without_headers(headers: HeadersLike | None, names: frozenset[str]) -> Headers:
    """
    Copy the caller's headers, less some.

    Args:
        headers: headers to send with the request.
        names: names to leave out, in lower case.
    """
    kept = Headers()
    for name, value in Headers({} if headers is None else headers).raw_items():
        if name.lower() not in names:
            kept[name] = value
    return kept


def resolve(base: WebSocketURI, location: str) -> WebSocketURI:
    """Find the target of a redirect (RFC 9110, 10.2.2)."""
    # Header values are bytes written as ISO-8859-1; servers mean UTF-8.
    try:
        location = location.encode("iso-8859-1").decode()
    except UnicodeError:
        pass
    try:
        target = urljoin(display_uri(base), location)
    except ValueError:
        why = f"brackets don't match (redirect from {display_uri(base)})"
        raise InvalidURI(location, why) from None
    scheme, _, rest = target.partition(":")
    if scheme.lower() in WEBSOCKET_SCHEMES:
        # A fragment of HTTP is for browsers (RFC 9110, 10.2.2).
        rest = rest.partition("#")[0]
        target = f"{WEBSOCKET_SCHEMES[scheme.lower()]}:{rest}"
    try:
        uri = parse_uri(target)
    except InvalidURI as exc:
        why = f"{exc.msg} (redirect from {display_uri(base)})"
        raise InvalidURI(target, why) from None
    if uri.user_info is None and origin(uri) == origin(base):
        # The same server asks for the same credentials.
        uri = replace(uri, username=base.username, password=base.password)
    return uri


def origin(uri: WebSocketURI) -> tuple[bool, str, int]:
    """Get what makes two URIs one place to send credentials to (RFC 6454, 4)."""
    return uri.secure, uri.host, uri.port


def display_uri(uri: WebSocketURI) -> str:
    """Write a URI without credentials."""
    scheme, default_port = ("wss", 443) if uri.secure else ("ws", 80)
    # With the zone of an IPv6 address (RFC 6874), which a relative target keeps.
    host = f"[{uri.host.replace('%', '%25')}]" if ":" in uri.host else uri.host
    port = "" if uri.port == default_port else f":{uri.port}"
    return f"{scheme}://{host}{port}{uri.resource_name}"


def describe_limit(trail: Sequence[WebSocketURI], new: WebSocketURI) -> str:
    """Say which URIs a client was sent to, or around which loop."""
    steps = [cut(display_uri(uri)) for uri in (*trail, new)]
    last = steps.pop()
    if last in steps:
        start = len(steps) - 1 - steps[::-1].index(last)
        last = f"in a loop: {' -> '.join([*steps[start:], last])}"
    else:
        last = f"the last one to {last}"
    return (
        f"{len(trail)} requests were redirected, {last}; "
        f"FULLDUPLEX_MAX_REDIRECTS is {MAX_REDIRECTS}"
    )


def cut(text: str) -> str:
    """Keep what a server sent from filling a log."""
    return text if len(text) <= 64 else f"{text[:61]}..."
