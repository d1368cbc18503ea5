"""Who is measured, and what a client's module has to offer.

A module has

- ``version() -> str``: the version of the package, for the report;
- ``async open(target) -> Connection``: connect with the settings that are the same for
  everyone: no limit on sizes, no keepalive, no compression unless
  ``target.row.deflate``, everything else as the package has it;
- ``async serve(target) -> (port, stop)``: start a server that sends each message back,
  with the same settings; ``await stop()`` ends it;
- ``async broadcaster(target) -> (port, send, stop)``, for the rows of broadcasts: start
  a server; ``await send(message, count)`` sends it ``count`` times to all connections,
  in one turn of the event loop;
- ``async finish()``, if the package keeps something open between connections.

and its ``Connection``

- ``async collect(count) -> list``: the next messages, for the verified part;
- ``async receive(count) -> message``: take as many, return the last;
- ``async send(message, count, burst)``: send it ``count`` times, and let the event loop
  turn once after every ``burst``;
- ``async echo(message, count) -> message``: send it and wait for the answer, ``count``
  times, return the last answer;
- ``async close()``: closing handshake and the end of TCP.

Whatever a package cannot do raises ``Skip``.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from ..rows import Row


class Skip(Exception):
    """The package has no such feature."""


@dataclass(frozen=True)
class Target:
    """Where to connect and for which row."""

    row: Row
    uri: str
    port: int
    ssl: ssl.SSLContext | None


@dataclass(frozen=True)
class Entry:
    """One column of the table: a module, and the environment it runs in.

    Args:
        module: the module of this package.
        imports: statements whose import time is measured.
        environment: variables of the measured process.
    """

    module: str
    imports: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)


OURS = {
    "package": "import fullduplex",
    "connect": "from fullduplex import connect",
}

CLIENTS = {
    "fullduplex": Entry(
        "bench.clients.fullduplex", OURS, {"FULLDUPLEX_IMPL": "compiled"}
    ),
    "fullduplex-pure": Entry(
        "bench.clients.fullduplex", OURS, {"FULLDUPLEX_IMPL": "pure"}
    ),
    "picows.websockets": Entry(
        "bench.clients.picows_websockets",
        {
            "package": "import picows.websockets",
            "connect": "from picows.websockets import connect",
        },
    ),
    "picows": Entry(
        "bench.clients.picows",
        {"package": "import picows", "connect": "from picows import ws_connect"},
    ),
    "websockets": Entry(
        "bench.clients.websockets",
        {"package": "import websockets", "connect": "from websockets import connect"},
    ),
    "aiohttp": Entry(
        "bench.clients.aiohttp",
        {"package": "import aiohttp", "connect": "from aiohttp import ClientSession"},
    ),
    "bare": Entry(
        "bench.clients.bare",
        {"package": "import asyncio", "connect": "import asyncio, ssl"},
    ),
}
