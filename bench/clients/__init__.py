"""The measured packages, and the interface of a client's module.

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
- ``async finish()``, if the package keeps something open between connections;
- ``pid() -> int``, if what is measured runs in a process of its own: its CPU time and
  its memory count, not ours.

and its ``Connection``

- ``async collect(count) -> list``: the next messages, for the verified part;
- ``async receive(count) -> message``: take as many, return the last;
- ``async send(message, count, burst)``: send it ``count`` times, and let the event loop
  turn once after every ``burst``;
- ``async echo(message, count) -> message``: send it and wait for the answer, ``count``
  times, return the last answer;
- ``async close()``: closing handshake and the end of TCP.

Blocking clients have the same coroutines, which never wait.  A function that a package
cannot offer is missing, or raises ``Skip``.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from ..rows.rows import Row


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
    """One column of the table: its modules, and the environment they run in.

    Args:
        modules: the module of this package for each face, by its last name.
        imports: statements whose import time is measured.
        environment: variables of the measured process.
        only_deflate: it differs from another entry in compression alone.
        own_process: the measured process is another program, which its module starts.
    """

    modules: dict[str, str]
    imports: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    only_deflate: bool = False
    own_process: bool = False

    def absent(self, row: Row) -> str:
        """Say why this row is not for it; nothing if it is."""
        if row.scenario == "import":
            return "" if row.statement in self.imports else "nothing to import"
        if row.face not in self.modules:
            return f"no {'blocking' if row.face == 'sync' else row.face} face"
        return ""


def ours(implementation: str, library: str, *, only_deflate: bool = False) -> Entry:
    return Entry(
        {
            "asyncio": "fullduplex",
            "sync": "fullduplex_sync",
            "trio": "fullduplex_trio",
        },
        {"package": "import fullduplex", "connect": "from fullduplex import connect"},
        {"FULLDUPLEX_IMPL": implementation, "FULLDUPLEX_ZLIB": library},
        only_deflate,
    )


CLIENTS = {
    "fullduplex": ours("compiled", "zlib"),
    "fullduplex-speed": ours("compiled", "zlib-ng", only_deflate=True),
    "fullduplex-pure": ours("pure", "zlib"),
    "picows.websockets": Entry(
        {"asyncio": "picows_websockets"},
        {
            "package": "import picows.websockets",
            "connect": "from picows.websockets import connect",
        },
    ),
    "picows": Entry(
        {"asyncio": "picows"},
        {"package": "import picows", "connect": "from picows import ws_connect"},
    ),
    "websockets": Entry(
        {
            "asyncio": "websockets",
            "sync": "websockets_sync",
            "trio": "websockets_trio",
        },
        {"package": "import websockets", "connect": "from websockets import connect"},
    ),
    "aiohttp": Entry(
        {"asyncio": "aiohttp"},
        {"package": "import aiohttp", "connect": "from aiohttp import ClientSession"},
    ),
    "websocket-client": Entry(
        {"asyncio": "websocket_client", "sync": "websocket_client"},
        {
            "package": "import websocket",
            "connect": "from websocket import create_connection",
        },
    ),
    "bare": Entry(
        {"asyncio": "bare", "sync": "bare", "trio": "bare"},
        {"package": "import asyncio", "connect": "import asyncio, ssl"},
    ),
    "socketify": Entry({"asyncio": "socketify"}, own_process=True),
    "beast": Entry({"asyncio": "beast"}, own_process=True),
}
