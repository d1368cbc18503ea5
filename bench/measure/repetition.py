"""The rounds of a row: who is measured in which order, and when it has been enough.

All clients take part in the first rounds.  Those that a target of the row names follow
one another, since the quotient of the two is what counts, and the order of these turns
round each time.  They alone go on, until what the targets ask for is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..report.result import Result
from ..rows.rows import Row, Target

Measure = Callable[[str], dict[str, Any]]


def named(targets: list[Target]) -> list[str]:
    """The clients that these targets compare, each once."""
    pairs = [(target.client, target.peer) for target in targets]
    return list(dict.fromkeys(client for pair in pairs for client in pair if client))


def turn(row: Row, clients: list[str], number: int) -> list[str]:
    """The order of a round: another one begins; those of the targets stay together."""
    together = [name for name in named([*row.targets]) if name in clients]
    blocks = [[name] for name in clients if name not in together]
    if together:
        blocks.insert(0, together[::-1] if number % 2 else together)
    shift = number % max(1, len(blocks))
    return [name for block in blocks[shift:] + blocks[:shift] for name in block]


def unsettled(result: Result) -> list[Target]:
    """The targets whose verdict, or number, more rounds would make surer."""
    return [
        target
        for target in result.row.targets
        if not result.skipped.keys() & {target.client, target.peer}
        and (found := result.found(target)) is not None
        and not found.settled(target.limit)
    ]


def rounds(
    result: Result, clients: list[str], least: int, most: int
) -> Iterator[tuple[int, list[str]]]:
    """The number of each round and who takes part; ``result`` grows in the meantime."""
    for number in range(max(least, most)):
        if number >= least:
            clients = named(unsettled(result))
        if taking_part := [name for name in clients if name not in result.skipped]:
            yield number, turn(result.row, taking_part, number)
