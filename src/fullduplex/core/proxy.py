"""Choice of the proxy for a connection, with its reason.

A face asks once for each TCP connection, because a redirect may lead elsewhere:

    route = plan.route()               # or choose(uri, proxy, os.environ)
    if route.proxy is None:            # connect directly
    elif route.proxy.is_socks:         # python-socks, see `core.socks`
    else:                              # `core.handshake.tunnel`

`route.reason` says why; it belongs into the log and into every error.  Hosts that
only this machine can mean are never reached through a proxy of the environment:
the proxy would look for them on its own machine.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .dialing import amend
from .errors import InvalidProxy, InvalidURI
from .headers import build_host
from .keywords import exact_str
from .uri import WebSocketURI, quoted, split_destination, split_userinfo

__all__ = ["Proxy", "get_proxy", "parse_proxy"]

DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}

# Names of the proxies for ``ws`` (False) and ``wss`` (True) in the environment, each
# without ``_proxy``; the first one that is set is used.
NAMES: Final = {
    False: ("ws", "socks", "https", "http", "all"),
    True: ("wss", "socks", "https", "all"),
}

_proxy = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]+)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_control = re.compile(r"[\x00-\x20\x7f-\x9f]")

# Proxies by name, and the test of hosts to reach without them.
System = tuple[Mapping[str, str], Callable[[str], object]]


@dataclass
class Proxy:
    """
    The parts of a proxy's address.

    Args:
        scheme: ``http``, ``https``, ``socks4``, ``socks4a``, ``socks5`` or
            ``socks5h``.  With ``socks4a`` and ``socks5h`` the proxy resolves the
            server's name, with ``socks4`` and ``socks5`` we do.
        host: lower-cased, in its ASCII form; an IPv6 address without brackets.
        port: never 0.
        username: decoded; None if there is none.
        password: decoded; None exactly when the user name is None.
    """

    scheme: str
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.scheme.startswith("socks")

    @property
    def secure(self) -> bool:
        """Whether the way to the proxy itself is encrypted."""
        return self.scheme == "https"

    def __str__(self) -> str:
        """The address without credentials, for logs and errors."""
        host = build_host(self.host, self.port, self.secure, always_include_port=True)
        return f"{self.scheme}://{host}"


class Route(NamedTuple):
    """Way to a server: through a proxy, or direct."""

    #: the proxy to connect through; None for a direct connection
    proxy: Proxy | None
    #: the reason, for logs and errors
    reason: str

    def __str__(self) -> str:
        """Text for logs and errors."""
        return f"{f'proxy {self.proxy}' if self.proxy else 'no proxy'}, {self.reason}"

    def record(self, host: str, port: int) -> tuple[Any, ...]:
        """Make the level, the format and the arguments of the log record."""
        level = logging.INFO if self.proxy else logging.DEBUG
        return level, "connecting to %s, port %s: %s", host, port, self

    def blame(self, exc: OSError) -> None:
        """Let an error about the way to the proxy, or from it, say which it is."""
        text = exc.strerror or str(exc) or type(exc).__name__
        if self.proxy is not None and not text.endswith(f"({self})"):
            amend(exc, f"{text} ({self})")


def parse_proxy(proxy: str) -> Proxy:
    """
    Take the address of a proxy apart.

    Args:
        proxy: such as ``http://user:password@example.com:3128``.  Port 0 and an
            absent port stand for 80 (``http``), 443 (``https``) and 1080 (SOCKS,
            RFC 1928, 3).

    Raises:
        InvalidProxy: the scheme is none of those of `Proxy`.  There is a path other
            than ``/``, a query or a fragment.  The host is missing or impossible.  The
            port is no number up to 65535.  There is a user name without a password, or
            one that can't be sent.  This is a :exc:`ValueError` too.
    """
    proxy = exact_str(proxy)
    wrong = _control.search(proxy)
    if wrong:
        raise InvalidProxy(proxy, f"character {wrong[0]!r} at {wrong.start()}")
    parts = _proxy.fullmatch(proxy)
    if parts is None:
        raise InvalidProxy(proxy, "expected scheme://host:port")
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidProxy(
            proxy,
            f"scheme is {quoted(proxy, scheme)}, expected {', '.join(DEFAULT_PORTS)}",
        )
    if parts["rest"] not in ("", "/"):
        text = "path, query and fragment are meaningless"
        if "@" in parts["rest"]:
            text += "; write / ? and # of a password as %2F, %3F and %23"
        raise InvalidProxy(proxy, text)
    userinfo, at, destination = parts["authority"].rpartition("@")
    try:
        username, password = split_userinfo(proxy, userinfo) if at else (None, None)
        host, port = split_destination(proxy, destination)
    except InvalidURI as exc:
        raise InvalidProxy(proxy, exc.msg) from None
    if scheme.startswith("socks"):
        # Each has a length of one byte, RFC 1929, 2; python-socks wants ASCII.
        for text in (username or "", password or ""):
            if len(text) > 255 or not text.isascii():
                raise InvalidProxy(
                    proxy,
                    "SOCKS takes at most 255 ASCII characters as user name "
                    "and as password",
                )
    return Proxy(scheme, host, port or DEFAULT_PORTS[scheme], username, password)


def check_proxy(proxy: Proxy | str | bool | None) -> Proxy | bool:
    """
    Check what was given as ``proxy``.

    Returns:
        A proxy; True to look for one; False for a direct connection.

    Raises:
        InvalidProxy: it is an address that can't be used.
        TypeError: it is something else.
    """
    if isinstance(proxy, str):
        return parse_proxy(proxy)
    if isinstance(proxy, Proxy | bool):
        return proxy
    if proxy is None:
        return False
    raise TypeError(
        f"proxy must be an address, True or None, not {type(proxy).__name__}"
    )


def check_proxy_tls(proxy: Proxy, options: Mapping[str, Any]) -> None:
    """
    Check what was given for TLS to the proxy itself.

    Args:
        options: the arguments, with the names of `connect`'s parameters.

    Raises:
        ValueError: it contradicts the scheme of the proxy.
    """
    for name in ("proxy_ssl", "proxy_server_hostname"):
        if not proxy.secure and options.get(name) is not None:
            raise ValueError(f"{name} is given, but the proxy is {proxy}; use https://")
    given = options.get("proxy_ssl", True)
    if proxy.secure and (given is None or given is False):
        raise ValueError(f"proxy_ssl is {given}, but the proxy is {proxy}")


def choose(
    uri: WebSocketURI,
    proxy: Proxy | str | bool | None = True,
    environ: Mapping[str, str] = os.environ,
    *,
    host: str | None = None,
    port: int | None = None,
    system: Callable[[], System] | None = None,
) -> Route:
    """
    Choose how to reach a server.

    Args:
        uri: the server.
        proxy: an address; True to look for one; None for a direct connection.
        environ: environment variables.  ``no_proxy`` lists what is reached
            directly; see `bypassed`.
        host: the host to connect to instead of the URI's.
        port: likewise.
        system: gives the settings of the system, which count if the environment
            has no proxies at all; see `system_proxies`.

    Returns:
        The proxy, or None, and why.

    Raises:
        InvalidProxy: the address of the proxy can't be used.
    """
    chosen = check_proxy(proxy)
    if isinstance(chosen, Proxy):
        return Route(chosen, "given as proxy")
    if not chosen:
        return Route(None, f"proxy is {proxy}")
    host = uri.host if host is None else host
    port = uri.port if port is None else port
    if is_local(host):
        return Route(None, "the host is loopback or link-local")
    value = variable = reason = ""
    emptied = False
    for variable, value in candidates(uri.secure, environ):
        if value:
            reason = f"environment variable {variable}"
            break
        emptied = True
    if not value and not emptied and system is not None:
        proxies, bypass = system()
        for name in NAMES[uri.secure]:
            value = proxies.get(name, "")
            if value:
                if bypass(host):
                    return Route(None, "the system's settings exclude the host")
                reason = f"the system's settings for {name}"
                variable = f"{name}_proxy"
                break
    if not value:
        return Route(None, "no proxy is set")
    entry = bypassed(host, port, setting(environ, "no_proxy") or "")
    if entry is not None:
        return Route(None, f"no_proxy has {entry[:64]!r}")
    return Route(parse_found(value, variable, reason), reason)


def candidates(secure: bool, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that may name a proxy, in order, with their values."""
    for name in NAMES[secure]:
        lower = f"{name}_proxy"
        upper = lower.upper()
        if lower in environ:
            # Also when it is empty, which hides the other spelling.
            yield lower, environ[lower]
        elif upper in environ and not (name == "http" and "REQUEST_METHOD" in environ):
            # A CGI program finds the request's header Proxy under HTTP_PROXY.
            yield upper, environ[upper]


