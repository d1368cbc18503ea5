"""How behaviours are written down, so that every face can be asked for each."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .faces import Kit

__all__ = ["BEHAVIOURS", "SLACK", "Behaviour", "behaviour"]

# Seconds that a shared machine may add to what a timeout promises.
SLACK = 2.0

Body = Callable[..., Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Behaviour:
    """
    Something that holds on every face.

    Args:
        name: what holds, in words.
        body: takes a `Kit`, and the side if it is about both.
        side: ``"client"``, ``"server"`` or an empty text if it has no side.
        cancels: whether it is about cancelling, which the blocking face has not.
        tls: whether it is tried on the faces with TLS, too.
    """

    name: str
    body: Body
    side: str
    cancels: bool
    tls: bool

    async def run(self, kit: Kit) -> None:
        """Try it."""
        if self.side:
            await self.body(kit, self.side)
        else:
            await self.body(kit)


BEHAVIOURS: list[Behaviour] = []


def behaviour(
    *,
    sides: tuple[str, ...] = ("client", "server"),
    cancels: bool = False,
    tls: bool = True,
) -> Callable[[Body], Body]:
    """Register a behaviour, once for each side that it is about."""

    def register(body: Body) -> Body:
        for side in sides or ("",):
            BEHAVIOURS.append(Behaviour(body.__name__, body, side, cancels, tls))
        return body

    return register
