"""ws, the library of Node.js, in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from .base import (
    FRAGMENTS,
    PARAMETERS,
    PING,
    PONG,
    TLS,
    Client,
    Closed,
    Deflate,
    Running,
    Server,
)

FOLDER = Path(__file__).resolve().parent.parent / "node"
INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
INSTALL_TIMEOUT = 50  # seconds

LINE_LIMIT = 2**28  # bytes; a large message comes as one line

# How ws spells the parameters of permessage-deflate.
SPELLING = {
    "server_no_context_takeover": "serverNoContextTakeover",
    "client_no_context_takeover": "clientNoContextTakeover",
    "server_max_window_bits": "serverMaxWindowBits",
    "client_max_window_bits": "clientMaxWindowBits",
}


@functools.cache
def reason_to_skip() -> str:
    """Install what ``package.json`` pins, once; return why that is impossible."""
    if not shutil.which("node"):
        return "node is not installed"
    with alone():
        return installed_or_reason()


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes that run tests from installing at the same time."""
    if fcntl is None:
        yield
        return
    with open(FOLDER / "package.json") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def installed_or_reason() -> str:
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]["ws"]
    installed = FOLDER / "node_modules" / "ws" / "package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == wanted:
        return ""
    if not shutil.which("npm"):
        return "npm is not installed"
    try:
        done = subprocess.run(
            INSTALL, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"npm did not install ws within {INSTALL_TIMEOUT} s"
    if done.returncode:
        return f"npm could not install ws: {done.stderr.strip()[-200:]}"
    return ""


@asynccontextmanager
async def run(script: str, options: dict[str, Any]) -> AsyncIterator[Process]:
    if reason := reason_to_skip():
        pytest.skip(reason)
    process = await asyncio.create_subprocess_exec(
        "node",
        FOLDER / script,
        json.dumps(options),
        stdin=PIPE,
        stdout=PIPE,
        limit=LINE_LIMIT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # Reads what is left of standard output too, else its transport stays open.
        await process.communicate()


class NodeServer:
    name = "ws"
    features = frozenset(
        {"fragments", "same_code", "deflate"}
        | {f"offer:{parameter}" for parameter in PARAMETERS}
        | {f"ask:{parameter}" for parameter in PARAMETERS}
    )

    @asynccontextmanager
    async def serve(
        self, *, tls: TLS | None = None, deflate: Deflate = None
    ) -> AsyncIterator[Running]:
        options: dict[str, Any] = {
            "deflate": deflate is not None
            and {SPELLING[name]: value for name, value in deflate.items()},
            "fragments": FRAGMENTS,
            "ping": PING.decode(),
            "pong": PONG,
        }
        if tls:
            options |= {"cert": str(tls.certificate_pem), "key": str(tls.key_pem)}
        async with run("server.mjs", options) as process:
            assert process.stdout is not None
            lines = process.stdout
            running = Running(int(await lines.readline()), tls is not None)

            async def collect() -> None:
                while line := await lines.readline():
                    running.ends.put_nowait(Closed(**json.loads(line)))

            collector = asyncio.create_task(collect())
            try:
                yield running
            finally:
                process.kill()
                await collector


class NodeConnection:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.extensions = ""

    async def event(self, kind: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        event: dict[str, Any] = json.loads(await self.process.stdout.readline())
        assert event["event"] == kind, event
        return event

    async def order(self, **order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self.order(text=message)
        else:
            await self.order(base64=base64.b64encode(message).decode())

    async def recv(self) -> str | bytes:
        event = await self.event("message")
        if "text" in event:
            return str(event["text"])
        return base64.b64decode(event["base64"])

    async def close(self, code: int, reason: str) -> None:
        await self.order(code=code, reason=reason)
        await self.event("close")

    async def closed(self) -> Closed:
        event = await self.event("close")
        return Closed(event["code"], event["reason"])


class NodeClient:
    name = "ws"
    features = frozenset({"same_code", "deflate"})

    @asynccontextmanager
    async def connect(
        self, url: str, *, tls: TLS | None = None, deflate: bool = False
    ) -> AsyncIterator[NodeConnection]:
        options: dict[str, Any] = {"url": url, "deflate": deflate}
        if tls:
            options["ca"] = str(tls.authority_pem)
        async with run("client.mjs", options) as process:
            connection = NodeConnection(process)
            connection.extensions = (await connection.event("open"))["extensions"]
            yield connection


SERVERS: list[Server] = [NodeServer()]
CLIENTS: list[Client] = [NodeClient()]