def setting(environ: Mapping[str, str], name: str) -> str | None:
    """Get a variable by its lower-case name, or else by its upper-case name."""
    value = environ.get(name)
    return environ.get(name.upper()) if value is None else value


def parse_found(value: str, variable: str, reason: str) -> Proxy:
    """Parse an address in one of the forms that only environments have."""
    scheme, separator, rest = value.strip().partition("://")
    if not separator:
        scheme, rest = "http", scheme
    # Desktops write socks://, and the system of Apple's http:// for SOCKS.
    if scheme.lower() == "socks" or (
        variable.lower() == "socks_proxy" and scheme.lower() == "http"
    ):
        scheme = "socks5h"
    try:
        return parse_proxy(f"{scheme}://{rest}")
    except InvalidProxy as exc:
        raise InvalidProxy(value, f"{exc.msg} (from {reason})") from None


def system_proxies() -> System:
    """Read the settings of the system, where there are any beside the environment."""
    if sys.platform not in ("darwin", "win32", "cygwin"):
        return {}, bool
    from urllib.request import getproxies, proxy_bypass

    return getproxies(), proxy_bypass


def get_proxy(uri: WebSocketURI) -> str | None:
    """
    Look for a proxy in the environment and the system's settings.

    Returns:
        Its address, with credentials; None if there is none, or if the URI's host
        is reached without.

    Raises:
        InvalidProxy: there is one whose address can't be used.
    """
    from urllib.parse import quote

    proxy = choose(uri, True, os.environ, system=system_proxies).proxy
    if proxy is None:
        return None
    if proxy.user_info is None:
        return str(proxy)
    user = ":".join(quote(part, safe="") for part in proxy.user_info)
    return str(proxy).replace("://", f"://{user}@", 1)


