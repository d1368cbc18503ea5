"""The side under test: an echo client or server made of the public API only.

It runs in a process of its own, so that ``FULLDUPLEX_IMPL`` chooses its
implementation::

    python -m conformance.testee client ws://127.0.0.1:9001 fullduplex-pure
    python -m conformance.testee server 9002 --face trio

The module of a face in ``FACES`` does the rest in its own way.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import ssl
import sys
from typing import Any
from urllib.parse import quote

import fullduplex
from fullduplex.exceptions import ConnectionClosed
from fullduplex.extensions.permessage_deflate import ClientPerMessageDeflateFactory

CASE_TIMEOUT = 1200  # seconds; above the longest time that a case gives itself
LIGHT_AT_ONCE = 4  # most light cases wait for a timer of a second

# Limits and compression: these keep a processor busy, so they run one at a time.
HEAVY = ("9.", "12.", "13.")

# Offers of a client in section 13: (server_no_context_takeover,
# server_max_window_bits).  The fuzzing server then asks the same of the client.
OFFERS: dict[str, list[tuple[bool, int | None]]] = {
    "13.1": [(False, None)],
    "13.2": [(True, None)],
    "13.3": [(False, 9)],
    "13.4": [(False, 15)],
    "13.5": [(True, 9)],
    "13.6": [(True, 15)],
    "13.7": [(True, 9), (True, None), (False, None)],
}


# Parameters of `connect` and `serve` alike.
PATIENT = {"max_size": None, "open_timeout": 60, "ping_interval": None}

# Each has `Client`, a class with `run`, and `run_server`, which takes a port and a
# context for TLS or None, and prints the port that it listens on.
FACES = {
    "asyncio": "conformance.face_asyncio",
    "sync": "conformance.face_sync",
    "trio": "conformance.face_trio",
}


def offered(case: str) -> list[ClientPerMessageDeflateFactory]:
    """Make the offers of extensions for a case."""
    return [
        ClientPerMessageDeflateFactory(
            server_no_context_takeover=no_context_takeover,
            server_max_window_bits=max_window_bits,
            client_max_window_bits=True,
        )
        for no_context_takeover, max_window_bits in OFFERS.get(
            case.rpartition(".")[0], [(False, None)]
        )
    ]


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


class AsyncClient:
    """Runs the cases of one fuzzing server, on a face that can await."""

    connect: Any
    """The face's own."""

    def __init__(self, url: str, agent: str, given: dict[str, Any]) -> None:
        self.url = url
        self.given = given
        self.agent = agent
        self.errors: list[str] = []
        self.done = 0

    async def limited(self, seconds: float, function: Any, *args: Any) -> None:
        """Call a coroutine function; raise `TimeoutError` when it takes longer."""
        raise NotImplementedError

    async def at_once(self, count: int, function: Any) -> None:
        """Call a coroutine function so many times at once."""
        raise NotImplementedError

    def run(self) -> None:
        """Run all cases."""
        raise NotImplementedError

    async def run_all(self) -> None:
        count = await self.ask("/getCaseCount")
        cases = [
            (number, (await self.ask(f"/getCaseInfo?case={number}"))["id"])
            for number in range(1, count + 1)
        ]
        light = [case for case in cases if not case[1].startswith(HEAVY)]
        heavy = [case for case in cases if case[1].startswith(HEAVY)]
        await self.run_cases(light, LIGHT_AT_ONCE)
        await self.run_cases(heavy, 1)
        async with self.open(f"/updateReports?agent={quote(self.agent)}") as connection:
            await connection.wait_closed()
        print(count, flush=True)

    async def ask(self, path: str) -> Any:
        async with self.open(path) as connection:
            return json.loads(await connection.recv())

    def open(self, path: str, case: str = "") -> Any:
        given = {"extensions": offered(case), **PATIENT, **self.given}
        return type(self).connect(self.url + path, **given)

    async def run_cases(self, cases: list[tuple[int, str]], at_once: int) -> None:
        waiting = iter(cases)

        async def work() -> None:
            for number, case in waiting:
                await self.run_case(number, case)

        await self.at_once(at_once, work)

    async def run_case(self, number: int, case: str) -> None:
        path = f"/runCase?case={number}&agent={quote(self.agent)}"
        try:
            await self.limited(CASE_TIMEOUT, self.talk, path, case)
        except ConnectionClosed:
            pass  # the testsuite judges the end
        except Exception as exc:  # a mistake of ours must not end the whole run
            self.report(case, exc)
        self.done += 1
        if self.done % 100 == 0:
            print(f"{self.agent}: {self.done} cases run", file=sys.stderr, flush=True)

    async def talk(self, path: str, case: str) -> None:
        async with self.open(path, case) as connection:
            await echo(connection)

    def report(self, case: str, exc: Exception) -> None:
        error = f"{self.agent}: case {case}: {type(exc).__name__}: {exc}"
        self.errors.append(error)
        print(error, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="conformance.testee")
    sides = parser.add_subparsers(dest="side", required=True)
    client = sides.add_parser("client")
    client.add_argument("url")
    client.add_argument("agent")
    client.add_argument("--port", type=int, help="connect to this port of 127.0.0.1")
    server = sides.add_parser("server")
    server.add_argument("port", type=int)
    for side in (client, server):
        side.add_argument("--face", choices=FACES, default="asyncio")
    server.add_argument("--certificate", help="file with certificate and key, for TLS")
    arguments = parser.parse_args()

    wanted = os.environ.get("FULLDUPLEX_IMPL", "auto")
    if wanted not in ("auto", fullduplex.IMPLEMENTATION):
        print(f"FULLDUPLEX_IMPL is {wanted!r}, {fullduplex.IMPLEMENTATION!r} runs")
        return 2

    face: Any = importlib.import_module(FACES[arguments.face])
    if arguments.side == "server":
        context = None
        if arguments.certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(arguments.certificate)
        face.run_server(arguments.port, context)
        return 0
    given = {}
    if arguments.port:
        given = {"host": "127.0.0.1", "port": arguments.port}
    testee = face.Client(arguments.url, arguments.agent, given)
    testee.run()
    return 1 if testee.errors else 0


if __name__ == "__main__":
    sys.exit(main())
