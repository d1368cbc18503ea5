"""Proxies: addresses, and routes to them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ...arguments import exact_str
from ...errors import InvalidProxy, InvalidURI
from ...http.grammar import build_host
from ...uri import quoted, split_destination, split_userinfo
from ..os_errors import set_error_text

DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}

_proxy = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]+)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_control = re.compile(r"[\x00-\x20\x7f-\x9f]")


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
            set_error_text(exc, f"{text} ({self})")


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
