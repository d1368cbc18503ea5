"""Choice of the proxy for a connection, with its reason.

A face asks once for each TCP connection, because a redirect may lead elsewhere:

    route = plan.route()               # or choose(uri, proxy, os.environ)
    if route.proxy is None:            # connect directly
    elif route.proxy.is_socks:         # python-socks, see `socks`
    else:                              # `http_tunnel`

`route.reason` says why; it belongs into the log and into every error.  Hosts that
only this machine can mean are never reached through a proxy of the environment:
the proxy would look for them on its own machine.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from ...errors import InvalidProxy
from ...uri import WebSocketURI
from .address import (
    Proxy,
    Route,
    check_proxy,
    parse_proxy,
)

# Names of the proxies for ``ws`` (False) and ``wss`` (True) in the environment, each
# without ``_proxy``; the first one that is set is used.
NAMES: Final = {
    False: ("ws", "socks", "https", "http", "all"),
    True: ("wss", "socks", "https", "all"),
}

# Proxies by name, and the test of hosts to reach without them.
System = tuple[Mapping[str, str], Callable[[str], object]]


def select_proxy(
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
    entry = bypassed(host, port, environment_value(environ, "no_proxy") or "")
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


def environment_value(environ: Mapping[str, str], name: str) -> str | None:
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

    proxy = select_proxy(uri, True, os.environ, system=system_proxies).proxy
    if proxy is None:
        return None
    if proxy.user_info is None:
        return str(proxy)
    user = ":".join(quote(part, safe="") for part in proxy.user_info)
    return str(proxy).replace("://", f"://{user}@", 1)


# -- Hosts ---------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def ip_literal(host: str) -> Address | None:
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
    address = ip_literal(host)
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
    address = ip_literal(name)
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
