"""The testee on the blocking face: as many threads as cases at once."""

from __future__ import annotations

import json
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from fullduplex.exceptions import ConnectionClosed
from fullduplex.sync import connect, serve

from .testee import HEAVY, LIGHT_AT_ONCE, PATIENT, offered

__all__ = ["Client", "run_server"]


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


class Client:
    """Runs the cases of one fuzzing server."""

    def __init__(self, url: str, agent: str, given: dict[str, Any]) -> None:
        self.url = url
        self.given = given
        self.agent = agent
        self.errors: list[str] = []
        self.done = 0

    def run(self) -> None:
        count = self.ask("/getCaseCount")
        cases = [
            (number, self.ask(f"/getCaseInfo?case={number}")["id"])
            for number in range(1, count + 1)
        ]
        for at_once, chosen in (
            (LIGHT_AT_ONCE, [case for case in cases if not case[1].startswith(HEAVY)]),
            (1, [case for case in cases if case[1].startswith(HEAVY)]),
        ):
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(lambda case: self.run_case(*case), chosen))
        with self.open(f"/updateReports?agent={quote(self.agent)}") as connection:
            connection.wait_closed()
        print(count, flush=True)

    def ask(self, path: str) -> Any:
        with self.open(path) as connection:
            return json.loads(connection.recv())

    def open(self, path: str, case: str = "") -> Any:
        given = {"extensions": offered(case), **PATIENT, **self.given}
        return connect(self.url + path, **given)

    def run_case(self, number: int, case: str) -> None:
        path = f"/runCase?case={number}&agent={quote(self.agent)}"
        try:
            with self.open(path, case) as connection:
                echo(connection)
        except ConnectionClosed:
            pass  # the testsuite judges the end
        except Exception as exc:  # a mistake of ours must not end the whole run
            error = f"{self.agent}: case {case}: {type(exc).__name__}: {exc}"
            self.errors.append(error)
            print(error, file=sys.stderr, flush=True)
        self.done += 1
        if self.done % 100 == 0:
            print(f"{self.agent}: {self.done} cases run", file=sys.stderr, flush=True)


def run_server(port: int, context: ssl.SSLContext | None = None) -> None:
    """Echo until terminated."""
    with serve(echo, "127.0.0.1", port, ssl=context, **PATIENT) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()
