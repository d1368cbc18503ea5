"""The rows of the table: what is measured, how often, and what we aim at.

To add a row of a known scenario, add a ``Row`` below.  To add a scenario, write a
coroutine in ``measure.py``, a role in ``peers.py`` if it needs one, and name both
in ``SCENARIOS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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

# What is counted: the head of its column, and how many of its units are in the
# unit of the figures (seconds, bytes).
MEASURES = {"cpu": ("CPU µs/op", 1e6), "memory": ("KiB/conn", 1 / 1024)}

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """``client`` may cost at most ``limit`` times what ``peer`` costs."""

    client: str
    peer: str
    limit: float


# Every row on which both run: the readable body is worth having.
PURE = Target("fullduplex-pure", "websockets", 1.0)


def compiled(peer: str, limit: float) -> Target:
    return Target("fullduplex", peer, limit)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: what ``--only`` matches, by prefix.
        title: what the report shows.
        scenario: a key of ``SCENARIOS``.
        operations: how many are measured in one process.
        warmup: how many go before, each of them verified byte for byte.
        measures: a key of ``MEASURES``.
        connections: how many are open at once.
        kind: ``"text"``, ``"binary"`` or ``"json"`` (which is text).
        size: bytes of payload in a message.
        burst: messages sent before the event loop gets its turn; where a server
            echoes, how many are under way in each connection.
        deflate: permessage-deflate is on; it is off everywhere else.
        tls: the connection is a ``wss:`` one.
        statement: what the scenario ``import`` runs, a key of ``Entry.imports``.
        targets: what ``--check`` insists on.
    """

    name: str
    title: str
    scenario: str
    operations: int
    warmup: int = 100
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


ROWS = [
    Row(
        "recv-text-64",
        "receive 64 B text (async for)",
        "receive",
        operations=400_000,
        warmup=1000,
        kind="text",
        size=64,
        targets=(compiled("picows.websockets", 0.6), PURE),
    ),
    Row(
        "recv-binary-256",
        "receive 256 B binary",
        "receive",
        operations=300_000,
        warmup=1000,
        size=256,
    ),
    Row(
        "recv-binary-8k",
        "receive 8 KiB binary",
        "receive",
        operations=60_000,
        size=8 * KIB,
    ),
    Row(
        "recv-binary-1m",
        "receive 1 MiB binary",
        "receive",
        operations=800,
        warmup=20,
        size=MIB,
    ),
    Row(
        "recv-deflate-1k",
        "receive 1 KiB JSON, deflate",
        "receive",
        operations=60_000,
        warmup=500,
        kind="json",
        size=KIB,
        deflate=True,
    ),
    Row(
        "send-text-64",
        "send 64 B text, bursts of 100",
        "send",
        operations=100_000,
        warmup=1000,
        kind="text",
        size=64,
        burst=100,
    ),
    Row(
        "send-binary-1m",
        "send 1 MiB binary",
        "send",
        operations=500,
        warmup=10,
        size=MIB,
    ),
    Row(
        "echo-256",
        "round trip 256 B",
        "echo",
        operations=10_000,
        warmup=500,
        size=256,
        targets=(compiled("picows.websockets", 1.0), PURE),
    ),
    Row(
        "echo-256-tls",
        "round trip 256 B, TLS",
        "echo",
        operations=8_000,
        warmup=500,
        size=256,
        tls=True,
    ),
    Row(
        "echo-100k",
        "round trip 100 KB",
        "echo",
        operations=2_500,
        warmup=50,
        size=100_000,
    ),
    Row(
        "connect-close",
        "connect + close",
        "connect",
        operations=300,
        warmup=20,
    ),
    Row(
        "serve-echo-256",
        "server echo, 50 connections, 256 B text",
        "serve",
        operations=20_000,
        warmup=1000,
        connections=50,
        kind="text",
        size=256,
        targets=(compiled("picows.websockets", 1.0), PURE),
    ),
    Row(
        "serve-echo-256-16",
        "the same with 16 messages under way in each",
        "serve",
        operations=80_000,
        warmup=1000,
        connections=50,
        kind="text",
        size=256,
        burst=16,
        targets=(compiled("picows.websockets", 1.0), PURE),
    ),
    Row(
        "broadcast-512",
        "broadcast 512 B to 500, a delivery",
        "broadcast",
        operations=100_000,
        warmup=2_000,
        connections=500,
        size=512,
        targets=(compiled("picows", 0.8), PURE),
    ),
    Row(
        "broadcast-512-10",
        "the same, 10 broadcasts in a turn of the loop",
        "broadcast",
        operations=250_000,
        warmup=2_000,
        connections=500,
        size=512,
        burst=10,
        targets=(compiled("picows", 0.8), PURE),
    ),
    Row(
        "serve-idle-memory",
        "memory of an idle connection of a server",
        "crowd",
        operations=2_000,
        warmup=50,
        measures="memory",
        targets=(compiled("websockets", 0.62),),
    ),
    Row(
        "serve-handshake",
        "opening and closing handshake of a server",
        "handshake",
        operations=1_000,
        warmup=50,
        targets=(compiled("picows.websockets", 1.0), PURE),
    ),
    Row(
        "idle-memory",
        "memory of an idle connection of a client",
        "idle",
        operations=300,
        warmup=20,
        measures="memory",
        targets=(),
    ),
    Row(
        "import-package",
        "import the package",
        "import",
        operations=1,
        statement="package",
        targets=(compiled("websockets", 1.0),),
    ),
    Row(
        "import-connect",
        "import what connect() needs",
        "import",
        operations=1,
        statement="connect",
        targets=(),
    ),
]


def from_job(job: dict[str, Any]) -> Row:
    """The row of a measurement, in a process that was told of it by name."""
    [row] = [row for row in ROWS if row.name == job["row"]]
    return replace(row, operations=job["operations"], warmup=job["warmup"])
