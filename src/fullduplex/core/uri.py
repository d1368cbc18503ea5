"""WebSocket URIs (RFC 6455, 3), and IRIs (RFC 3987), taken apart.

The spelling is kept wherever it can travel: existing percent-escapes stay as they are,
also in an IRI.  Only what would break the request line is escaped.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from .arguments import exact_str
from .credentials import HIDDEN
from .errors import InvalidURI

_DEFAULT_PORTS = {False: 80, True: 443}

# RFC 3986, appendix B.
_uri = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?"
    r"(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?"
    r"(?:#(?P<fragment>.*))?"
)
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_reg_name = re.compile(r"[-A-Za-z0-9._~!$&'()*+,;=]+")  # RFC 3986, 3.2.2
_port = re.compile(r"[0-9]{1,5}")
# A host, a port or a path or the end, as people write without a scheme.
_without_scheme = re.compile(
    r"(?://)?(?:[-A-Za-z0-9._~]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?].*)?$"
)
# All visible ASCII: it travels as written, "%" among it.
_visible = "".join(map(chr, range(0x21, 0x7F)))


@dataclass
class WebSocketURI:
    """
    The parts of a WebSocket URI.

    Args:
        secure: whether the scheme is ``wss``.
        host: lower-cased, in its ASCII form; an IPv6 address without brackets.
        port: never 0.
        path: escaped for the request line; may be empty.
        query: likewise, without ``?``; empty if there is none.
        username: decoded; None if there is none.
        password: decoded; None exactly when the user name is None.
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def resource_name(self) -> str:
        """Request target: the path, or ``/``, and the query."""
        path, query = exact_str(self.path) or "/", exact_str(self.query)
        return f"{path}?{query}" if query else path

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


def parse_uri(uri: str) -> WebSocketURI:
    """
    Take a WebSocket URI or IRI apart.

    Args:
        uri: ``ws`` or ``wss``, in any case.  Port 0 and an absent port stand for
            80 and 443.  Spaces and non-ASCII characters of the path and the query
            are escaped; a non-ASCII host is encoded with IDNA (RFC 3490).

    Raises:
        InvalidURI: the scheme is another.  The host is missing or impossible.  The port
            is not a number up to 65535.  There is a fragment; an empty one, that is a
            bare ``#`` at the end, is dropped.  There is a user name without a password,
            or an escape in them is not UTF-8.  The decoded user name has a colon, which
            Basic authentication cannot send (RFC 7617, 2).  There is a control
            character, such as a tab or a line feed.  This is a :exc:`ValueError` too.
        TypeError: it is no `str`.
    """
    if not isinstance(uri, str):
        raise TypeError(f"uri is {uri!r}, expected a str")
    uri = exact_str(uri)
    # Programs connect to few addresses, often.  Secrets are not kept.
    return WebSocketURI(*(_take_apart if "@" in uri else _remembered)(uri))


def _take_apart(uri: str) -> tuple[bool, str, int, str, str, str | None, str | None]:
    wrong = _control.search(uri)
    if wrong:
        raise InvalidURI(uri, f"control character {wrong[0]!r} at {wrong.start()}")
    parts = _uri.fullmatch(uri)
    assert parts  # only a line feed could keep it from matching
    scheme = (parts["scheme"] or "").lower()
    if scheme not in ("ws", "wss"):
        raise InvalidURI(uri, wrong_scheme(uri, scheme))
    if parts["fragment"]:
        raise InvalidURI(uri, "fragment identifier is meaningless")
    secure = scheme == "wss"

    userinfo, at, destination = (parts["authority"] or "").rpartition("@")
    username, password = split_userinfo(uri, userinfo) if at else (None, None)
    host, port = split_destination(uri, destination)
    return (
        secure,
        host,
        port or _DEFAULT_PORTS[secure],
        _escape(uri, parts["path"]),
        _escape(uri, parts["query"] or ""),
        username,
        password,
    )


_remembered = lru_cache(maxsize=64)(_take_apart)


def wrong_scheme(uri: str, scheme: str) -> str:
    """Say what is wrong with the scheme, and what may have been meant."""
    text = "a URI starts with ws:// or wss://"
    if "@" in uri:
        return text  # the beginning may be a password
    rest = uri[len(scheme) :]
    if scheme in ("http", "https") and rest.startswith("://"):
        return f"{text}; did you mean {scheme.replace('http', 'ws')}{rest}?"
    if "://" in uri or not _without_scheme.match(uri):
        return f"scheme is {scheme[:64]!r}; {text}"
    return f"{text}; did you mean ws://{uri.removeprefix('//')}?"


def quoted(uri: str, part: str) -> str:
    """Return a part of an address for a message, unless it may be of a password."""
    return HIDDEN if "@" in uri else repr(part[:64])


def _escape(uri: str, part: str) -> str:
    try:
        return quote(part, safe=_visible)
    except UnicodeEncodeError as exc:
        raise InvalidURI(uri, f"not Unicode: {exc.reason}") from None


def split_userinfo(uri: str, userinfo: str) -> tuple[str, str]:
    """Take decoded user name and password from what stands before ``@``."""
    username, colon, password = userinfo.partition(":")
    if not colon:
        raise InvalidURI(uri, "user name without password")
    try:
        username = unquote_to_bytes(username).decode()
        password = unquote_to_bytes(password).decode()
    except UnicodeError:
        # The error itself holds the password.
        raise InvalidURI(uri, "user name or password is not UTF-8") from None
    if ":" in username:
        raise InvalidURI(uri, "colon in user name")
    return username, password


def split_destination(uri: str, destination: str) -> tuple[str, int]:
    """Take host and port, which is 0 if it is absent, from what follows ``@``."""
    if destination.startswith("["):
        literal, bracket, rest = destination[1:].partition("]")
        host = _check_literal(uri, literal)
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidURI(uri, "brackets of the host don't match")
        port = rest[1:]
    else:
        name, _, port = destination.partition(":")
        host = _check_name(uri, name)
    if not port:
        return host, 0
    if not _port.fullmatch(port) or int(port) > 65535:
        raise InvalidURI(uri, f"port is {quoted(uri, port)}; allowed are 0 to 65535")
    return host, int(port)


def _check_literal(uri: str, literal: str) -> str:
    address, percent, zone = literal.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError as exc:
        why = HIDDEN if "@" in uri else str(exc)
        raise InvalidURI(uri, f"host is not an IPv6 address: {why}") from None
    # RFC 6874 writes the percent sign as %25; getaddrinfo wants it bare.
    zone = zone.removeprefix("25") or zone
    if percent and not _reg_name.fullmatch(zone):
        raise InvalidURI(uri, "invalid zone of an IPv6 address")
    return address.lower() + percent + zone


def _check_name(uri: str, name: str) -> str:
    if not name:
        raise InvalidURI(uri, "host is missing")
    try:
        host = name.encode("idna").decode().lower()
    except UnicodeError as exc:
        # The error keeps what it is about.
        why = HIDDEN if "@" in uri else str(exc)
        raise InvalidURI(uri, f"host is not a domain name: {why}") from None
    # After IDNA, which turns some characters into ASCII delimiters.
    if not _reg_name.fullmatch(host):
        raise InvalidURI(uri, "host holds a character that no host has")
    return host
