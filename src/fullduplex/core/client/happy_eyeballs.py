"""Order and timing of attempts to connect to a server's addresses: RFC 8305.

A face resolves the name and carries out what the race says; it may have several
attempts under way at once, and the first one that succeeds wins:

    race = Race(in_turns(addresses, 1), "example.com:443", delay=0.25, opening=opening)
    while True:
        while (address := race.start(now)) is not None:
            ...                              # begin to connect to address
        if race.lost:
            raise race.error()
        ...                                  # wait for any end, or until race.next_at
        race.failed(address, exc, now)       # or race.won(address), which is the end
    race.stop()                              # however it ended

Addresses are tuples as `socket.getaddrinfo` returns them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

from ..diagnostics.connect_trace import ConnectTrace, show_address
from .os_errors import (
    describe_os_error,
    with_description,
)

#: Seconds after which the next address is tried beside those under way; RFC 8305, 8.
DELAY: Final = 0.25

# (family, type, protocol, canonical name, address)
AddressInfo = tuple[Any, Any, int, str, Any]


def interleave_families(
    addresses: Sequence[AddressInfo], first: int
) -> list[AddressInfo]:
    """
    Let the families of addresses take turns (RFC 8305, 4).

    Args:
        addresses: in the order of preference.
        first: number of addresses of the preferred family that come first; 0 leaves the
            order as it is.
    """
    if first <= 0 or len(addresses) < 3:
        return list(addresses)
    families: dict[Any, list[AddressInfo]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    preferred, *others = families.values()
    head, tail = preferred[: first - 1], preferred[first - 1 :]
    turns = zip_longest(tail, *others)
    return head + [address for turn in turns for address in turn if address]


class HappyEyeballs:
    """
    Attempts to connect to one of several addresses.

    Args:
        addresses: addresses to try, in this order; at least one.
        target: host and port that the addresses belong to, for errors.
        delay: seconds until the next address is tried although others have not
            failed yet; None to wait for each failure.
        timeout: seconds that there are for all; a smaller delay lets each address
            have its try.
        opening: where to note what was tried.
    """

    def __init__(
        self,
        addresses: Sequence[AddressInfo],
        target: str,
        *,
        delay: float | None = DELAY,
        timeout: float | None = None,
        opening: ConnectTrace | None = None,
    ) -> None:
        if delay is not None and timeout is not None and len(addresses) > 1:
            delay = min(delay, timeout / (len(addresses) + 1))
        self._waiting = deque(addresses)
        self._running: list[AddressInfo] = []
        self._target = target
        self._delay = delay
        self._opening = opening
        #: when the next address may be tried, whatever the others do; None if it
        #: depends on them
        self.next_at: float | None = None
        #: the address of the attempt that succeeded
        self.winner: AddressInfo | None = None
        #: failed attempts, in order
        self.failures: list[tuple[AddressInfo, OSError]] = []

    def start(self, now: float) -> AddressInfo | None:
        """Return the next address to try now, or None if there is none yet."""
        if not self._waiting:
            self.next_at = None
            return None
        if self._running and (self.next_at is None or now < self.next_at):
            return None
        address = self._waiting.popleft()
        self._running.append(address)
        waits = self._waiting and self._delay is not None
        self.next_at = now + (self._delay or 0.0) if waits else None
        return address

    def failed(self, address: AddressInfo, exc: OSError, now: float) -> None:
        """Note that an attempt has failed; the next one may begin at once."""
        self._running.remove(address)
        self.failures.append((address, exc))
        if self._opening is not None:
            self._opening.tried(address[4], with_description(exc))
        if self.next_at is not None:
            self.next_at = now

    def won(self, address: AddressInfo) -> None:
        """Note that an attempt has succeeded."""
        self.winner = address
        self._running.remove(address)
        if self._opening is not None:
            self._opening.tried(address[4])
            for other in self._running:
                self._opening.tried(other[4], TimeoutError("another was faster"))
        self._running.clear()

    def stop(self) -> None:
        """Note that whatever is still under way is given up."""
        if not self._running:
            return
        opening = self._opening
        if opening is not None:
            reasons = [
                f"{show_address(a[4])}: {describe_os_error(exc)}"
                for a, exc in self.failures
            ]
            for address in self._running:
                opening.tried(address[4], TimeoutError("no answer"))
                reasons.append(f"{show_address(address[4])}: no answer")
            opening.doing = f"connecting to {self._target} ({'; '.join(reasons)})"
        self._running.clear()

    @property
    def lost(self) -> bool:
        """Whether each address has failed."""
        return not self._waiting and not self._running

    def error(self) -> OSError:
        """
        Make the error that tells about every address.

        Its class is that of the failures where they all have the same ``errno``,
        such as :exc:`ConnectionRefusedError`.
        """
        reasons = []
        for address, exc in self.failures:
            shown = show_address(address[4])
            alone = len(self.failures) == 1 and shown == self._target
            reasons.append(
                describe_os_error(exc)
                if alone
                else f"{shown}: {describe_os_error(exc)}"
            )
        text = f"cannot connect to {self._target}: {'; '.join(reasons)}"
        numbers = {exc.errno for _, exc in self.failures}
        number = numbers.pop() if len(numbers) == 1 else None
        return OSError(text) if number is None else OSError(number, text)

    def all_errors(self) -> ExceptionGroup[OSError]:
        """Make the group of what failed, which ``all_errors=True`` asks for."""
        return ExceptionGroup(
            f"cannot connect to {self._target}", [exc for _, exc in self.failures]
        )