# -- Hosts ---------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def literal(host: str) -> Address | None:
    """Read an IP address, with or without brackets and zone; None for a name."""
    if not host or (host[-1] not in "0123456789]" and ":" not in host):
        return None  # the common case, without an exception
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=64)
def is_local(host: str) -> bool:
    """
    Tell whether a host means this machine, or one on the same link.

    These are ``localhost`` and names below it (RFC 6761, 6.3), 127.0.0.0/8, ::1,
    169.254.0.0/16, fe80::/10 and the unspecified addresses.
    """
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if host.startswith("127.") and host.replace(".", "").isdecimal():
        return True  # also 127.1, as resolvers read it
    address = literal(host)
    return address is not None and (
        address.is_loopback or address.is_link_local or address.is_unspecified
    )


def bypassed(host: str, port: int, no_proxy: str) -> str | None:
    """
    Find what in ``no_proxy`` matches a server.

    Args:
        host: a name, or an address.
        port: its port.
        no_proxy: entries between commas or spaces.  ``*`` matches everything;
            ``example.com``, ``.example.com`` and ``*.example.com`` match that name
            and all below it; ``10.0.0.0/8`` matches addresses; any of these may be
            followed by a port.

    Returns:
        The first entry that matches, or None.
    """
    if not no_proxy:
        return None
    name = host.lower().rstrip(".")
    address = literal(name)
    for entry in re.split(r"[\s,]+", no_proxy):
        pattern, entry_port = split_entry(entry.lower())
        if not pattern or entry_port not in ("", str(port)):
            continue
        if pattern == "*" or matches(name, address, pattern):
            return entry
    return None


def split_entry(entry: str) -> tuple[str, str]:
    """Split off the port, which is empty if there is none."""
    if entry.startswith("["):
        pattern, _, rest = entry[1:].partition("]")
        if rest.startswith("/"):
            return pattern + rest, ""
        return pattern, rest.removeprefix(":")
    pattern, colon, port = entry.rpartition(":")
    if colon and ":" not in pattern and port.isdecimal():
        return pattern, port
    return entry, ""


def matches(name: str, address: Address | None, pattern: str) -> bool:
    """Tell whether one entry, without its port, matches."""
    if address is not None:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
        return address.version == network.version and address in network
    suffix = pattern.removeprefix("*").lstrip(".").rstrip(".")
    if not suffix.isascii():
        try:
            suffix = suffix.encode("idna").decode()
        except UnicodeError:
            return False
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))
