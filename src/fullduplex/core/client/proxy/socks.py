"""SOCKS proxies (RFC 1928, RFC 1929, SOCKS4 and 4a), by python-socks.

python-socks has a class for each kind of I/O.  A face makes one with `arguments` and
gives it a ``forward`` that connects to the proxy.  So the proxy is reached like any
other host, by the face's own dialling:

    require()                                     # before the import
    from python_socks.sync import Proxy as Socks

    socks = Socks(**arguments(route.proxy), forward=dialer)
    try:
        sock = socks.connect(host, port, timeout=FOREVER)
    except failures() as exc:
        raise refused(exc, route) from exc

`dialer.connect(dest_host, dest_port, timeout)` returns a connected socket.
"""

from __future__ import annotations

from typing import Any, Final

from ...handshake.errors import ProxyError
from .address import Proxy, Route
from .http_tunnel import blame_proxy

#: Seconds; python-socks has a limit of its own unless it is given one.
FOREVER: Final = 10.0**6

# Name in python_socks.ProxyType, and whether the proxy resolves the server's name.
TYPES: Final = {
    "socks4": ("SOCKS4", False),
    "socks4a": ("SOCKS4", True),
    "socks5": ("SOCKS5", False),
    "socks5h": ("SOCKS5", True),
}


def require() -> Any:
    """
    Import python-socks.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import python_socks
    except ImportError as exc:
        raise ImportError(
            "SOCKS proxies need python-socks; install fullduplex[socks]"
        ) from exc
    return python_socks


def arguments(proxy: Proxy) -> dict[str, Any]:
    """Make the keyword arguments for a class of python-socks."""
    name, resolved_there = TYPES[proxy.scheme]
    return {
        "proxy_type": getattr(require().ProxyType, name),
        "host": proxy.host,
        "port": proxy.port,
        "username": proxy.username,
        "password": proxy.password,
        "rdns": resolved_there,
    }


def failures() -> tuple[type[Exception], ...]:
    """Return what python-socks raises of its own."""
    socks = require()
    return socks.ProxyError, socks.ProxyTimeoutError


def refused(exc: Exception, route: Route) -> ProxyError:
    """Make our error of one of python-socks."""
    return blame_proxy(ProxyError(f"the SOCKS proxy did not connect: {exc}"), route)
