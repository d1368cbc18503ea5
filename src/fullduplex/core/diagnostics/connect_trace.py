"""Trace of one connection attempt, recorded while it happens.

Dialling, proxies and redirects record their steps; diagnoses and `explain` read them.
Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable

from ..credentials import display_uri

#: Names of the phases, in their order.
PHASES = ("dns", "tcp", "proxy", "tls", "handshake")


class ConnectTrace:
    """
    The story of one call of `connect`, from the URI to the answer.

    Args:
        uri: the URI of the call; user name and password are left out.
        now: seconds on the driver's clock; the first phase begins here.

    Attributes:
        trail: URIs that were requested, in order; more than one after redirects.
        proxy: URL of the proxy in use, without credentials; None without.
        proxy_reason: reason for this proxy, or for none; None before the choice.
        addresses: each address that was tried, in order, with what failed there;
            None for the one that answered.
        phases: seconds that each phase took, by the names in `PHASES`; those of
            all requests of the trail together.
        doing: current step, for the error of a timeout.
        refusal: makes the error of a server or proxy that has refused, while the
            rest of its response is awaited; None if there is no such thing.
        started_at: when the call began.
    """

    __slots__ = (
        "_marked_at",
        "addresses",
        "doing",
        "phases",
        "proxy",
        "proxy_reason",
        "refusal",
        "started_at",
        "trail",
    )

    def __init__(self, uri: str, now: float) -> None:
        self.trail = [display_uri(uri)]
        self.proxy: str | None = None
        self.proxy_reason: str | None = None
        self.addresses: list[tuple[str, str | None]] = []
        self.phases: dict[str, float] = {}
        self.doing = "during the opening handshake"
        self.refusal: Callable[[Exception], Exception] | None = None
        self.started_at = self._marked_at = now

    def redirected(self, uri: str) -> None:
        """Note that the server sent us to `uri`."""
        self.trail.append(display_uri(uri))
        self.refusal = None

    def use_proxy(self, proxy: str | None, reason: str) -> None:
        """Note which proxy was chosen, None for a direct connection, and why."""
        self.proxy = None if proxy is None else display_uri(proxy)
        self.proxy_reason = reason

    def tried(self, address: object, error: BaseException | None = None) -> None:
        """
        Note an address that was tried, and how that ended.

        Args:
            address: a tuple of a host and a port, or a path.
            error: the error of the attempt; only its text is kept.
        """
        failure = None if error is None else str(error) or type(error).__name__
        self.addresses.append((show_address(address), failure))

    def begin(self, now: float) -> None:
        """Let the next phase begin `now`; what passed before belongs to none."""
        self._marked_at = now

    def mark(self, phase: str, now: float) -> None:
        """Note that `phase` has ended `now`; it began where the last one ended."""
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self._marked_at
        self._marked_at = now


def show_address(address: object) -> str:
    """Return an address as people write it: ``host:port``, ``[host]:port``, a path."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = str(address[0]), address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):
        return address.decode(errors="backslashreplace")
    return str(address)
