"""Every program in README.md runs, against a server of the kind that it expects."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from fullduplex import ServerConnection, connect, serve

README = Path(__file__).parent.parent / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
CLIENTS = [program for program in PROGRAMS if "serve_forever" not in program]
SERVERS = [program for program in PROGRAMS if "serve_forever" in program]


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def running(
    program: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("program", CLIENTS)
def test_client_program_runs_without_errors(program: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def main() -> None:
        secure = context if "wss://" in program else None
        async with serve(
            echo, "localhost", 0, ssl=secure, family=socket.AF_INET
        ) as server:
            port = server.sockets[0].getsockname()[1]
            async with running(program.replace("8765", str(port)), tmp_path) as client:
                stdout, stderr = await client.communicate()

        assert client.returncode == 0, stderr.decode()
        assert stdout
        assert not stderr

    asyncio.run(main())


@pytest.mark.parametrize("program", SERVERS)
def test_server_program_echoes(program: str, tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("localhost", 0)) as probe:
            port = probe.getsockname()[1]
        async with running(program.replace("8765", str(port)), tmp_path):
            delays = iter([0.05] * 200)
            async for ws in connect(
                f"ws://localhost:{port}/",
                reconnect_delays=lambda: (delay for delay in delays),
            ):
                await ws.send("Hello!")

                assert await ws.recv() == "Hello!"

                break

    asyncio.run(main())
