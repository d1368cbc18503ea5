"""The type of a row of the table, and of its targets.

The rows stand in ``table.py`` and ``growth.py``.  To add one of a known scenario, add
a ``Row`` there.  To add a scenario, write a coroutine in ``scenarios.py`` or
``servers.py``, a role in ``peers/peers.py`` or ``peers/load.py`` if it needs one, and
name both in ``SCENARIOS``.
"""

from __future__ import annotations

from dataclasses import dataclass

# Scenario: the role of the raw peer in it, None where it needs no peer.
SCENARIOS = {
    "receive": "flood",
    "send": "sink",
    "echo": "echo",
    "connect": "greet",
    "idle": "hold",
    "serve": "load",
    "broadcast": "members",
    "crowd": "crowd",
    "handshake": "knock",
    "import": None,
}

# Measures: the head of the column, and the number of its units in the unit of the
# figures (seconds, bytes).
MEASURES = {"cpu": ("CPU µs/op", 1e6), "memory": ("KiB/conn", 1 / 1024)}

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """``client`` may cost at most ``limit`` times what ``peer`` costs.

    Without a ``peer``, ``limit`` is in the unit of the row's measure; as
    ``figure="threads"``, it is the number of threads that the measured part may start.
    """

    client: str
    peer: str
    limit: float
    figure: str = "cost"


# Every row on which both run: the readable body is worth having.
PURE = Target("fullduplex-pure", "websockets", 1.0)


def compiled(peer: str, limit: float) -> Target:
    return Target("fullduplex", peer, limit)


def at_most(limit: float, figure: str = "cost") -> Target:
    return Target("fullduplex", "", limit, figure)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: the name for ``--only``, by prefix.
        title: the title in the report.
        scenario: a key of ``SCENARIOS``.
        operations: number of operations that are measured in one process.
        warmup: number of operations before these, each of them verified byte for byte.
        face: ``"asyncio"``, ``"sync"`` or ``"trio"``: what the program is written for.
        measures: a key of ``MEASURES``.
        connections: number of connections that are open at once.
        kind: ``"text"``, ``"binary"`` or ``"json"`` (which is text).
        size: bytes of payload in a message.
        burst: messages sent before the event loop gets its turn; where a server
            echoes, how many are under way in each connection.
        deflate: permessage-deflate is on; it is off everywhere else.
        tls: the connection is a ``wss:`` one.
        statement: the statement that the scenario ``import`` runs, a key of
            ``Entry.imports``.
        targets: targets for ``--check``.
    """

    name: str
    title: str
    scenario: str
    operations: int
    warmup: int = 100
    face: str = "asyncio"
    measures: str = "cpu"
    connections: int = 1
    kind: str = "binary"
    size: int = 0
    burst: int = 1
    deflate: bool = False
    tls: bool = False
    statement: str = ""
    targets: tuple[Target, ...] = (PURE,)

    @property
    def role(self) -> str | None:
        return SCENARIOS[self.scenario]
