"""uvicorn's command line with ``--ws fullduplex.integrations.uvicorn:...``."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fullduplex import ConnectionClosedError, connect

from ..kit.clock import PATIENCE

pytestmark = pytest.mark.variants("plain")

WS = "fullduplex.integrations.uvicorn:WebSocketProtocol"


@asynccontextmanager
async def command(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the command; gives it and the URI."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "uvicorn", "--ws", WS, "--port", "0", *arguments),
        "tests.integrations.kit:echo",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE * 2):
            line = ""
            while "running on" not in line:
                line = (await process.stderr.readline()).decode()
                assert line, "uvicorn ended"
        found = re.search(r"http://([\d.:]+)", line)
        assert found
        yield process, f"ws://{found[1]}/"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_command_serves_and_shuts_down(loop: str, http: str) -> None:
    async with command("--loop", loop, "--http", http) as (process, uri):
        async with connect(uri, proxy=None) as ws:
            await ws.send("a" * 100_000)
            assert await ws.recv() == "a" * 100_000

            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosedError, match="1012"):
                await ws.recv()
        assert await process.wait() in (0, -signal.SIGTERM)


async def test_command_line_settings_are_honoured() -> None:
    settings = ("--ws-max-size", "1000", "--ws-ping-interval", "0.05")
    async with (
        command(
            *settings, "--ws-max-queue", "4", "--ws-per-message-deflate", "false"
        ) as (_, uri),
        connect(uri, proxy=None) as ws,
    ):
        assert ws.extensions == []
        await ws.send("a" * 1000)
        assert await ws.recv() == "a" * 1000
        await ws.send("a" * 1001)
        with pytest.raises(ConnectionClosedError, match="1009"):
            await ws.recv()
